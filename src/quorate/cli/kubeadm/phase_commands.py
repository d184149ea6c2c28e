"""Commands made from trees of phases: `init phase certs ca`, `init phase certs all`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

from quorate.cli.common.output import output_option
from quorate.cli.kubeadm.flags import Given, with_flags
from quorate.phases.base.runner import Phase

Runner = Callable[[str, Given, str], None]
"""Runs the phase at a path with the flags and the endpoint of the command line; the endpoint is empty if not given."""


def phase_group(command: str, tree: Sequence[Phase], run: Runner) -> click.Group:
    """Returns the group `phase` of `command`, with a command for each phase of `tree`."""
    group = click.Group("phase", help=f"Run one phase of {command} alone.\n\nPhases run in this order:\n\n{_listing(tree)}")
    for phase in tree:
        group.add_command(_command(command, phase, run))
        _add_aliases(group, command, phase, phase.name, run)
    return group


def _add_aliases(group: click.Group, command: str, phase: Phase, path: str, run: Runner) -> None:
    """Adds the older names of a phase, hidden in help texts."""
    for alias in phase.aliases:
        made = _leaf(command, phase, alias, partial(run, path))
        made.hidden = True
        group.add_command(made)


def _listing(tree: Sequence[Phase]) -> str:
    rows = ["\b"]
    for phase in tree:
        if not phase.hidden:
            rows.append(f"  {phase.name:22} {phase.help}")
            rows += [f"    /{child.name:19} {child.help}" for child in phase.children if not child.hidden]
    return "\n".join(rows)


def _command(command: str, phase: Phase, run: Runner) -> click.Command:
    if not phase.children:
        return _leaf(command, phase, phase.name, partial(run, phase.name))
    group = click.Group(phase.name, help=f"{phase.help}\n\n\b\nExample:\n  quorate {command} phase {phase.name} --help")
    for child in phase.children:
        path = f"{phase.name}/{child.name}"
        group.add_command(_leaf(f"{command} phase {phase.name}", child, child.name, partial(run, path)))
        _add_aliases(group, f"{command} phase {phase.name}", child, path, run)
    # kubeadm has no "all" next to an only child.
    if len(phase.children) > 1 or phase.flags:
        group.add_command(_leaf(f"{command} phase {phase.name}", phase, "all", partial(run, phase.name)))
    return group


def _leaf(command: str, phase: Phase, name: str, run: Callable[[Given, str], None]) -> click.Command:
    def callback(**parameters: Any) -> None:
        given = Given.of(parameters)
        run(given, parameters.get("endpoint") or "")

    text = phase.help if name != "all" else f"Run all of these, in order: {', '.join(child.name for child in phase.children)}."
    verb = command if " phase" in command else f"{command} phase"
    shown = " --dry-run" if "dry-run" in phase.flags else ""
    help_text = f"{text}\n\n\b\nExample:\n  quorate {verb} {name}{shown}"
    decorated = output_option("text", "json")(with_flags(phase.flags)(callback))
    if "discovery-token" in phase.flags:
        decorated = click.argument("endpoint", required=False, metavar="[HOST:PORT]")(decorated)
    return click.command(name, help=help_text, hidden=phase.hidden)(decorated)
