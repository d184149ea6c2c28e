"""`quorate autopilot status|explain`: what it decides now, and by which rule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorate.cli.autopilot.advice import advised, decision_fields
from quorate.cli.autopilot.meant import cluster_options, of_this_cluster
from quorate.cli.autopilot.seen import Seen, by, dated, number, origin_fields, seen_by
from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import echo, emit, output_option, print_table
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member, margin_of
from quorate.deadline import utc
from quorate.foreign.values import text_of

if TYPE_CHECKING:
    from quorate.core.autopilot.policy import Policy
    from quorate.etcd.coordination.autopilot_records import Instance, Orders

_NOT_KNOWN = "not known"
_CLOCKS_SECONDS = 2.0
"""So far the clocks of two hosts may differ before it is said."""
_OLDEST_WORD_SECONDS = 45.0
"""An instance whose key is there has renewed it within 15 s, and says what it decided as often."""


@command(ends=READS)
@cluster_options
@output_option()
def status(folder: Path | None, form: str) -> None:
    """Show the policy, the instance that acts and what it decided last.

    Exits with code 1 when what is kept in etcd cannot be read.

    \b
    Examples:
      quorate autopilot status
      quorate autopilot status -o json
    """
    seen = seen_by(folder)

    def table() -> None:
        decided, view = seen.decided, seen.decided.view
        echo(f"acting    {_acting(seen, folder)}")
        echo(f"policy    {_policy(seen)}")
        if view is not None:
            echo(f"voters    {_voters(view, decided.policy)}")
            echo(f"standbys  {_standbys(view, seen)}")
        for line in _forbidden(seen):
            echo(line)
        echo(f"now       {decided.next.rule}: {advised(decided.next, folder)}")

    emit(form, "AutopilotStatus", _status(seen, folder), table)
    seen.fail_unless_read()


@command(ends=READS)
@cluster_options
@output_option()
def explain(folder: Path | None, form: str) -> None:
    """Show why nothing is done, or what is next, and by which rule.

    Each guard and each rule is judged by itself, on a look of this command; quiet: it does not apply. How long a voter has been
    silent is what the instance that acts has seen; only its own looks prove a voter lost. Exits with code 1 when what is kept
    in etcd cannot be read.

    \b
    Examples:
      quorate autopilot explain
      quorate autopilot explain -o json
    """
    seen = seen_by(folder)
    decided, rows = seen.decided, _rules(seen, folder)

    def table() -> None:
        echo(f"acting    {_acting(seen, folder)}")
        if rows is None:
            echo(f"rules     {_NOT_KNOWN}: {decided.next.why}")
        else:
            print_table(("NAME", "SAYS", "RULE", "WHY"), [_explained(row) for row in rows])
        echo(f"so: {decided.next.rule}: {advised(decided.next, folder)}")

    emit(form, "AutopilotExplanation", {**_status(seen, folder), "rules": rows}, table)
    seen.fail_unless_read()


def _rules(seen: Seen, folder: Path | None) -> list[dict[str, object]] | None:
    """Returns what each guard and rule says; None where what they judge by was not read."""
    from quorate.core.decide_autopilot import explained

    view, policy = seen.decided.view, seen.decided.policy
    if view is None or policy is None or seen.orders is None:
        return None
    rules = explained(view, policy, seen.decided.memory, view.taken_at)
    return [
        {"name": name, **(decision_fields(found, folder) if found is not None else {"decision": None})} for name, found in rules
    ]


def _explained(row: dict[str, object]) -> tuple[str, ...]:
    words = [text_of(row.get(word)) for word in ("why", "advice")]
    return text_of(row["name"]), text_of(row["decision"], "quiet"), text_of(row.get("rule")), "; ".join(filter(None, words))


def _status(seen: Seen, folder: Path | None) -> dict[str, Any]:
    from quorate.config.policy_document import document_of

    decided, orders, wall = seen.decided, seen.orders, seen.wall
    view, policy = decided.view, decided.policy if orders is not None else None
    return {
        "recordsRead": orders is not None,
        "policy": document_of(policy) if policy is not None else None,
        "generation": orders.generation if orders is not None else None,
        "acting": _acting_fields(orders.instance) if orders is not None and orders.instance is not None else None,
        **_orders_fields(orders, view, wall),
        "now": decision_fields(decided.next, folder),
        "voters": {"listed": len(view.voters), "answering": view.answering_voters} if view is not None else None,
        "margin": margin_of(view) if view is not None else None,
    }


def _orders_fields(orders: Orders | None, view: ClusterView | None, wall: float) -> dict[str, object]:
    if orders is None or view is None:
        return dict.fromkeys(("paused", "pausedUntil", "holds", "standbys", "staleMarks"))
    stale = _stale_marks(orders, view)
    paused = orders.pause is not None and orders.pause.forbids(wall)
    return {
        "paused": paused,
        "pausedUntil": utc(orders.pause.until) if orders.pause is not None and paused else None,
        "holds": [{"member": format_id(one), "until": utc(held.until), "why": held.why} for one, held in orders.holds.items()],
        "standbys": [format_id(one) for one in orders.standbys if one not in stale],
        "staleMarks": [format_id(one) for one in stale],
    }


def _stale_marks(orders: Orders, view: ClusterView) -> list[int]:
    """Returns the members that are marked as standbys and are no learners of the cluster any more: removed by hand, or promoted
    by a program that knows no marks."""
    return [one for one in orders.standbys if (member := view.by_id(one)) is None or not member.is_learner]


def _acting_fields(acting: Instance) -> dict[str, object]:
    said = {**acting.said, **({"at": utc(number(acting.said["at"]))} if "at" in acting.said else {})}
    return {**origin_fields(acting.origin), "since": utc(acting.since), "said": said}


def _acting(seen: Seen, folder: Path | None) -> str:
    orders = seen.orders
    if orders is None:
        return f"{_NOT_KNOWN}: {seen.decided.next.why}"
    if orders.instance is None:
        return f"nobody; to start one: {of_this_cluster('run', folder=folder)}"
    said = orders.instance.said
    return (
        f"{by(orders.instance.origin)}; {_ago(seen, orders.instance)}: {text_of(said.get('rule'))}: {text_of(said.get('why'))}"
    )


def _ago(seen: Seen, acting: Instance) -> str:
    """Returns how old its last word is, by the clocks of two hosts."""
    ago = seen.wall - number(acting.said.get("at"))
    if -_CLOCKS_SECONDS <= ago <= _OLDEST_WORD_SECONDS:
        return f"{max(ago, 0):.0f} s ago"
    off = f"{-ago:.0f} s ahead of" if ago < 0 else f"{ago - _OLDEST_WORD_SECONDS:.0f} s behind"
    return f"by the clock of {acting.origin.host}, which is at least {off} this host's (compare both: timedatectl)"


def _policy(seen: Seen) -> str:
    from quorate.config.policy_document import flat_document

    policy, orders = seen.decided.policy, seen.orders
    if policy is None or orders is None:
        return _NOT_KNOWN
    which = f"number {orders.generation}" if orders.policy is not None else "none is set; followed would be"
    return f"{which}: {', '.join(f'{path} {value}' for path, value in flat_document(policy).items())}"


def _voters(view: ClusterView, policy: Policy | None) -> str:
    """Members are listed whether or not they live: each number says what it counts."""
    left = margin_of(view)
    wanted = f"{policy.voters} wanted" if policy is not None else f"{_NOT_KNOWN} how many are wanted"
    fail = f"{left} may fail" if left >= 0 else "no quorum"
    return f"{len(view.voters)} listed, {_answer(view.answering_voters)}; {wanted}; {fail}"


def _standbys(view: ClusterView, seen: Seen) -> str:
    policy, orders = seen.decided.policy, seen.orders
    if policy is None or orders is None:
        return _NOT_KNOWN
    there = [one for one in view.learners if one.id in orders.standbys]
    answering = sum(1 for one in there if view.answer(one.id) is not None)
    names = f" ({', '.join(one.name or format_id(one.id) for one in there)})" if there else ""
    return f"{len(there)} listed{names}, {_answer(answering)}; {policy.standbys} wanted"


def _answer(count: int) -> str:
    return f"{count} answers" if count == 1 else f"{count} answer"


def _forbidden(seen: Seen) -> list[str]:
    """Returns a line for each order that holds now."""
    orders, view, wall = seen.orders, seen.decided.view, seen.wall
    if orders is None:
        return [f"orders    {_NOT_KNOWN}"]
    lines: list[str] = []
    if orders.pause is not None and orders.pause.forbids(wall):
        lines.append(f"paused    until {dated(orders.pause.until)}: {orders.pause.why or 'no reason was given'}")
    for member_id, order in orders.holds.items():
        if order.forbids(wall):
            why = order.why or "no reason was given"
            lines.append(f"held      {_name(view, member_id)} until {dated(order.until)}: {why}")
    for member_id in _stale_marks(orders, view) if view is not None else ():
        marked = orders.standbys[member_id] or format_id(member_id)
        lines.append(
            f"stale     {marked} is marked as a standby, and is no learner of this cluster any more: that counts for nothing"
        )
    return lines


def _name(view: ClusterView | None, member_id: int) -> str:
    member: Member | None = view.by_id(member_id) if view is not None else None
    return member.name if member is not None and member.name else format_id(member_id)
