"""What the names and directories of local clusters complete to. Read from files: no member is asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.completion import folders, matching

if TYPE_CHECKING:
    from quorate.cli.common.completion import Items


def clusters(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Completes the clusters of this user, and directories."""
    from quorate.errors import QuorateError
    from quorate.host import ports

    try:
        roots = sorted(str(owner.parent) for owner in ports.owners())
    except (QuorateError, OSError):
        roots = []
    return [*matching(dict.fromkeys(roots, "a local cluster"), incomplete), *folders(ctx, param, incomplete)]


def member_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Completes the members of the cluster in --dir."""
    from quorate.local import state
    from quorate.local.layout import Layout, default_folder

    folder: Path | None = ctx.params.get("folder")
    saved = state.load(Layout(Path(os.path.abspath(folder or default_folder()))).state)
    return matching({member.name: "" for member in saved.members}, incomplete) if saved else []
