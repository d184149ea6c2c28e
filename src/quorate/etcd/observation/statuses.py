"""Asking many endpoints for their status; a question that is not answered in time stays asked, and counts when it is."""

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
"""How long one question may stay unanswered before it is asked anew."""

_KEPT_SECONDS = 1.0
"""An answer that came between two looks counts for the next one if it is no older than this."""


@dataclass(frozen=True, slots=True)
class TimedStatus:
    """An answer and when it came."""

    answer: MemberStatus
    at: float


Pending = dict[Endpoint, "Future[TimedStatus]"]


@dataclass(slots=True)
class Statuses:
    """The statuses of one look. `asked` holds every endpoint of this look; questions of earlier looks are taken over, so a
    member that needs half a second for its answers is slow and not silent, and costs one question, not one a look."""

    access: Access
    clock: Clock
    asked: Pending = field(default_factory=dict["Endpoint", "Future[TimedStatus]"])
    _dropped: dict[Endpoint, str] = field(default_factory=dict["Endpoint", str])
    _late: set[Endpoint] = field(default_factory=set["Endpoint"])

    def ask(self, endpoint: Endpoint) -> bool:
        """Ask, or take over the question that is still open; returns whether there was one."""
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
        """Until all answered or `until`; for learners no longer than `learner` seconds, and for a question that an earlier look
        has waited for already not at all."""
        routes = self.access.routes
        quick = (
            {place for place in self.asked if place in unpublished or routes.is_learner(place)} if learner else set[Endpoint]()
        )
        patient = [future for place, future in self.asked.items() if place not in quick and place not in self._late]
        began = self.clock.now()
        wait(patient, timeout=until.remaining)
        if learner is not None and quick:
            # One that is far away is waited for as long as its way takes: with 30 ms alone it was silent in every other look.
            far = max(3 * routes.round_trip(place) for place in quick)
            left = max(max(learner, min(far, STATUS_SECONDS)) - (self.clock.now() - began), 0.0)
            wait([self.asked[place] for place in quick], timeout=left)
        self._settle(unpublished)

    def _settle(self, unpublished: Iterable[Endpoint]) -> None:
        """Closes questions that were answered. Where a joiner's port refused us the connection is made anew at once: grpc would
        wait longer each time, and the joiner would be seen that much later."""
        for place in list(self.asked):
            if self.asked[place].done():
                self.access.open_statuses.pop(place, None)
        errors = self.errors()
        for place in unpublished:
            # Refused, or broken off by its restart.
            if isinstance(errors.get(place), Unreachable | NoAnswer):
                self.access.renew(place)

    def drop(self, endpoint: Endpoint, why: str) -> None:
        """What came from there is no answer of a member of this cluster."""
        self._dropped[endpoint] = why

    def answers(self) -> dict[Endpoint, MemberStatus]:
        return {
            place: future.result().answer
            for place, future in self.asked.items()
            if place not in self._dropped and future.done() and not future.exception()
        }

    def errors(self) -> dict[Endpoint, EtcdError]:
        found = {place: future.exception() for place, future in self.asked.items() if future.done()}
        return {place: error for place, error in found.items() if isinstance(error, EtcdError)}

    def reasons(self) -> dict[Endpoint, str]:
        """Why an endpoint gave no answer that counts."""
        return {place: error.text for place, error in self.errors().items()} | self._dropped


def settle_statuses(access: Access, endpoints: Iterable[Endpoint]) -> None:
    """Waits until no status question to these endpoints is open: one in flight while a member applies its own removal makes it
    panic (etcd issue 21966)."""
    wait([access.open_statuses[place] for place in endpoints if place in access.open_statuses], timeout=STATUS_SECONDS)
