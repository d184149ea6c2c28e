"""What `quorate etcd watch` has seen: the looks at the cluster, and each member's lag in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from quorate.core.membership import ClusterView, lag_of
from quorate.core.meters import LagMeter

if TYPE_CHECKING:
    from quorate.etcd.client.errors import EtcdError

_MOST_LOOKS = 500
BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*%#"
_GAP = " "


@dataclass(frozen=True, slots=True)
class Frame:
    """One look: the cluster, or the `error` of reading it; `lags` are in seconds, by member id."""

    at: datetime
    view: ClusterView | None
    error: EtcdError | None
    lags: Mapping[int, float]

    @property
    def problem(self) -> str:
        """Returns why the cluster could not be read; empty where it could, and before the first look."""
        return self.error.what if self.error is not None else ""


@dataclass(slots=True)
class History:
    """The lag in entries of each member, one mapping a look, newest last. A member that did not answer is not in it: the looks
    are the time axis of every curve."""

    looks: deque[Mapping[int, int]] = field(default_factory=lambda: deque[Mapping[int, int]](maxlen=_MOST_LOOKS))
    last: ClusterView | None = None
    _meters: dict[int, LagMeter] = field(default_factory=dict[int, LagMeter])

    def add(self, view: ClusterView) -> dict[int, float]:
        """Stores this look and returns each member's lag in seconds."""
        leader = view.answer(view.leader.id) if view.leader else None
        entries: dict[int, int] = {}
        lags: dict[int, float] = {}
        for member in view.members:
            answer = view.answer(member.id)
            if answer is None or leader is None:
                continue
            entries[member.id] = lag_of(view, member)
            meter = self._meters.setdefault(member.id, LagMeter(view.taken_at))
            lags[member.id] = meter.seconds(view.taken_at, leader.raft_index, answer.applied_index)
        self.looks.append(entries)
        self.last = view
        return lags

    def miss(self) -> None:
        """Stores a look that no member answered."""
        self.looks.append({})


def most_in(looks: Sequence[Mapping[int, int]]) -> int:
    """Returns the largest lag in the looks: the scale of all curves, so that they can be compared."""
    return max((lag for look in looks for lag in look.values()), default=0)


def curve(looks: Sequence[Mapping[int, int]], member_id: int, *, most: int, plain: bool) -> str:
    """Returns one bar a look, from 0 to `most` entries, and a gap where the member did not answer. `plain`: in ASCII."""
    bars = _ASCII_BARS if plain else BARS
    return "".join(_bar(look.get(member_id), most, bars) for look in looks)


def _bar(lag: int | None, most: int, bars: str) -> str:
    if lag is None:
        return _GAP
    return bars[round(lag / most * (len(bars) - 1))] if most else bars[0]
