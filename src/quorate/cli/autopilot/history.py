"""`quorate autopilot history`: what it began, what it did, and what operators ordered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.autopilot.meant import cluster_options
from quorate.cli.autopilot.seen import by, dated, origin_fields, seen_by
from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import echo, emit, output_option, print_table
from quorate.deadline import utc
from quorate.foreign.values import mapping_of, rows_of, text_of

if TYPE_CHECKING:
    from quorate.etcd.coordination.autopilot_records import Entry

_OWN = frozenset({"format", "clusterId", "at", "did", "host", "pid", "bootId", "started", "pidNamespace"})
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

    emit(form, "AutopilotHistory", {"entries": None if log is None else [_entry(one) for one in log]}, table)
    seen.fail_unless_read()


def _entry(one: Entry) -> dict[str, object]:
    more = {name: value for name, value in one.fields.items() if name not in _OWN}
    return {"at": utc(one.at), "did": one.did, **origin_fields(one.origin), **more}


def _what(one: Entry) -> str:
    named = [f"{said} {_called(mapping_of(one.fields[word]))}" for word, said in _WORDS.items() if word in one.fields]
    named += [_change(row) for row in rows_of(one.fields.get("changed"))]
    details = [text_of(one.fields.get(word)) for word in ("name", "why", "error") if one.fields.get(word)]
    return "; ".join([*named, *details, *_found(one)])


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
