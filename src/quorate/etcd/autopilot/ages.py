"""How long the leased records of an autopilot have been there, by its own clock too.

A new leader of etcd gives every lease its full time again. By the lease alone a pause began anew with each election, and where
leadership changed once a day a replacement counted against the budget for ever.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from quorate.etcd.client.errors import EtcdError
from quorate.etcd.coordination.autopilot_records import PAUSE, Order, Orders, hold_key
from quorate.etcd.coordination.autopilot_store import DAY_SECONDS, AutopilotStore

_RESTARTED_SECONDS = 60.0
"""A lease that is so much younger than it was has been given its full time again."""


@dataclass(slots=True)
class Ages:
    """What one instance has seen. `_first`: how old each lease was at the first look, and when that was."""

    _first: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])

    def age(self, lease: int, reported: float, now: float) -> float:
        """Returns the age of a lease in seconds. `reported`: by the time that etcd says it has left."""
        age, at = self._first.setdefault(lease, (reported, now))
        return max(reported, age + now - at)

    def current(self, orders: Orders, store: AutopilotStore, now: float, *, acting: bool) -> Orders:
        """Returns the orders without those that have lasted for as long as was ordered; the acting instance deletes these, so
        that they are over for everybody."""
        ended = {key: order for key, order in _leased(orders).items() if self._is_over(order, now)}
        if acting:
            for order in ended.values():
                with suppress(EtcdError):
                    store.end_order(order.lease)
        holds = {member: order for member, order in orders.holds.items() if hold_key(member) not in ended}
        return replace(orders, pause=None if PAUSE in ended else orders.pause, holds=holds)

    def _is_over(self, order: Order, now: float) -> bool:
        return 0 < order.seconds <= self.age(order.lease, 0.0, now)

    def spent(self, orders: Orders, store: AutopilotStore, now: float, *, acting: bool) -> tuple[float, ...]:
        """Returns how many seconds ago each change was begun that counts against the budget. The acting instance gives one
        whose lease was begun anew the time that it really has left."""
        reported = store.spent_ago(orders)
        ages = {lease: self.age(lease, age, now) for lease, age in reported.items()}
        if acting:
            for lease in [one for one, age in ages.items() if age - reported[one] > _RESTARTED_SECONDS]:
                with suppress(EtcdError):
                    store.spend_again(orders.spent[lease], lease, DAY_SECONDS - ages[lease])
        return tuple(age for age in ages.values() if age < DAY_SECONDS)


def _leased(orders: Orders) -> dict[bytes, Order]:
    found = {hold_key(member): order for member, order in orders.holds.items()}
    if orders.pause is not None:
        found[PAUSE] = orders.pause
    return {key: order for key, order in found.items() if order.lease}
