"""Finds in the log of a program why it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.values import text_of

_MOST_LINES, _MOST_LETTERS = 400, 300
_LOOK_BACK = 12
"""The warning that led to etcd's last entry is within this many lines before it."""
_ASKED_OTHERS = "retrieve cluster information"
_DISTRUST = re.compile(r"tls: |certificate")
_STARTS, _ENDS = "starting an etcd server", "server error"
_REMOVED = "the member has been permanently removed from the cluster"
"""The same from 3.4 to 3.7. The entries after it, such as "listener failed", are consequences."""
_TROUBLE = re.compile(r"error|fatal|panic|not defined|unknown|cannot|denied|in use|\bfailed", re.IGNORECASE)


def etcd_reason(lines: Sequence[str]) -> str:
    """Returns the last fatal, panic or error entry of etcd's log; empty when there is none. When another member's answer is the
    cause, that answer comes first; that the member was removed is the cause wherever it is reported."""
    if ended_by_removal(lines):
        return _REMOVED
    for number, line in reversed(list(enumerate(lines))):
        words = _complaint(line)
        if words:
            cause = _refusal(lines[max(0, number - _LOOK_BACK) : number]) if _ASKED_OTHERS in words else ""
            return f"{cause}; {words}" if cause else words
    return ""


def ended_by_removal(lines: Sequence[str]) -> bool:
    """Returns whether the last etcd that wrote the log ended because its member was removed: it applied the removal, or another
    member answered that it had."""
    for entry in map(_entry, reversed(lines)):
        if entry.get("msg") == _STARTS:
            return False
        if entry.get("msg") == _ENDS and entry.get("error") == _REMOVED:
            return True
    return False


def _refusal(lines: Sequence[str]) -> str:
    """Returns why the other members gave no answer. That one does not trust us explains more than that one does not run."""
    warnings = [entry for entry in map(_entry, lines) if entry.get("level") == "warn" and "address" in entry]
    distrust = [entry for entry in warnings if _DISTRUST.search(text_of(entry.get("error")))]
    return _words((distrust or warnings)[-1]) if warnings else ""


def _complaint(line: str) -> str:
    """Returns what a line reports about the cause of the exit; empty when it reports none."""
    if line.startswith("panic: ") or "executable file" in line or "flag provided but not defined" in line:
        return line[:_MOST_LETTERS]
    entry = _entry(line)
    ended = entry.get("level") in ("fatal", "panic", "error") or "removed from the cluster" in text_of(entry.get("msg"))
    return _words(entry) if ended else ""


def _words(entry: Mapping[str, object]) -> str:
    return ": ".join(part[:_MOST_LETTERS] for part in map(text_of, (entry.get("msg"), entry.get("error"))) if part)


def _entry(line: str) -> Mapping[str, object]:
    """Returns an entry of a JSON log; an empty mapping for any other line."""
    try:
        return dict(read_object(line.encode(errors="replace"), "a line", RECORD)) if line.startswith("{") else {}
    except BadDocument:
        return {}


def of_container(content: bytes) -> str:
    """Returns the decisive lines of a container's log (CRI format: time, stream, tag, text), as one sentence.

    These are etcd's reason, else the first two lines with an error, else the last three lines. Not the last errors: a program
    prints its whole help after an unknown flag.
    """
    lines = content.decode(errors="replace").splitlines()[-_MOST_LINES:]
    told = [line.split(" ", 3)[-1].strip() for line in lines]
    reason = etcd_reason(told)
    chosen = [reason] if reason else _telling([line[:_MOST_LETTERS] for line in told])
    return f"Its log: {' | '.join(chosen)}" if chosen else "Its log is empty or missing."


def _telling(lines: list[str]) -> list[str]:
    bad = [line for line in lines if _TROUBLE.search(line)]
    return list(dict.fromkeys(bad[:2] or lines[-3:]))
