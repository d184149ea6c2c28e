"""One look of a command that only reads, with what the instance that acts has seen; and words for moments and processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import click

from quorate.cli.autopilot.meant import cluster_meant
from quorate.core.autopilot.case import Page, Rule, Wait
from quorate.core.ids import format_id
from quorate.errors import QuorateError
from quorate.foreign.values import mapping_of, text_of

if TYPE_CHECKING:
    from quorate.core.autopilot.case import Next
    from quorate.etcd.autopilot.loop import Round
    from quorate.etcd.coordination.autopilot_records import Instance, Orders
    from quorate.etcd.coordination.this_run import Origin


@dataclass(frozen=True, slots=True)
class Seen:
    """A decision that changes nothing, and when it was made (`wall`, unix seconds)."""

    decided: Round
    wall: float

    @property
    def orders(self) -> Orders | None:
        """Returns the records; None where they, or one of them, could not be read: what is missing might be a pause."""
        orders = self.decided.orders
        return orders if orders is not None and not orders.troubles else None

    def fail_unless_read(self) -> None:
        """Ends the command with code 1: a script must not take what is not known for a quiet cluster."""
        if self.orders is None:
            raise click.exceptions.Exit(QuorateError.exit_code)


def seen_by(folder: Path | None) -> Seen:
    """Returns one decision, with what the instance that acts has seen of silent voters: its looks are many, and this is one."""
    from quorate.core.decide_autopilot import decide_autopilot
    from quorate.etcd.autopilot.loop import Autopilot

    with cluster_meant(folder) as cluster:
        decided, wall = Autopilot(cluster, acting=False).round(), cluster.clock.wall()
    view, policy, orders = decided.view, decided.policy, decided.orders
    if view is None or policy is None or orders is None or orders.troubles:
        return Seen(decided, wall)
    if orders.instance is None:
        return Seen(nobody_counts(decided), wall)
    now, known = view.taken_at, mapping_of(orders.instance.said.get("silentSeconds"))
    # What is said in the future, by the clock of another host, is not older than a moment.
    said_ago = max(0.0, wall - number(orders.instance.said.get("at")))
    since = {
        member: now - number(known[format_id(member)]) - said_ago
        for member in decided.memory.silent_since
        if format_id(member) in known
    }
    memory = replace(decided.memory, silent_since={**decided.memory.silent_since, **since})
    found = decide_autopilot(view, policy, memory, now)
    return Seen(replace(decided, memory=memory, next=by_who_acts(found, orders.instance, said_ago)), wall)


_FRESH_SECONDS = 30.0
"""An instance says what it decided every fifteen seconds, and at once where that is something else."""


def by_who_acts(found: Next, acting: Instance, said_ago: float) -> Next:
    """Returns what the instance that acts says of a silent voter: it has the proof, and knows what comes behind it. One look
    called a loss that nothing replaces, for the budget is spent, a voter that is silent."""
    kinds: dict[str, type[Wait | Page]] = {"wait": Wait, "page": Page}
    kind, rule = kinds.get(text_of(acting.said.get("decision"))), text_of(acting.said.get("rule"))
    if found.rule != "silent" or said_ago > _FRESH_SECONDS or kind is None or rule not in get_args(Rule):
        return found
    return kind(cast("Rule", rule), text_of(acting.said.get("why")))


def nobody_counts(decided: Round) -> Round:
    """Returns a decision of which somebody has to know that it has no successor: without an instance that acts nobody counts
    for how long a voter is silent, and nothing is done."""
    found = decided.next
    if found.rule != "silent":
        return decided
    return replace(decided, next=Page("silent", f"{found.why}; no instance acts: nobody counts on, and nothing is replaced"))


def number(value: object) -> float:
    """Returns a number of a record; 0 where it is none, or one that no clock and no order has."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        return 0.0
    return float(value)


_LARGEST = 1e12


def by(origin: Origin) -> str:
    return f"{origin.host} (pid {origin.pid})"


def origin_fields(origin: Origin) -> dict[str, object]:
    return {"host": origin.host, "pid": origin.pid}


def for_people(seconds: float) -> str:
    """Returns a length of time as it is given on the command line, to the second; numbers in records are of others."""
    from quorate.core.autopilot.case import lasting

    return lasting(min(seconds, 1e9))


def dated(at: float) -> str:
    """Returns a moment (unix seconds) for people."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return "it is revoked"
