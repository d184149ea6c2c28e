"""The watch for signs of life of one voter, until its absence is proved or the voter is seen alive (decision 22)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from functools import partial

from quorate.core.absence import Absence, AbsenceWatch, Pages
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Clock, Deadline, SystemClock
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.observation.heartbeats import Sample, beats_of, exceeds, least_beat
from quorate.etcd.observation.look import LookTimeouts, endpoint_of, observe
from quorate.report import Event, Report

_PATIENCE = LookTimeouts(members=1.5, status=0.5)

_EVERY_SECONDS = 0.4
"""Followers answer the leader's heartbeats ten times a second: about four answers fall between two looks."""
_SCRAPE_SECONDS = 1.0
_WINDOW_SECONDS = 12.0
"""Heartbeats of a member that died longer ago say nothing of who lives now."""
_MOST_SAMPLES = 40
_RENEWED_SECONDS = 1.0
_UNKNOWN_SECONDS = 4.0
"""How long the looks may be inconclusive: an election takes two seconds, and a leader whose metrics cannot be read now will not
become readable later."""


def prove_absence(
    access: Access, seeds: Sequence[Endpoint], member: Member, clock: SystemClock, *, seconds: float, report: Report
) -> Absence | None:
    """Watches as `watch_absence` does, with new looks, and reports progress."""
    name = member.name or format_id(member.id)

    def look() -> ClusterView:
        return observe(access, seeds, clock, patience=_PATIENCE)

    return watch_absence(access, look, member.id, clock, seconds=seconds, say=lambda text: report(Event("remove", name, text)))


def watch_absence(
    access: Access,
    look: Callable[[], ClusterView],
    member_id: int,
    clock: SystemClock,
    *,
    seconds: float,
    say: Callable[[str], None],
    keep: Callable[[], None] = lambda: None,
) -> Absence | None:
    """Returns the proof that the voter is dead; None when it gave a sign of life, or when the looks prove nothing. `keep` is
    called at each look, so that the caller can renew a lease.

    The proof takes `seconds`. A live voter ends the watch at its first answer.
    """
    watch, witnesses = AbsenceWatch(member_id, seconds), Witnesses()
    # An election, or a restart of the leader, starts the count again.
    deadline = Deadline(clock, 3 * seconds + _UNKNOWN_SECONDS, "a sign of life")
    known_at = clock.now()
    while not deadline.expired:
        clock.cancel.check()
        keep()
        watch = _look_once(access, look, watch, clock, witnesses)
        if watch.sign == "alive" or watch.absence is not None:
            return replace(watch.absence, pages=witnesses.numbers()) if watch.absence is not None else None
        if watch.sign == "silent":
            known_at = clock.now()
        elif clock.now() - known_at > _UNKNOWN_SECONDS:
            return None
        if int(watch.seconds) > 0:
            say(f"{int(watch.seconds)} of {seconds:g} s without a sign of life")
        clock.sleep(_EVERY_SECONDS)
    return None


def is_still_absent(access: Access, clock: Clock, view: ClusterView, absence: Absence) -> bool:
    """Returns whether there is no sign of life since the proof: no answer in `view`, and no byte received by the others. A
    restarted member sends heartbeat replies before it serves a client."""
    if view.answer(absence.member_id) is not None:
        return False
    if absence.how == "ended":
        return absence.still(None)
    return absence.still(
        received_from(
            access,
            clock,
            view,
            absence.member_id,
            Witnesses({(voter, began): served for voter, began, served in absence.pages}),
        )
    )


@dataclass(slots=True)
class AbsenceKeeper:
    """Keeps a proof of absence fresh while something else is looked for: of five voters, the links of the four that stay take
    longer than a proof counts, and the dead one was never removed."""

    access: Access
    clock: Clock
    _witnesses: Witnesses | None = None

    def renewed(self, view: ClusterView, absence: Absence) -> Absence:
        """Returns the proof as of now, where there was no sign of life since it; else as it is, and it gets old.

        What others have received is counted from their start on, so no gap between two looks hides a sign of life, as long as
        the same processes count.
        """
        began = self.clock.now()
        if view.answer(absence.member_id) is not None or began - absence.at < _RENEWED_SECONDS:
            return absence
        if absence.how == "ended":
            return replace(absence, at=began)
        if self._witnesses is None:
            self._witnesses = Witnesses({(voter, process): served for voter, process, served in absence.pages})
        received = received_from(self.access, self.clock, view, absence.member_id, self._witnesses)
        same = self._witnesses.served.keys() == {(voter, process) for voter, process, _ in absence.pages}
        if received is None or not same or not absence.still(received):
            return absence
        seconds = round(absence.seconds + began - absence.at, 1)
        return replace(absence, seconds=seconds, looks=absence.looks + 1, at=began, pages=self._witnesses.numbers())


def _look_once(
    access: Access, look: Callable[[], ClusterView], watch: AbsenceWatch, clock: SystemClock, witnesses: Witnesses
) -> AbsenceWatch:
    try:
        view = look()
    except EtcdError:
        return watch.look(answered=False, received=None, now=clock.now())
    answered = view.answer(watch.member_id) is not None
    received = None if answered or not view.linearizable else received_from(access, clock, view, watch.member_id, witnesses)
    return watch.look(answered=answered, received=received, now=clock.now())


