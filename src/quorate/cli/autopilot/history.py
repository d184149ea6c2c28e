"""`quorate autopilot history`: what it began, what it did, and what operators ordered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.autopilot.meant import cluster_options
from quorate.cli.autopilot.seen import by, dated, for_people, number, origin_fields, seen_by
from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import echo, emit, output_option, print_table
from quorate.deadline import utc
from quorate.foreign.values import mapping_of, rows_of, text_of

if TYPE_CHECKING:
    from quorate.etcd.coordination.autopilot_records import Entry

_OWN = frozenset({"format", "clusterId", "at", "did", "host", "pid", "bootId", "started", "pidNamespace"})
_ORDERS = ("pause", "hold")
"""What holds for a time."""
_WORDS = {
    "removed": "removed",
    "promoted": "promoted",
    "leads": "leadership went to",
    "removing": "removing",
    "promoting": "promoting",
    "movesLeaderTo": "moving leadership to",
}


@command(ends=READS)
@cluster_options
@output_option()
def history(folder: Path | None, form: str) -> None:
    """Show what it began, what it did, and what operators ordered.

    Exits with code 1 when that cannot be read.

    \b
    Example:
      quorate autopilot history
    """
    seen = seen_by(folder)
    log = seen.orders.log if seen.orders is not None else None

    def table() -> None:
        if log is None:
            echo(f"not known: {seen.decided.next.why}")
            return
        print_table(("TIME", "DID", "WHAT", "BY"), [(dated(one.at), one.did, _what(one), by(one.origin)) for one in log])

    entries = None if log is None else [_entry(one) for one in log]
    emit(form, "AutopilotHistory", {"recordsRead": log is not None, "entries": entries}, table)
    seen.fail_unless_read()


def _entry(one: Entry) -> dict[str, object]:
    more = {name: value for name, value in one.fields.items() if name not in _OWN}
    until = {"until": utc(_until(one)) if _seconds(one) else None} if one.did in _ORDERS else {}
    return {"at": utc(one.at), "did": one.did, **origin_fields(one.origin), **more, **until}


def _seconds(one: Entry) -> float:
    """Returns for how long an order was given; 0 of one that ended another. It is of others, and may be no number."""
    return max(0.0, number(one.fields.get("seconds")))


def _until(one: Entry) -> float:
    return one.at + _seconds(one)


def _terms(one: Entry) -> list[str]:
    """Returns how long an order holds, or that it was ended before its time."""
    if one.did == "resume" or (one.did in _ORDERS and not _seconds(one)):
        return ["ended"]
    return [f"for {for_people(_seconds(one))}, until {dated(_until(one))}"] if one.did in _ORDERS else []


def _what(one: Entry) -> str:
    named = [f"{said} {_called(mapping_of(one.fields[word]))}" for word, said in _WORDS.items() if word in one.fields]
    named += [_change(row) for row in rows_of(one.fields.get("changed"))]
    who = text_of(one.fields.get("name")) or (text_of(one.fields.get("member")) if one.did == "hold" else "")
    details = [text_of(one.fields.get(word)) for word in ("why", "error")]
    return "; ".join(filter(None, [*named, who, *_terms(one), *details, *_found(one)]))


def _found(one: Entry) -> list[str]:
    """Returns what the members of a failed action were after it."""
    if "found" not in one.fields:
        return []
    if one.fields["found"] is None:
        return ["not known: what the members were after it"]
    seen = ", ".join(f"{_called(row)} was {_a(text_of(row.get('is')))}" for row in rows_of(one.fields["found"]))
    return [f"after it {seen}"]


def _a(role: str) -> str:
    return role if role.startswith("no ") else f"a {role}"


def _called(member: Mapping[str, object]) -> str:
    return text_of(member.get("name")) or text_of(member.get("id"))


def _change(row: Mapping[str, object]) -> str:
    before, after = text_of(row.get("before")) or "none", text_of(row.get("after")) or "none"
    return f"{text_of(row.get('path'))}: {before} -> {after}"
