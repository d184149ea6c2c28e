"""One look of a command that only reads, with what the instance that acts has seen; and words for moments and processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.autopilot.meant import cluster_meant
from quorate.core.ids import format_id
from quorate.errors import QuorateError
from quorate.foreign.values import mapping_of

if TYPE_CHECKING:
    from quorate.etcd.autopilot.loop import Round
    from quorate.etcd.coordination.autopilot_records import Orders
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
    if view is None or policy is None or orders is None or orders.instance is None or orders.troubles:
        return Seen(decided, wall)
    now, known = view.taken_at, mapping_of(orders.instance.said.get("silentSeconds"))
    # What is said in the future, by the clock of another host, is not older than a moment.
    said_ago = max(0.0, wall - number(orders.instance.said.get("at")))
    since = {
        member: now - number(known[format_id(member)]) - said_ago
        for member in decided.memory.silent_since
        if format_id(member) in known
    }
    memory = replace(decided.memory, silent_since={**decided.memory.silent_since, **since})
    return Seen(replace(decided, memory=memory, next=decide_autopilot(view, policy, memory, now)), wall)


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
