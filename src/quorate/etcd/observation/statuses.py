"""Status questions to many endpoints; one without an answer in time stays open, and counts when it is answered."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from quorate.core.membership import MemberStatus
from quorate.deadline import Clock, Deadline
from quorate.etcd.client import maintenance
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, NoAnswer, Unreachable

STATUS_SECONDS = 2.0
"""How long one question may stay unanswered before it is asked again."""

_KEPT_SECONDS = 1.0
"""An answer that came between two looks counts for the next one if it is no older than this."""


@dataclass(frozen=True, slots=True)
class TimedStatus:
    """A Status and the time when it arrived."""

    answer: MemberStatus
    at: float


Pending = dict[Endpoint, "Future[TimedStatus]"]


@dataclass(slots=True)
class Statuses:
    """The statuses of one look. `asked` holds every endpoint of this look. Open questions of earlier looks are taken over: a
    member that needs half a second per answer is slow, not silent, and gets one question, not one per look."""

    access: Access
    clock: Clock
    asked: Pending = field(default_factory=dict["Endpoint", "Future[TimedStatus]"])
    _dropped: dict[Endpoint, str] = field(default_factory=dict["Endpoint", str])
    _late: set[Endpoint] = field(default_factory=set["Endpoint"])
    _ended: dict[Endpoint, TimedStatus | BaseException] = field(default_factory=dict["Endpoint", "TimedStatus | BaseException"])

    def ask(self, endpoint: Endpoint) -> bool:
        """Asks, or takes over the question that is still open; returns whether there was one."""
        open_questions = self.access.open_statuses
        earlier = open_questions.get(endpoint)
        if earlier is not None and (not earlier.done() or self._is_fresh(earlier)):
            self.asked[endpoint] = earlier
            if not earlier.done():
                self._late.add(endpoint)
                return True
            del open_questions[endpoint]
            return False
        self.asked[endpoint] = open_questions[endpoint] = self.access.submit(self._status, endpoint)
        return False

    def _is_fresh(self, earlier: Future[TimedStatus]) -> bool:
        return not earlier.exception() and self.clock.now() - earlier.result().at < _KEPT_SECONDS

    def _status(self, channel: Channel) -> TimedStatus:
        began = self.clock.now()
        answer = maintenance.status(channel, timeout=STATUS_SECONDS)
        ended = self.clock.now()
        routes = self.access.routes
        if routes.cluster_id in (0, answer.cluster_id):
            routes.answered(
                channel.endpoint, answer.member_id, answer.version, is_learner=answer.is_learner, seconds=ended - began
            )
        return TimedStatus(answer, ended)

    def wait(self, until: Deadline, learner: float | None, unpublished: Collection[Endpoint]) -> None:
        """Waits until all answered or `until`: for learners `learner` seconds at most, and not at all for a question that an
        earlier look has waited for."""
        routes = self.access.routes
        quick = (
            {place for place in self.asked if place in unpublished or routes.is_learner(place)} if learner else set[Endpoint]()
        )
        patient = [future for place, future in self.asked.items() if place not in quick and place not in self._late]
        began = self.clock.now()
        wait(patient, timeout=until.remaining)
        if learner is not None and quick:
            # A distant learner gets the time of its round trip: with 30 ms alone it was silent in every other look.
            far = max(3 * routes.round_trip(place) for place in quick)
            left = max(max(learner, min(far, STATUS_SECONDS)) - (self.clock.now() - began), 0.0)
            wait([self.asked[place] for place in quick], timeout=left)
        self._settle(unpublished)

    def _settle(self, unpublished: Iterable[Endpoint]) -> None:
        """Closes questions that were answered. Where a joiner's port refused us, a new connection is made at once: grpc would
        wait longer each time, and the joiner would be seen that much later."""
        for place in list(self.asked):
            if self.asked[place].done():
                self.access.open_statuses.pop(place, None)
        errors = self.errors()
        for place, error in errors.items():
            if isinstance(error, Unreachable | NoAnswer):
                self.access.routes.gave_none(place)
        for place in unpublished:
            # The port refused us, or the restart of the joiner broke the connection.
            if isinstance(errors.get(place), Unreachable | NoAnswer):
                self.access.renew(place)

    def drop(self, endpoint: Endpoint, why: str) -> None:
        """Drops an answer that is not from a member of this cluster."""
        self._dropped[endpoint] = why

    def _outcomes(self) -> list[tuple[Endpoint, TimedStatus | BaseException]]:
        """Returns what has come so far, in the order of the questions. A future takes a lock for each of its questions, and a
        look asks a dozen times."""
        for place, future in self.asked.items():
            if place not in self._ended and future.done():
                self._ended[place] = future.exception() or future.result()
        return [(place, self._ended[place]) for place in self.asked if place in self._ended]

    def answers(self) -> dict[Endpoint, MemberStatus]:
        found = [(place, one) for place, one in self._outcomes() if place not in self._dropped]
        return {place: one.answer for place, one in found if isinstance(one, TimedStatus)}

    def errors(self) -> dict[Endpoint, EtcdError]:
        return {place: one for place, one in self._outcomes() if isinstance(one, EtcdError)}

    def reasons(self) -> dict[Endpoint, str]:
        """Returns why an endpoint gave no answer that counts."""
        return {place: error.text for place, error in self.errors().items()} | self._dropped


def settle_statuses(access: Access, endpoints: Iterable[Endpoint]) -> None:
    """Waits until no status question to these endpoints is open: one in flight while a member applies its own removal makes it
    panic (etcd issue 21966)."""
    wait([access.open_statuses[place] for place in endpoints if place in access.open_statuses], timeout=STATUS_SECONDS)
