"""What an operator can do about a decision, as a command for the cluster that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.core.autopilot.case import Next

_ADD: dict[str, tuple[str, ...]] = {"too-few-voters": (), "too-few-standbys": ("--standby",)}
_SEAT = ("--occupy-the-seat",)
"""What a standby of a cluster that is not local takes the consent to."""
"""The rules that miss a member, and how it is to be added."""


def advice(found: Next, folder: Path | None) -> str:
    """Returns the command that makes what is missing, with the flags of the connection; empty where nothing is missing."""
    if found.rule == "not-prepared":
        return to_paste("quorate", "autopilot", "unit", "--stacked")
    more = _ADD.get(found.rule)
    if more is None:
        return ""
    if folder is not None:
        return to_paste("quorate", "local", "join", "NAME", *more, "--dir", str(folder))
    return to_paste("quorate", "etcd", "add", "NAME", *more, *(_SEAT if more else ()))


def advised(found: Next, folder: Path | None) -> str:
    """Returns why it was decided so, and what can be done about it."""
    command = advice(found, folder)
    lead = "on that node" if found.rule == "not-prepared" else "add one"
    return f"{found.why}; {lead}: {command}" if command else found.why


def decision_fields(found: Next, folder: Path | None) -> dict[str, object]:
    """Returns a decision as JSON fields, with what can be done about it where that is known."""
    from quorate.etcd.autopilot.loop import next_fields

    command = advice(found, folder)
    return {**next_fields(found), **({"advice": command} if command else {})}
