"""The links between members, judged by the byte counters in their metrics."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial

from quorate.core.link_worlds import Hearing
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Clock
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.observation.heartbeats import PERIOD_SECONDS, Sample, beats_of, exceeds, hears, least_beat
from quorate.etcd.observation.look import endpoint_of

PATIENCE_SECONDS = 8.0
"""How long a link may be down before it counts as missing. Peers dial a new member within a tenth of a second; counters need
a full period of 1.7 s, and four seconds more to distinguish a dead member from one that is only silent to us."""

_EVERY_SECONDS = 0.2
_SCRAPE_SECONDS = 1.0
_MOST_SAMPLES = 80
_FAR_SECONDS, _MORE, _APART_SECONDS = 0.15, 10, 0.05
"""Where a member is far away, a page is less exact, and looks are seldom: few windows come near the length of a period, and for
some distances (0.26 s to 0.38 s there and back) none did for a minute, so that a join was given up. Then pages are asked for
closely, one after the other without waiting."""
_MOST_SECONDS = 0.4
"""A page that took longer does not show well enough when it was made: two of them widen a window by more than its slack, and a
working link would count as missing for ever. Such a page is dropped: the link is then assumed, and shown as assumed."""
_RECENT_SECONDS = 4.0
"""Two periods of heartbeats and their slack: older samples say nothing about the link now."""
_MUTE_SECONDS = 4.0
"""A voter that is cut off campaigns every one to two seconds, and every member that still hears it counts those bytes."""


@dataclass(slots=True)
class LinkCounters:
    """Samples of every member. Those of a process that was started anew since are dropped."""

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
        mute = self._mute(view)
        full = {member.id: not self._lacks(view, member.id, mute) for member in asked if self._recent(member.id)}
        leader = view.leader.id if view.leader else 0
        known = [voter.id for voter in view.voters if voter.id in full and voter.id != leader and view.follows(voter.id)]
        return {voter: full[voter] and full[member_id] for voter in known if member_id in full}

    def hearing(self, view: ClusterView) -> dict[int, Hearing]:
        """Returns of how many others each voter that follows the leader does not hear; voters whose metrics cannot be read are
        left out. The leader's own links are proved by reads, and it is no candidate for what a follower does not hear."""
        asked = [voter for voter in view.voters if view.answer(voter.id)]
        self._sample(asked)
        return self._hearing(view, self._mute(view))

    def hearing_of_the_silent(self, view: ClusterView, gone: frozenset[int]) -> dict[int, Hearing]:
        """Returns the same with all silent members among those that may be heard, but for those that are gone: one that we and
        the leader do not hear may be heard by the others, and stand in for a link that is cut."""
        return self._hearing(view, gone)

    def gone(self, view: ClusterView) -> frozenset[int]:
        """Returns the members that do not answer, and with which no voter that does has a connection: their processes have
        ended. One whose machine has vanished keeps connections for minutes."""
        return frozenset(one.id for one in view.members if self._is_gone(view, one.id))

    def _hearing(self, view: ClusterView, left_out: frozenset[int]) -> dict[int, Hearing]:
        leader = view.leader.id if view.leader else 0
        members = frozenset(member.id for member in view.members) - left_out
        known = [voter.id for voter in view.voters if voter.id != leader and view.follows(voter.id) and self._recent(voter.id)]
        return {one: Hearing(self._lacks(view, one, left_out), members - {one, leader}) for one in known}

    def _is_gone(self, view: ClusterView, member_id: int) -> bool:
        if view.answer(member_id) is not None:
            return False
        pages = [found[-1].page for voter in view.voters if view.answer(voter.id) and (found := self._recent(voter.id))]
        return bool(pages) and all(page is not None and not page.linked(member_id) for page in pages)

    def _lacks(self, view: ClusterView, member_id: int, left_out: frozenset[int]) -> int:
        """Returns how many of the other members recent samples do not show: a link that was up ten seconds ago may be down."""
        senders = self._senders(view, member_id, frozenset(one.id for one in view.members) - left_out)
        # A window that ended before a link was cut shows that it worked then.
        return len(senders) - hears(self._recent(member_id), senders, self.clock.now() - PERIOD_SECONDS)

    def _senders(self, view: ClusterView, receiver: int, senders: frozenset[int]) -> list[int]:
        return beats_of(view, receiver, senders - {receiver})

    def _mute(self, view: ClusterView) -> frozenset[int]:
        """Returns the members that do not answer us and were not heard by any member for `_MUTE_SECONDS`: neither by name, nor
        in heartbeats beyond those of who answers."""
        silent = [member.id for member in view.members if view.answer(member.id) is None]
        answering = frozenset(member.id for member in view.members) - frozenset(silent)
        if any(exceeds(self._recent(one), self._senders(view, one, answering), least_beat(view, one)) for one in answering):
            return frozenset()
        return frozenset(one for one in silent if self._is_mute(one))

    def _is_mute(self, member_id: int) -> bool:
        since = self.clock.now() - _RECENT_SECONDS
        heard = [list(samples) for member, samples in self._samples.items() if member != member_id]
        current = [samples for samples in heard if samples and samples[-1].got_at >= since]
        return bool(current) and all(_nothing_from(member_id, samples) for samples in current)

    def _recent(self, member_id: int) -> list[Sample]:
        since = self.clock.now() - _RECENT_SECONDS
        return [one for one in self._samples.get(member_id, ()) if one.asked_at >= since]

    def _sample(self, members: list[Member]) -> None:
        now = self.clock.now()
        if now - self._asked_at < _EVERY_SECONDS:
            return
        self._asked_at = now
        places = [(member, where) for member in members if (where := endpoint_of(self.access, member))]
        asked = self._ask(places)
        # Farther away each page would be dropped, and only the look would get older.
        for _ in range(_MORE if _FAR_SECONDS < self.access.routes.farthest() <= _MOST_SECONDS else 0):
            self.clock.sleep(_APART_SECONDS)
            asked += self._ask(places)
        wait([future for _, future in asked], timeout=_SCRAPE_SECONDS)
        for member, future in asked:
            sample = future.result() if future.done() and not future.exception() else None
            if sample is None:
                continue
            kept = self._samples.setdefault(member.id, deque(maxlen=_MOST_SAMPLES))
            if kept and sample.began != kept[-1].began:
                # It was started anew.
                kept.clear()
            if not kept or sample.served > kept[-1].served:
                # Any other was made before: it came late, or a proxy kept it.
                kept.append(sample)

    def _ask(self, places: list[tuple[Member, Endpoint]]) -> list[tuple[Member, Future[Sample | None]]]:
        return [
            (member, self.access.submit(partial(_scrape, self.access, self.clock, member.id), where))
            for member, where in places
        ]


def _nothing_from(member_id: int, samples: list[Sample]) -> bool:
    """Returns whether samples over `_MUTE_SECONDS` show that nothing came from a member."""
    last = samples[-1] if samples else None
    old = [one for one in samples if last is not None and last.asked_at - one.got_at >= _MUTE_SECONDS]
    if last is None or not old:
        return False
    return last.received(member_id) == old[-1].received(member_id)


def _scrape(access: Access, clock: Clock, member_id: int, channel: Channel) -> Sample | None:
    began = clock.now()
    found: Metrics | None = access.scrape(channel.endpoint, of=member_id, timeout=_SCRAPE_SECONDS)
    value, number = (found.link_heartbeat_bytes(), found.number) if found else (None, None)
    if found is None or number is None or not found.is_etcds or clock.now() - began > _MOST_SECONDS:
        return None
    return Sample(began, clock.now(), value or 0.0, found, *number)
