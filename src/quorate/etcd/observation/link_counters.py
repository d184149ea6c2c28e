"""The links between members, judged by the byte counters in their metrics."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field
from functools import partial

from quorate.core.link_worlds import Hearing
from quorate.core.membership import ClusterView, Member, MemberStatus
from quorate.core.versions import Version
from quorate.deadline import Clock
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.observation.look import endpoint_of

PERIOD_SECONDS = 5 / 3
"""Each stream between two members carries a link heartbeat this often, whatever else it carries (rafthttp
`ConnReadTimeout` / 3), and between two members there are two streams in each direction."""

PATIENCE_SECONDS = 8.0
"""How long a link may be down before it counts as missing. Peers dial a new member within a tenth of a second; counters need
a full period of 1.7 s, and four seconds more to distinguish a dead member from one that is only silent to us."""

_STREAMS = 2
_EVERY_SECONDS = 0.2
_SCRAPE_SECONDS = 1.0
_MOST_SAMPLES = 40
_MOST_SECONDS = 0.4
"""A page that took longer does not show well enough when it was made: two of them widen a window by more than its slack, and a
working link would count as missing for ever. Such a page is dropped: the link is then assumed, and shown as assumed."""
_RECENT_SECONDS = 4.0
"""Two periods of heartbeats and their slack: older samples say nothing about the link now."""
_MUTE_SECONDS = 4.0
"""A voter that is cut off campaigns every one to two seconds, and every member that still hears it counts those bytes."""


def heartbeat_bytes(version: Version) -> int:
    """Returns the bytes that one link heartbeat adds to the counter: 30 up to 3.5, 20 on 3.6, 2 from 3.7 on (measured)."""
    if version.series <= (3, 5):
        return 30
    return 20 if version.series == (3, 6) else 2


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the link heartbeat counter, the moments before and after it, and the page that showed it."""

    asked_at: float
    got_at: float
    value: float
    page: Metrics | None = None

    def received(self, member_id: int) -> float:
        return (self.page.received_bytes(member_id) or 0.0) if self.page else 0.0


def hears_everybody(samples: list[Sample], others: int, unit: int) -> bool:
    """Returns whether some window shows that the streams of all `others` reach this member."""
    return hears(samples, unit) >= others