@dataclass(slots=True)
class Witnesses:
    """What the pages of the other voters have said of one silent voter. `served`: the pages that each process of a voter has
    served, by its beginning, up to the last that was seen; `beats`: its counts of link heartbeats, from all members together;
    `counts`: of what it received from each silent member; `named`: those of them that somebody hears."""

    served: dict[tuple[int, float], float] = field(default_factory=dict[tuple[int, float], float])
    counts: dict[tuple[int, int], float] = field(default_factory=dict[tuple[int, int], float])
    named: set[int] = field(default_factory=set[int])
    beats: dict[int, deque[Sample]] = field(default_factory=dict[int, "deque[Sample]"])

    def numbers(self) -> Pages:
        """Returns the number of each voter's last page."""
        return tuple((voter, began, served) for (voter, began), served in sorted(self.served.items()))

    def are_new(self, pages: Mapping[int, Page]) -> bool:
        """Notes the numbers of some pages; returns whether all were made since the last ones. One with a lower number was kept
        by somebody; two that are kept in turn are no news either."""
        found = {(voter, number[0]): number[1] for voter, page in pages.items() if (number := page.metrics.number) is not None}
        fresh = len(found) == len(pages) and all(number > self.served.get(key, -1.0) for key, number in found.items())
        self.served.update({key: max(number, self.served.get(key, -1.0)) for key, number in found.items()})
        return fresh

    def hear_others(self, view: ClusterView, member_id: int) -> bool:
        """Returns whether some voter hears more members than are known to live: the silent one may live then. A voter that
        hears the leader does not campaign, and the leader may not hear it: to the others it sends link heartbeats alone, which
        carry no name."""
        living = {member.id for member in view.members if view.answer(member.id)} | self.named - {member_id}
        return any(
            exceeds(list(samples), beats_of(view, voter, living - {voter}), least_beat(view, voter))
            for voter, samples in self.beats.items()
        )

    def hear_by_name(self, pages: Mapping[int, Page], silent: Iterable[int]) -> None:
        """Notes which of the silent members somebody has received something from since the page before: a learner that only we
        do not reach is no sign of another's life."""
        for member in silent:
            for voter, page in pages.items():
                key, count = (voter, member), page.metrics.received_bytes(member) or 0.0
                if count > self.counts.get(key, count):
                    self.named.add(member)
                self.counts[key] = count

    def add(self, voter: int, page: Page) -> None:
        kept = self.beats.setdefault(voter, deque(maxlen=_MOST_SAMPLES))
        value = page.metrics.link_heartbeat_bytes() or 0.0
        if kept and value < kept[-1].value:
            kept.clear()
        while kept and page.got_at - kept[0].asked_at > _WINDOW_SECONDS:
            kept.popleft()
        kept.append(Sample(page.asked_at, page.got_at, value))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of metrics, and the moments before and after it."""

    asked_at: float
    got_at: float
    metrics: Metrics


def received_from(
    access: Access, clock: Clock, view: ClusterView, member_id: int, witnesses: Witnesses
) -> dict[int, float] | None:
    """Returns the bytes that each other answering voter has received from the member; None unless all of them can be read, and
    the leader's own page says that it leads. A page without etcd's metrics, for instance a proxy's, would read as "nothing
    received". None also where a voter hears more members than answer us, and where the leader sends the member a snapshot.

    `witnesses` is updated with these pages. A page that was not made for this look shows nothing new: a proxy that cached pages
    for some seconds had a live voter removed as dead.
    """
    voters = [voter for voter in view.voters if voter.id != member_id and view.answer(voter.id)]
    pages = _pages(access, clock, voters)
    leader = pages.get(view.leader.id) if view.leader else None
    if leader is None or not leader.metrics.leads or pages.keys() != {voter.id for voter in voters}:
        return None
    if not all(page.metrics.is_etcds for page in pages.values()):
        return None
    if not witnesses.are_new(pages):
        return None
    for voter, page in pages.items():
        witnesses.add(voter, page)
    # One that is loading a snapshot has come back (vault#16919).
    witnesses.hear_by_name(pages, [one.id for one in view.members if view.answer(one.id) is None])
    if leader.metrics.snapshot_in_flight(member_id) or witnesses.hear_others(view, member_id):
        return None
    # A member that has received nothing from the voter since its own start has no counter for it: that is 0 bytes.
    return {voter: page.metrics.received_bytes(member_id) or 0.0 for voter, page in pages.items()}


def _pages(access: Access, clock: Clock, voters: Sequence[Member]) -> dict[int, Page]:
    places = [(voter, where) for voter in voters if (where := endpoint_of(access, voter))]
    asked = [access.submit(partial(_scrape, access, clock, voter.id), where) for voter, where in places]
    wait(asked, timeout=_SCRAPE_SECONDS)
    got = [one.result() if one.done() and not one.exception() else None for one in asked]
    return {voter.id: page for (voter, _), page in zip(places, got, strict=True) if page is not None}


def _scrape(access: Access, clock: Clock, member_id: int, channel: Channel) -> Page | None:
    began = clock.now()
    found = access.scrape(channel.endpoint, of=member_id, timeout=_SCRAPE_SECONDS)
    return Page(began, clock.now(), found) if found is not None else None
