"""What the values of kubeadm's flags complete to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from quorate.cli.common.completion import Completer, one_of, some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.phases.base.runner import Phase


def _phases(ctx: click.Context) -> Iterable[str]:
    """Returns the paths of the phases of the run whose command line this is."""
    from quorate.phases.base.runner import paths

    above: click.Context | None = ctx
    while above is not None:
        tree: Sequence[Phase] = getattr(above.command, "tree", ())
        if tree:
            return [path for path, phase in paths(tree) if not phase.hidden]
        above = above.parent
    return ()


def _versions(_ctx: click.Context) -> Iterable[str]:
    from quorate.config.versions import RELEASES

    return reversed(RELEASES)


def _checks(_ctx: click.Context) -> Iterable[str]:
    from quorate.preflight.names import CHECKS

    return CHECKS


def _component_kinds(_ctx: click.Context) -> Iterable[str]:
    return ("KubeletConfiguration", "KubeProxyConfiguration")


def _usages(_ctx: click.Context) -> Iterable[str]:
    return ("signing", "authentication")


COMPLETERS: Mapping[str, Completer] = {
    "component-configs": some_of(_component_kinds),
    "ignore-preflight-errors": some_of(_checks),
    "kubernetes-version": one_of(_versions),
    "skip-phases": some_of(_phases),
    "usages": some_of(_usages),
}
