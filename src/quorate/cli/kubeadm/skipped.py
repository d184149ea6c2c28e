"""What a file leaves out of a run, judged as the run itself does: phases that there are not, and checks that nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from quorate.config.findings import Finding
from quorate.config.load import Loaded

if TYPE_CHECKING:
    from quorate.phases.base.runner import Phase


def doubts_of(loaded: Loaded) -> list[Finding]:
    """Returns a problem for each phase to skip that there is not, and a note for each check to ignore that there is not."""
    found: list[Finding] = []
    ignored = "ignorePreflightErrors"
    for kind, command, run in (
        ("InitConfiguration", "init", loaded.init),
        ("JoinConfiguration", "join", loaded.join),
    ):
        if run is not None:
            found += _phases(kind, command, run.skip_phases)
            found += _checks(kind, f"nodeRegistration.{ignored}", run.node_registration.ignore_preflight_errors)
    if loaded.reset is not None:
        found += _phases("ResetConfiguration", "reset", loaded.reset.skip_phases)
        found += _checks("ResetConfiguration", ignored, loaded.reset.ignore_preflight_errors)
    return found


def _tree(command: str) -> Sequence[Phase]:
    # Most files skip nothing, and need none of these.
    if command == "init":
        from quorate.phases.init.tree import TREE as INIT

        return INIT
    if command == "join":
        from quorate.phases.join.tree import TREE as JOIN

        return JOIN
    from quorate.phases.reset.tree import TREE as RESET

    return RESET


def _phases(kind: str, command: str, skipped: Sequence[str]) -> Iterator[Finding]:
    if not skipped:
        return
    from quorate.phases.base.runner import question, unknown

    tree = _tree(command)
    for number, name in enumerate(skipped):
        if unknown(tree, [name]):
            advice = question(tree, [name]) or f"'quorate {command} phase --help' lists them"
            yield Finding(kind, f"skipPhases[{number}]", f"there is no phase {name!r}; {advice}")


def _checks(kind: str, path: str, ignored: Sequence[str]) -> Iterator[Finding]:
    if not ignored:
        return
    from quorate.preflight.names import doubts

    for number, name in enumerate(ignored):
        for doubt in doubts([name]):
            yield Finding(kind, f"{path}[{number}]", doubt, is_note=True)
