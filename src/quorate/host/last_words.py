"""What the log of a program that ended says about why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.values import text_of

_MOST_LINES, _MOST_LETTERS = 400, 300
_LOOK_BACK = 12
"""Lines before etcd's last entry among which the warning lies that led to it."""
_ASKED_OTHERS = "retrieve cluster information"
_DISTRUST = re.compile(r"tls: |certificate")
_TROUBLE = re.compile(r"error|fatal|panic|not defined|unknown|cannot|denied|in use|\bfailed", re.IGNORECASE)


def etcd_reason(lines: Sequence[str]) -> str:
    """Of etcd's log: its last fatal, panic or error entry, behind what another member answered where that is the cause.
    Empty when it gives none."""
    for number, line in reversed(list(enumerate(lines))):
        words = _complaint(line)
        if words:
            cause = _refusal(lines[max(0, number - _LOOK_BACK) : number]) if _ASKED_OTHERS in words else ""
            return f"{cause}; {words}" if cause else words
    return ""


def _refusal(lines: Sequence[str]) -> str:
    """Why the others gave no answer; that one does not trust us says more than that another does not run."""
    warnings = [entry for entry in map(_entry, lines) if entry.get("level") == "warn" and "address" in entry]
    distrust = [entry for entry in warnings if _DISTRUST.search(text_of(entry.get("error")))]
    return _words((distrust or warnings)[-1]) if warnings else ""


def _complaint(line: str) -> str:
    """What a line says about why it ended; empty when it says nothing about that."""
    if line.startswith("panic: ") or "executable file" in line or "flag provided but not defined" in line:
        return line[:_MOST_LETTERS]
    entry = _entry(line)
    ended = entry.get("level") in ("fatal", "panic", "error") or "removed from the cluster" in text_of(entry.get("msg"))
    return _words(entry) if ended else ""


def _words(entry: Mapping[str, object]) -> str:
    return ": ".join(part[:_MOST_LETTERS] for part in map(text_of, (entry.get("msg"), entry.get("error"))) if part)


def _entry(line: str) -> Mapping[str, object]:
    """An entry of a log in JSON; nothing for another line."""
    try:
        return dict(read_object(line.encode(errors="replace"), "a line", RECORD)) if line.startswith("{") else {}
    except BadDocument:
        return {}


def of_container(content: bytes) -> str:
    """Of a container's log (CRI format: time, stream, tag, text): what an etcd gives as its reason; of others the first lines
    that speak of an error, or else the last ones. One that does not understand a flag prints its whole help behind that."""
    lines = content.decode(errors="replace").splitlines()[-_MOST_LINES:]
    told = [line.split(" ", 3)[-1].strip() for line in lines]
    reason = etcd_reason(told)
    chosen = [reason] if reason else _telling([line[:_MOST_LETTERS] for line in told])
    return f"Its last words: {' | '.join(chosen)}" if chosen else "It said nothing."


def _telling(lines: list[str]) -> list[str]:
    bad = [line for line in lines if _TROUBLE.search(line)]
    return list(dict.fromkeys(bad[:2] or lines[-3:]))
