"""`quorate reset` and its phases."""

from __future__ import annotations

from typing import Any

import click

from quorate.cli.kubeadm.flags import Given, with_flags
from quorate.cli.kubeadm.phase_commands import phase_group
from quorate.cli.output import output_option
from quorate.phases.reset import TREE
from quorate.phases.runner import Phase, run_all, run_one

_FLAGS = (
    "cert-dir",
    "cleanup-tmp-dir",
    "config",
    "cri-socket",
    "dry-run",
    "force",
    "ignore-preflight-errors",
    "kubeconfig",
    "skip-phases",
)


@click.group("reset", invoke_without_command=True)
@with_flags(_FLAGS)
@output_option("text", "json")
@click.pass_context
def group(ctx: click.Context, /, **parameters: Any) -> None:
    """Take back what init or join made on this host.

    \b
    Examples:
      quorate reset
      quorate reset --dry-run
    """
    if ctx.invoked_subcommand is None:
        given = Given.of(parameters)
        run_all(TREE, given, given.words("skip-phases"))


def run_phase(phase: Phase[Any], given: Given, _endpoint: str) -> None:
    run_one(phase, given)


group.add_command(phase_group("reset", TREE, run_phase))