def hears(samples: list[Sample], unit: int, since: float = -math.inf) -> int:
    """Returns of how many others, at least, the streams reach this member, by windows that end at `since` or later.

    A window shorter than k periods holds at most k heartbeats of each stream. So a count of k for every stream in such a window
    leaves none out. A longer window proves nothing, because one stream may make up for another; nor does a lower count.
    """
    most = 0
    for last in range(len(samples)):
        if samples[last].got_at < since:
            continue
        for first in range(last):
            seconds = samples[last].got_at - samples[first].asked_at
            periods = int(seconds / PERIOD_SECONDS) + 1
            most = max(most, int((samples[last].value - samples[first].value) // (_STREAMS * unit * periods)))
    return most


@dataclass(slots=True)
class LinkCounters:
    """Samples of every member. A counter that fell means that the member restarted: its older samples are dropped."""

    access: Access
    clock: Clock
    _samples: dict[int, deque[Sample]] = field(default_factory=dict[int, "deque[Sample]"])
    _asked_at: float = float("-inf")

    def links_of(self, view: ClusterView, member_id: int) -> Mapping[int, bool]:
        """Returns, for each voter that follows the leader, the leader apart, whether its link with `member_id` is seen to work
        both ways; voters whose metrics cannot be read are left out.

        A link is up when both ends hear everybody. A member that does not answer us still sends link heartbeats while it lives,
        and these would make up for a link that is cut. So it is expected like the others, until no member has received anything
        from it for `_MUTE_SECONDS`.
        """
        asked = [
            member for member in view.members if view.answer(member.id) and (member.id == member_id or not member.is_learner)
        ]
        self._sample(asked)
        others = self._others(view)
        full = {member.id: self._heard(view, member.id) >= others for member in asked if self._recent(member.id)}
        leader = view.leader.id if view.leader else 0
        known = [voter.id for voter in view.voters if voter.id in full and voter.id != leader and view.follows(voter.id)]
        return {voter: full[voter] and full[member_id] for voter in known if member_id in full}

    def hearing(self, view: ClusterView) -> dict[int, Hearing]:
        """Returns of how many others each voter that follows the leader does not hear; voters whose metrics cannot be read are
        left out. The leader's own links are proved by reads, and it is no candidate for what a follower does not hear."""
        asked = [voter for voter in view.voters if view.answer(voter.id)]
        self._sample(asked)
        others = self._others(view)
        leader = view.leader.id if view.leader else 0
        members = frozenset(member.id for member in view.members)
        known = [voter.id for voter in asked if voter.id != leader and view.follows(voter.id) and self._recent(voter.id)]
        return {one: Hearing(max(others - self._heard(view, one), 0), members - {one, leader}) for one in known}

    def _others(self, view: ClusterView) -> int:
        """Returns how many others a member hears when no link is missing."""
        return len(view.members) - 1 - self._mute(view)

    def _mute(self, view: ClusterView) -> int:
        """Returns how many of the members that do not answer us were not heard by any member for `_MUTE_SECONDS`."""
        return sum(self._is_mute(member.id) for member in view.members if view.answer(member.id) is None)

    def _is_mute(self, member_id: int) -> bool:
        since = self.clock.now() - _RECENT_SECONDS
        heard = [list(samples) for member, samples in self._samples.items() if member != member_id]
        current = [samples for samples in heard if samples and samples[-1].got_at >= since]
        return bool(current) and all(_nothing_from(member_id, samples) for samples in current)

    def _heard(self, view: ClusterView, member_id: int) -> int:
        """Returns how many others recent samples show at least: a link that was up ten seconds ago may be down."""
        answer = view.answer(member_id)
        assert isinstance(answer, MemberStatus)
        # A window that ended before a link was cut shows that it worked then.
        since = self.clock.now() - PERIOD_SECONDS
        return hears(self._recent(member_id), heartbeat_bytes(Version.told(answer.version)), since)

    def _recent(self, member_id: int) -> list[Sample]:
        since = self.clock.now() - _RECENT_SECONDS
        return [one for one in self._samples.get(member_id, ()) if one.asked_at >= since]

    def _sample(self, members: list[Member]) -> None:
        now = self.clock.now()
        if now - self._asked_at < _EVERY_SECONDS:
            return
        self._asked_at = now
        places = [(member, where) for member in members if (where := endpoint_of(self.access, member))]
        asked = [self.access.submit(partial(_scrape, self.access, self.clock), where) for _, where in places]
        wait(asked, timeout=_SCRAPE_SECONDS)
        for (member, _), future in zip(places, asked, strict=True):
            sample = future.result() if future.done() and not future.exception() else None
            if sample is None:
                continue
            kept = self._samples.setdefault(member.id, deque(maxlen=_MOST_SAMPLES))
            if kept and sample.value < kept[-1].value:
                kept.clear()
            kept.append(sample)


def _nothing_from(member_id: int, samples: list[Sample]) -> bool:
    """Returns whether samples over `_MUTE_SECONDS` show that nothing came from a member."""
    last = samples[-1] if samples else None
    old = [one for one in samples if last is not None and last.asked_at - one.got_at >= _MUTE_SECONDS]
    if last is None or not old:
        return False
    return last.received(member_id) == old[-1].received(member_id)


def _scrape(access: Access, clock: Clock, channel: Channel) -> Sample | None:
    began = clock.now()
    found: Metrics | None = access.scrape(channel.endpoint, timeout=_SCRAPE_SECONDS)
    value = found.link_heartbeat_bytes() if found else None
    if found is None or not found.is_etcds or clock.now() - began > _MOST_SECONDS:
        return None
    return Sample(began, clock.now(), value or 0.0, found)
