"""Commands made from trees of phases: `init phase certs ca`, `init phase certs all`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import click

from quorate.cli.common import commands
from quorate.cli.common.output import output_option
from quorate.cli.kubeadm.flags import ROOTFS, Given, rootfs_option, with_flags
from quorate.phases.base.runner import Phase

Runner = Callable[[str, Given, str], None]
"""Runs the phase at a path with the flags and the endpoint of the command line; the endpoint is empty if not given."""


PROXIES = {"HTTP_PROXY, HTTPS_PROXY, NO_PROXY": "In either case; handed on to the static pods of the control plane."}


class PhasedGroup(commands.Group):
    """A group whose help lists the phases of `tree`, as kubeadm's does."""

    def __init__(self, *args: Any, tree: Sequence[Phase] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tree = tree

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        with formatter.section("Phases, in this order"):
            formatter.write_dl(list(_listing(self.tree)))


def phased_group(name: str, tree: Sequence[Phase], **settings: Any) -> Callable[[Callable[..., Any]], commands.Group]:
    """Returns a decorator for the group of a run that consists of phases."""
    return commands.group(name, **{"cls": PhasedGroup, **settings}, tree=tree)


def phase_group(command: str, tree: Sequence[Phase], run: Runner) -> click.Group:
    """Returns the group `phase` of `command`, with a command for each phase of `tree`."""
    example = f"quorate {command} phase {tree[0].name} --help"
    text = f"Run one phase of {command} alone.\n\n\b\nExample:\n  {example}"
    group = PhasedGroup("phase", help=text, tree=tree, params=[rootfs_option()], hands_down=ROOTFS, callback=_nothing)
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


def _nothing(**_parameters: Any) -> None:
    """Is run before a command of the group: its options are only handed down."""


def _listing(tree: Sequence[Phase]) -> Iterator[tuple[str, str]]:
    """Yields the rows of a help: each phase that is shown, and its parts as kubeadm spells them."""
    for phase in tree:
        if not phase.hidden:
            yield phase.name, phase.help
            yield from ((f"  /{child.name}", child.help) for child in phase.children if not child.hidden)


def _command(command: str, phase: Phase, run: Runner) -> click.Command:
    if not phase.children:
        return _leaf(command, phase, phase.name, partial(run, phase.name))
    text = f"{phase.help}\n\n\b\nExample:\n  quorate {command} phase {phase.name} --help"
    group = commands.Group(phase.name, help=text, params=[rootfs_option()], hands_down=ROOTFS, callback=_nothing)
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

    text = (
        phase.help
        if name != "all"
        else f"Run all of these, in order: {', '.join(child.name for child in phase.children if not child.hidden)}."
    )
    verb = command if " phase" in command else f"{command} phase"
    shown = " --dry-run" if "dry-run" in phase.flags else ""
    help_text = f"{text}\n\n\b\nExample:\n  quorate {verb} {name}{shown}"
    decorated = output_option("text", "json")(with_flags(phase.flags)(callback))
    if "discovery-token" in phase.flags:
        decorated = click.argument("endpoint", required=False, metavar="[HOST:PORT]")(decorated)
    return commands.command(name, help=help_text, hidden=phase.hidden)(decorated)
