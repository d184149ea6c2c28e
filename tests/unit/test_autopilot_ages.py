"""How long the leased records of an autopilot last: a new leader of etcd gives each lease its full time again."""

from __future__ import annotations

from dataclasses import dataclass, field

from quorate.etcd.autopilot.ages import Ages
from quorate.etcd.coordination.autopilot_records import Order, Orders
from quorate.etcd.coordination.autopilot_store import DAY_SECONDS
from quorate.etcd.coordination.this_run import Origin

WHO = Origin("h", 1)


@dataclass
class Store:
    """What was asked of etcd."""

    ended: list[int] = field(default_factory=list[int])
    again: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    def end_order(self, held: int) -> None:
        self.ended.append(held)

    def spent_ago(self, orders: Orders) -> dict[int, float]:
        return {held: float(ago) for held, ago in orders.spent.items()}

    def spend_again(self, _key: bytes, held: int, left: float) -> None:
        self.again.append((held, left))


def orders() -> Orders:
    pause = Order(0.0, "", WHO, leased=True, lease=7, seconds=60.0)
    # An older version did not write for how long.
    holds = {1: Order(0.0, "", WHO, leased=True, lease=8, seconds=90.0), 2: Order(0.0, "", WHO, leased=True, lease=9)}
    return Orders(pause=pause, holds=holds)


def test_an_order_is_over_when_it_has_lasted_as_long_as_was_ordered() -> None:
    ages, store = Ages(), Store()

    def at(now: float, *, acting: bool) -> Orders:
        return ages.current(orders(), store, now, acting=acting)  # type: ignore[arg-type]

    assert at(100.0, acting=True) == orders() == at(159.0, acting=True) and store.ended == []
    assert at(160.0, acting=False).pause is None and store.ended == []
    assert at(160.0, acting=True).holds.keys() == {1, 2} and store.ended == [7]
    assert at(10_000.0, acting=True).holds.keys() == {2}
    assert sorted(store.ended) == [7, 7, 8]


def test_what_was_begun_counts_for_a_day_whoever_leads() -> None:
    ages, store = Ages(), Store()

    def spent(told: dict[int, float], now: float, *, acting: bool = True) -> tuple[float, ...]:
        return ages.spent(Orders(spent=told), store, now, acting=acting)  # type: ignore[arg-type]

    assert spent({5: 3600.0}, 100.0) == (3600.0,)
    # A new leader: the lease is new, the change is not.
    assert spent({5: 1.0}, 200.0, acting=False) == (3700.0,) and store.again == []
    assert spent({5: 1.0}, 200.0) == (3700.0,) and store.again == [(5, DAY_SECONDS - 3700.0)]
    assert spent({5: 1.0}, 100.0 + DAY_SECONDS) == ()
    assert spent({6: 50.0}, 300.0) == (50.0,) and len(store.again) == 2
