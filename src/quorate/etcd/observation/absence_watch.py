"""The watch for signs of life of one voter, until its absence is proved or the voter is seen alive (decision 22)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import replace
from functools import partial

from quorate.core.absence import Absence, AbsenceWatch
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Deadline, SystemClock
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.observation.look import LookTimeouts, endpoint_of, observe
from quorate.report import Event, Report

_PATIENCE = LookTimeouts(members=1.5, status=0.5)

_EVERY_SECONDS = 0.4
"""Followers answer the leader's heartbeats ten times a second: about four answers fall between two looks."""
_SCRAPE_SECONDS = 1.0
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
    watch, pages = AbsenceWatch(member_id, seconds), dict[int, float]()
    # An election, or a restart of the leader, starts the count again.
    deadline = Deadline(clock, 3 * seconds + _UNKNOWN_SECONDS, "a sign of life")
    known_at = clock.now()
    while not deadline.expired:
        clock.cancel.check()
        keep()
        watch = _look_once(access, look, watch, clock, pages)
        if watch.sign == "alive" or watch.absence is not None:
            return replace(watch.absence, pages=tuple(sorted(pages.items()))) if watch.absence is not None else None
        if watch.sign == "silent":
            known_at = clock.now()
        elif clock.now() - known_at > _UNKNOWN_SECONDS:
            return None
        if int(watch.seconds) > 0:
            say(f"{int(watch.seconds)} of {seconds:g} s without a sign of life")
        clock.sleep(_EVERY_SECONDS)
    return None


def is_still_absent(access: Access, view: ClusterView, absence: Absence) -> bool:
    """Returns whether there is no sign of life since the proof: no answer in `view`, and no byte received by the others. A
    restarted member sends heartbeat replies before it serves a client."""
    if view.answer(absence.member_id) is not None:
        return False
    pages = dict(absence.pages)
    return absence.still(None if absence.how == "ended" else received_from(access, view, absence.member_id, pages))


def _look_once(
    access: Access, look: Callable[[], ClusterView], watch: AbsenceWatch, clock: SystemClock, pages: dict[int, float]
) -> AbsenceWatch:
    try:
        view = look()
    except EtcdError:
        return watch.look(answered=False, received=None, now=clock.now())
    answered = view.answer(watch.member_id) is not None
    received = None if answered or not view.linearizable else received_from(access, view, watch.member_id, pages)
    return watch.look(answered=answered, received=received, now=clock.now())


def received_from(access: Access, view: ClusterView, member_id: int, served: dict[int, float]) -> dict[int, float] | None:
    """Returns the bytes that each other answering voter has received from the member; None unless all of them can be read, and
    the leader's own page says that it leads. A page without etcd's metrics, for instance a proxy's, would read as "nothing
    received".

    `served`: by member, the count on the last page; updated to the count on this one. A page that was not made for this look
    shows nothing new: a proxy that cached pages for some seconds had a live voter removed as dead.
    """
    voters = [voter for voter in view.voters if voter.id != member_id and view.answer(voter.id)]
    places = [(voter, where) for voter in voters if (where := endpoint_of(access, voter))]
    asked = [access.submit(partial(_scrape, access), where) for _, where in places]
    wait(asked, timeout=_SCRAPE_SECONDS)
    got = [one.result() if one.done() and not one.exception() else None for one in asked]
    pages = {voter.id: page for (voter, _), page in zip(places, got, strict=True)}
    leader = pages.get(view.leader.id) if view.leader else None
    if leader is None or not leader.leads or not all(page is not None and page.is_etcds for page in pages.values()):
        return None
    if pages.keys() != {voter.id for voter in voters}:
        return None
    if leader.snapshot_in_flight(member_id):
        # It has come back and is loading: from the leader it gets no heartbeats meanwhile that it would answer (vault#16919).
        return None
    numbers = {voter: page.served for voter, page in pages.items() if page is not None and page.served is not None}
    fresh = numbers.keys() == pages.keys() and all(number != served.get(voter) for voter, number in numbers.items())
    served.update(numbers)
    if not fresh:
        return None
    # A member that has received nothing from the voter since its own start has no counter for it: that is 0 bytes.
    return {voter: page.received_bytes(member_id) or 0.0 for voter, page in pages.items() if page is not None}


def _scrape(access: Access, channel: Channel) -> Metrics | None:
    return access.scrape(channel.endpoint, timeout=_SCRAPE_SECONDS)
