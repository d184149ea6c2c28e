"""Link heartbeats in the byte counters of members: how many others one hears, at least.

Each stream between two members carries one every 5/3 s, whatever else it carries, and between two members there are two streams
in each direction. They carry no sender: a member counts those of all others together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quorate.core.membership import ClusterView
from quorate.core.versions import Version
from quorate.etcd.client.metrics import Metrics

PERIOD_SECONDS = 5 / 3
"""Seconds between two on one stream (rafthttp `ConnReadTimeout` / 3)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the link heartbeat counter, the moments before and after it, the page that showed it, and its number:
    when its process began, and how many pages it had served."""

    asked_at: float
    got_at: float
    value: float
    page: Metrics | None = None
    began: float = 0.0
    served: float = 0.0

    def received(self, member_id: int) -> float:
        return (self.page.received_bytes(member_id) or 0.0) if self.page else 0.0


_OWN = {(3, 4): 60, (3, 5): 60, (3, 6): 40, (3, 7): 4}
_MIXED = {((3, 6), (3, 5)): 52, ((3, 7), (3, 6)): 22}
"""Bytes that one beat on both streams adds, by receiver and sender where these differ (measured): one stream holds the whole
message, with the fields that its sender's version writes."""


def beat_bytes(receiver: Version, sender: Version | None) -> int:
    """Returns the bytes that one beat of `sender`, on both streams, adds to the counter of `receiver`; the most that any
    sender's may add where its version is not known. With the receiver's alone, one 3.6 member counted as five at a 3.7 one."""
    own = _OWN.get(receiver.series, _OWN[3, 7] if receiver.series > (3, 7) else 60)
    mixed = [size for (at, _), size in _MIXED.items() if at == receiver.series]
    if sender is None:
        return max(own, *mixed) if mixed else own
    return _MIXED.get((receiver.series, sender.series), own)


def beats_of(view: ClusterView, receiver: int, senders: Iterable[int]) -> list[int]:
    """Returns the bytes of one beat of each of `senders` at the member `receiver`. One that does not answer has the version of
    all others, where these have one."""
    versions = {one.id: Version.told(answer.version) for one in view.members if (answer := view.answer(one.id)) is not None}
    series = {version.series for version in versions.values()}
    common = next(iter(versions.values())) if len(series) == 1 else None
    own = versions.get(receiver)
    return [beat_bytes(own, versions.get(one, common)) for one in senders] if own is not None else []


def least_beat(view: ClusterView, receiver: int) -> int:
    """Returns the least bytes that one beat of any member adds at `receiver`."""
    answer = view.answer(receiver)
    return _OWN.get(Version.told(answer.version).series, 4) if answer is not None else 4


def hears(samples: Sequence[Sample], senders: Sequence[int], since: float = -math.inf) -> int:
    """Returns of how many others, at least, the streams reach this member, by windows that end at `since` or later. `senders`:
    the bytes of one beat of each other that may be heard.

    A window shorter than k periods holds at most k heartbeats of each stream. So a count of k for every stream in such a window
    leaves none out. A longer window proves nothing, because one stream may make up for another; nor does a lower count.
    """
    largest = sorted(senders, reverse=True)
    return max((_fit(value / periods, largest) for value, periods in _windows(samples, since)), default=0)


def exceeds(samples: Sequence[Sample], senders: Sequence[int], more: int) -> bool:
    """Returns whether a window holds more than `senders` can have sent, by at least one whole beat of `more` bytes."""
    known = sum(senders)
    return any(value >= periods * (known + more) for value, periods in _windows(samples, -math.inf))


def _windows(samples: Sequence[Sample], since: float) -> list[tuple[float, int]]:
    found: list[tuple[float, int]] = []
    for last, end in enumerate(samples):
        if end.got_at < since:
            continue
        for start in samples[:last]:
            periods = int((end.got_at - start.asked_at) / PERIOD_SECONDS) + 1
            found.append((end.value - start.value, periods))
    return found


def _fit(value: float, largest: Sequence[int]) -> int:
    """Returns how many senders, the largest first, the bytes of one period are enough for."""
    count, left = 0, value
    for size in largest:
        left -= size
        if left < -1e-6:
            break
        count += 1
    return count
