"""`quorate autopilot status|explain|history`: what it decided, by which rule, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorate.cli.autopilot.meant import cluster_meant, cluster_options
from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import echo, emit, output_option, print_table
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member, margin_of
from quorate.foreign.values import mapping_of, rows_of, text_of

if TYPE_CHECKING:
    from quorate.etcd.autopilot.loop import Round
    from quorate.etcd.coordination.autopilot_records import Entry, Orders
    from quorate.etcd.coordination.this_run import Origin


@command(ends=READS)
@cluster_options
@output_option()
def status(folder: Path | None, form: str) -> None:
    """Show the policy, the instance that acts and what it decided last.

    \b
    Examples:
      quorate autopilot status
      quorate autopilot status -o json
    """
    decided, wall = _decided(folder)

    def table() -> None:
        orders, view = decided.orders, decided.view
        echo(_acting(orders, wall))
        if view is not None:
            standbys = [one.name or format_id(one.id) for one in view.learners if one.id in orders.standbys]
            policy = decided.policy
            echo(f"voters    {len(view.voters)} of {policy.voters}, {max(margin_of(view), 0)} may fail")
            echo(f"standbys  {len(standbys)} of {policy.standbys}{': ' if standbys else ''}{', '.join(standbys)}")
        if orders.pause is not None and orders.pause.until > wall:
            echo(f"paused    until {_time(orders.pause.until)}: {orders.pause.why or 'no reason was given'}")
        for member_id, order in orders.holds.items():
            if order.until > wall:
                echo(f"held      {_name(view, member_id)} until {_time(order.until)}: {order.why or 'no reason was given'}")
        echo(f"now       {decided.next.rule}: {decided.next.why}")

    emit(form, "AutopilotStatus", _status(decided, wall), table)


@command(ends=READS)
@cluster_options
@output_option()
def explain(folder: Path | None, form: str) -> None:
    """Show why nothing is done, or what is next, and by which rule.

    Each guard and each rule is judged by itself, on a look of this command. How long a voter has been silent is what the
    instance that acts has seen; only its own looks prove a voter lost.

    \b
    Examples:
      quorate autopilot explain
      quorate autopilot explain -o json
    """
    from quorate.core.decide_autopilot import explained
    from quorate.etcd.autopilot.loop import next_fields

    decided, wall = _decided(folder)
    rules = explained(decided.view, decided.policy, decided.memory, decided.view.taken_at) if decided.view else []
    rows = [{"name": name, **(next_fields(found) if found else {"decision": None})} for name, found in rules]

    def table() -> None:
        echo(_acting(decided.orders, wall))
        print_table(
            ("RULE", "SAYS", "WHY"),
            [(text_of(row["name"]), text_of(row.get("decision"), "-"), text_of(row.get("why"))) for row in rows],
        )
        echo(f"so: {decided.next.rule}: {decided.next.why}")

    emit(form, "AutopilotExplanation", {**_status(decided, wall), "rules": rows}, table)


@command(ends=READS)
@cluster_options
@output_option()
def history(folder: Path | None, form: str) -> None:
    """Show what it did, and what operators ordered.

    \b
    Example:
      quorate autopilot history
    """
    decided, _ = _decided(folder)
    log = decided.orders.log

    def table() -> None:
        print_table(("TIME", "DID", "WHAT", "BY"), [(_time(one.at), one.did, _what(one), _by(one.origin)) for one in log])

    emit(form, "AutopilotHistory", {"entries": [_entry(one) for one in log]}, table)


def _decided(folder: Path | None) -> tuple[Round, float]:
    """Returns one decision that changes nothing, with what the instance that acts has seen of silent voters; and the time."""
    from quorate.core.decide_autopilot import decide_autopilot
    from quorate.etcd.autopilot.loop import Autopilot

    with cluster_meant(folder) as cluster:
        decided, wall = Autopilot(cluster, acting=False).round(), cluster.clock.wall()
    if decided.view is None or decided.orders.instance is None:
        return decided, wall
    now, seen = decided.view.taken_at, mapping_of(decided.orders.instance.said.get("silentSeconds"))
    said_ago = wall - _number(decided.orders.instance.said.get("at"))
    since = {member: now - _number(seen.get(format_id(member))) - said_ago for member in decided.memory.silent_since}
    memory = replace(decided.memory, silent_since={**decided.memory.silent_since, **since})
    return replace(decided, memory=memory, next=decide_autopilot(decided.view, decided.policy, memory, now)), wall


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _status(decided: Round, wall: float) -> dict[str, Any]:
    from quorate.config.policy_document import document_of
    from quorate.etcd.autopilot.loop import next_fields

    orders, view = decided.orders, decided.view
    acting = orders.instance
    return {
        "policy": document_of(decided.policy),
        "generation": orders.generation,
        "acting": {**_origin(acting.origin), "since": acting.since, "said": dict(acting.said)} if acting else None,
        "pausedUntil": orders.pause.until if orders.pause is not None and orders.pause.until > wall else None,
        "holds": [{"member": format_id(one), "until": order.until, "why": order.why} for one, order in orders.holds.items()],
        "standbys": [format_id(one) for one in orders.standbys],
        "now": next_fields(decided.next),
        "margin": margin_of(view) if view is not None else None,
    }


def _acting(orders: Orders, wall: float) -> str:
    if orders.instance is None:
        return "acting    nobody: start one with 'quorate autopilot run'"
    said = orders.instance.said
    ago = wall - _number(said.get("at"))
    return f"acting    {_by(orders.instance.origin)}; {ago:.0f} s ago: {text_of(said.get('rule'))}: {text_of(said.get('why'))}"


def _name(view: ClusterView | None, member_id: int) -> str:
    member: Member | None = view.by_id(member_id) if view is not None else None
    return member.name if member is not None and member.name else format_id(member_id)


def _by(origin: Origin) -> str:
    return f"{origin.host} (pid {origin.pid})"


def _origin(origin: Origin) -> dict[str, object]:
    return {"host": origin.host, "pid": origin.pid}


def _time(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return "its end"


_OWN = frozenset({"format", "clusterId", "at", "did", "host", "pid", "bootId", "started", "pidNamespace"})


def _entry(one: Entry) -> dict[str, object]:
    return {"at": one.at, "did": one.did, **_origin(one.origin), **_more(one.fields)}


def _more(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in _OWN}


_WORDS = {
    "removed": "removed",
    "promoted": "promoted",
    "leads": "leadership went to",
    "removing": "removing",
    "promoting": "promoting",
    "movesLeaderTo": "moving leadership to",
}


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
