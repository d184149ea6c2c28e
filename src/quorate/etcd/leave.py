"""The removal of one member, run by the same rule as the join: observe, decide, check, one step, observe."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from quorate.core import invariants
from quorate.core.actions import Do, Done, MoveLeader, Refuse, Remove, Wait
from quorate.core.decide_remove import Leave, decide_remove
from quorate.core.invariants import Limits, Step
from quorate.core.membership import ClusterView, margin_of
from quorate.deadline import Deadline, SystemClock
from quorate.errors import Refused
from quorate.etcd import maintenance
from quorate.etcd.access import Access
from quorate.etcd.change import Carried, Changer, Note
from quorate.etcd.change_lock import change_lock
from quorate.etcd.channel import Channel
from quorate.etcd.endpoint import Endpoint
from quorate.etcd.errors import EtcdError, MemberNotFound, Unavailable
from quorate.etcd.observe import Patience, endpoint_of, observe
from quorate.report import Event, Report

_PATIENCE = Patience(members=1.5, status=0.5)
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Removal:
    """One run of the engine for `goal`."""

    access: Access
    clock: SystemClock
    seeds: Sequence[Endpoint]
    goal: Leave
    report: Report
    note: Note
    seconds: float = 60.0
    accept_reduced_tolerance: bool = False
    _told: set[str] = field(default_factory=set[str])
    _leaving: set[str] = field(default_factory=set[str])
    """Peer URLs of the member once its removal was asked for: it is asked nothing any more, see `observe`."""

    def run(self) -> None:
        """Return when a list read through the quorum lacks the member.

        Raises `UnsafeStep` or `Refused` with nothing changed, an `EtcdError`, or `DeadlineExceeded`.
        """
        self._check_first(self._look(()))
        with change_lock(self._leader, f"removing {self.goal.name}", self.clock, self.report):
            # Another removal may have gone through while this one waited.
            self._reach_goal(self._check_first(self._look(())))

    def _leader(self) -> Channel:
        """Who leads now; raises an `EtcdError` while nobody says so."""
        deadline = Deadline(self.clock, _PATIENCE.members, "a member leads")
        while not deadline.expired:
            leader = self._look(self._leaving).leader
            where = endpoint_of(leader) if leader else None
            if where is not None:
                return self.access.channel(where)
            self.clock.sleep(_POLL_SECONDS)
        raise Unavailable("no member says that it leads")

    def _reach_goal(self, limits: Limits) -> None:
        deadline = Deadline(self.clock, self.seconds, f"removing {self.goal.name}")
        while not deadline.expired:
            self.clock.cancel.check()
            view = self._look_or_wait(deadline)
            if view is None:
                continue
            match decide_remove(view, self.goal):
                case Done():
                    return
                case Refuse(why=why, advice=advice):
                    raise Refused(why, state="nothing was changed", advice=advice)
                case Wait():
                    self.clock.sleep(_POLL_SECONDS)
                case Do(action=MoveLeader(target_id=heir)):
                    self._move_leader(view, heir, limits)
                case Do(action=Remove() as removal):
                    self._leaving.update(url for row in view.members if row.id == removal.member_id for url in row.peer_urls)
                    self._remove(removal, view, limits)
                case Do(action=action):
                    raise AssertionError(f"a removal never decides {action}")
        raise deadline.error(because="it is still listed", advice="run the same command again")

    def _check_first(self, view: ClusterView) -> Limits:
        """Say no before leadership is moved for nothing; returns what holds for the rest of the run."""
        limits = Limits(view.cluster_id, accept_reduced_tolerance=self.accept_reduced_tolerance)
        if view.by_id(self.goal.member_id) is None:
            return limits
        if margin_of(view) < 0:
            raise Refused(
                f"there is no quorum: {view.reachable_voters} of {len(view.voters)} voters answer",
                state="nothing was changed, and nothing can be before more voters come back",
                advice="start the members that are down, then run the same command again",
            )
        invariants.check(Step(view, Remove(self.goal.member_id, named=True), limits, self.clock.now()))
        return limits

    def _look(self, leaving: Container[str]) -> ClusterView:
        return observe(self.access, self.seeds, self.clock, patience=_PATIENCE, unasked_urls=leaving)

    def _look_or_wait(self, deadline: Deadline) -> ClusterView | None:
        try:
            return self._look(self._leaving)
        except EtcdError as error:
            if error.disposition == "final" or deadline.expired:
                raise
            self.clock.sleep(_POLL_SECONDS)
            return None

    def _move_leader(self, view: ClusterView, heir: int, limits: Limits) -> None:
        leader = view.leader
        where = endpoint_of(leader) if leader else None
        if where is None:
            return
        invariants.check(Step(view, MoveLeader(heir), limits, self.clock.now()))
        self.report(Event("remove", self.goal.name, "it leads: moving leadership away first"))
        try:
            maintenance.move_leader(self.access.channel(where), heir, timeout=_PATIENCE.members)
        except EtcdError as error:
            if error.disposition == "final":
                raise
            self.clock.sleep(_POLL_SECONDS)

    def _remove(self, removal: Remove, view: ClusterView, limits: Limits) -> None:
        self._tell("removing it from the member list")
        outcome = Changer(self.access, self.clock, self.note).carry_out(removal, view, limits)
        if isinstance(outcome, Carried):
            return
        if isinstance(outcome.error, MemberNotFound):
            # Gone already, and the list that we read is old: 3.4 answers it locally, and somebody else may have been first.
            self.clock.sleep(_POLL_SECONDS)
            return
        if outcome.error.disposition == "final":
            raise outcome.error
        self._tell(f"etcd says not yet: {outcome.error.text}")
        self.clock.sleep(_POLL_SECONDS)

    def _tell(self, text: str) -> None:
        """Once: it is asked ten times a second."""
        if text not in self._told:
            self._told.add(text)
            self.report(Event("remove", self.goal.name, text))
