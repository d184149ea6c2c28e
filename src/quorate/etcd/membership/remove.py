"""The removal of one member, run by the same rule as the join: observe, decide, check, one step, observe."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace

from quorate.core import invariants
from quorate.core.absence import ABSENCE_SECONDS, Absence
from quorate.core.actions import Do, Done, MembershipChange, MoveLeader, Refuse, Remove, Wait
from quorate.core.decide_remove import RemoveGoal, decide_remove
from quorate.core.invariants import Limits, Step, Succession, UnsafeStep
from quorate.core.membership import ClusterView, margin_of
from quorate.core.outcome import RemovalUnknown, Removed, RemoveOutcome, Unchanged, as_dict, describe, is_unknown
from quorate.deadline import Deadline, SystemClock
from quorate.errors import QuorateError, Refused
from quorate.etcd.client import maintenance
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, MemberNotFound
from quorate.etcd.coordination.removal_lock import LockLost, RemovalLock, removal_lock
from quorate.etcd.membership.executor import (
    Applied,
    Confirmed,
    Indeterminate,
    MembershipExecutor,
    NotConfirmed,
    Note,
    confirm_by_looking,
)
from quorate.etcd.observation.absence_watch import is_still_absent, watch_absence
from quorate.etcd.observation.look import LookTimeouts, endpoint_of, observe
from quorate.etcd.observation.statuses import settle_statuses
from quorate.report import Event, Report

_PATIENCE = LookTimeouts(members=1.5, status=0.5)
_POLL_SECONDS = 0.1
_SETTLE_SECONDS = 2.0
"""An election takes this long: a margin that is lower only for one look is no reason to refuse."""


@dataclass(frozen=True, slots=True)
class RemovePolicy:
    """`seconds`: how long the removal may take. `absence_seconds`: how long a voter must show no sign of life to count as dead.
    `accept_reduced_tolerance` as in `invariants.Limits`. `ended`: this host knows that the member's process has ended."""

    seconds: float = 60.0
    absence_seconds: float = ABSENCE_SECONDS
    accept_reduced_tolerance: bool = False
    ended: bool = False
    succession: Succession | None = None


@dataclass(slots=True)
class Removal:
    """One run of the engine for `goal`."""

    access: Access
    clock: SystemClock
    seeds: Sequence[Endpoint]
    goal: RemoveGoal
    report: Report
    note: Note
    policy: RemovePolicy
    _asked: bool = False
    _open: bool = False
    """A removal was sent that was neither applied nor refused: it may yet arrive."""

    _applied: bool = False
    _keep: Callable[[], None] = lambda: None
    """Renews the lock, also while a voter's absence is watched: that may take longer than the lease."""

    _said: set[str] = field(default_factory=set[str])
    _leaving: set[int] = field(default_factory=set[int])
    """The member once its removal is asked for: it is asked nothing any more, see `observe`. Not where it is removed as dead:
    what that rests on is that it does not answer."""

    def run(self) -> Removed:
        """Return when etcd has applied the removal, or a list read through the quorum lacks the member.

        Raises `UnsafeStep` or `Refused` with nothing changed, an `EtcdError`, or `DeadlineExceeded`; `outcomes` of the error
        says whether the member is still there.
        """
        try:
            self._refuse_early()
            lock = removal_lock(self.access, self.seeds, f"removing {self.goal.name}", self.clock, self.report)
            with lock as held:
                self._keep = held.keep
                # Judged here, not before: another removal may have gone through while this one waited for the lock.
                limits, goal = self._allowed(self._look(()))
                self._refuse_alone(held, goal)
                self._reach_goal(held, limits, goal)
        except QuorateError as error:
            ended = self._outcome()
            if isinstance(ended, Removed) and self._asked:
                # What failed came after the removal, and cannot turn it into a failure.
                return ended
            state = describe(ended) if self._asked else error.state or describe(ended)
            error.conclude(state, (as_dict(ended),), unknown=is_unknown(ended))
            raise
        return Removed(self.goal.name, self.goal.member_id)

    def check(self) -> None:
        """Says whether the removal would be allowed now, changing nothing; raises what `run` would raise."""
        self._allowed(self._look(()))

    def _outcome(self) -> RemoveOutcome:
        """What is the case now, as a list read through the quorum tells; before anything was asked nothing has changed."""
        name, member_id = self.goal.name, self.goal.member_id
        if self._applied:
            return Removed(name, member_id)
        if not self._asked:
            return Unchanged(name, member_id)
        with self.clock.cancel.shielded():
            try:
                view = self._look(self._leaving)
            except QuorateError:
                return RemovalUnknown(name, member_id)
        if not view.linearizable:
            return RemovalUnknown(name, member_id)
        if view.by_id(member_id) is None:
            return Removed(name, member_id)
        return RemovalUnknown(name, member_id) if self._open else Unchanged(name, member_id)

    # -- what is allowed -------------------------------------------------------------------------------------------------

    def _refuse_early(self) -> None:
        """Before the lock is waited for: what would be refused even if the member is dead."""
        view = self._look(())
        silent = view.by_id(self.goal.member_id) is not None and view.answer(self.goal.member_id) is None
        if silent:
            supposed = Absence(self.goal.member_id, "silent", at=self.clock.now())
            self._settled(self._limits(view), RemoveGoal(self.goal.member_id, self.goal.name, supposed))
        else:
            self._allowed(view)

    def _refuse_alone(self, lock: RemovalLock, goal: RemoveGoal) -> None:
        """Without the lock another removal may be judged by the same margin at the same time: of four voters two were left,
        each removal for itself allowed. A learner and a dead voter cost nothing; a live one takes consent."""
        if lock.lease or goal.absence is not None or self.policy.accept_reduced_tolerance:
            return
        member = self._look(()).by_id(goal.member_id)
        if member is None or member.is_learner:
            return
        raise Refused(
            "the lock for removals could not be taken: another removal at the same time would not be seen",
            state="nothing was changed",
            advice="mend what keeps the cluster from taking writes ('quorate etcd status'); or, when nobody else changes "
            "members, accept it with --accept-reduced-tolerance",
        )

    def _limits(self, view: ClusterView) -> Limits:
        consent = self.policy.accept_reduced_tolerance
        return Limits(view.cluster_id, accept_reduced_tolerance=consent, succession=self.policy.succession)

    def _allowed(self, view: ClusterView) -> tuple[Limits, RemoveGoal]:
        """Say no before leadership is moved for nothing; returns what holds for the rest of the run.

        A voter that does not answer is watched first, where that decides: with its absence proved its removal lowers nothing.
        """
        limits = self._limits(view)
        member = view.by_id(self.goal.member_id)
        if member is None:
            return limits, self.goal
        try:
            self._check(view, limits, self.goal)
        except Refused:
            if member.is_learner or view.answer(member.id) is not None:
                self._settled(limits, self.goal)
                return limits, self.goal
            absence = self._absence()
            if absence is None:
                raise
            goal = RemoveGoal(member.id, self.goal.name, absence)
            self._settled(limits, goal)
            return limits, goal
        return limits, self.goal

    def _check(self, view: ClusterView, limits: Limits, goal: RemoveGoal) -> None:
        if not view.linearizable or margin_of(view) < 0:
            raise Refused(
                f"there is no quorum: {view.answering_voters} of {len(view.voters)} voters answer, "
                f"{view.reachable_voters} follow a leader",
                state="nothing was changed, and nothing can be before more voters come back",
                advice="start the members that are down, then run the same command again",
            )
        action = Remove(goal.member_id, named=True, absence=goal.absence)
        invariants.check(Step(view, action, limits, self.clock.now()))

    def _settled(self, limits: Limits, goal: RemoveGoal) -> None:
        """Raises what the last look of an election's time says when none of them allows the removal."""
        deadline = Deadline(self.clock, _SETTLE_SECONDS, "the voters follow a leader")
        while True:
            view = self._look(())
            try:
                if view.by_id(goal.member_id) is not None:
                    self._check(view, limits, goal)
            except Refused:
                if deadline.expired:
                    raise
                self.clock.sleep(_POLL_SECONDS)
            else:
                return

    def _absence(self) -> Absence | None:
        if self.policy.ended:
            return Absence(self.goal.member_id, "ended", at=self.clock.now())
        return watch_absence(
            self.access,
            lambda: self._look(()),
            self.goal.member_id,
            self.clock,
            seconds=self.policy.absence_seconds,
            say=self._say,
            keep=self._keep,
        )

    # -- the loop --------------------------------------------------------------------------------------------------------

    def _reach_goal(self, lock: RemovalLock, limits: Limits, goal: RemoveGoal) -> None:
        deadline = Deadline(self.clock, self.policy.seconds, f"removing {self.goal.name}")
        while not deadline.expired:
            self.clock.cancel.check()
            lock.keep()
            limits, goal = self._still_allowed(limits, goal)
            view = self._look_or_wait(deadline)
            if view is None:
                continue
            match decide_remove(view, goal):
                case Done():
                    return
                case Refuse(why=why, advice=advice):
                    raise Refused(why, state="nothing was changed", advice=advice)
                case Wait():
                    self.clock.sleep(_POLL_SECONDS)
                case Do(action=MoveLeader(target_id=heir)):
                    self._move_leader(view, heir, limits)
                case Do(action=Remove() as removal):
                    self._remove(removal, view, limits, lock)
                    if self._applied:
                        return
                    # It is asked again from here on, and what was proved of it is proved anew: it may have come back.
                    self._leaving.clear()
                    now = self._look_or_wait(deadline)
                    limits, goal = self._allowed(now) if now is not None else (limits, replace(goal, absence=None))
                case Do(action=action):
                    raise AssertionError(f"a removal never decides {action}")
        raise deadline.error(because="it is still listed", advice="run the same command again")

    def _still_allowed(self, limits: Limits, goal: RemoveGoal) -> tuple[Limits, RemoveGoal]:
        """A proof of absence that grew old is made anew: leadership was moved meanwhile, or etcd put us off, and the voter may
        have come back."""
        if goal.absence is None or goal.absence.holds(goal.member_id, self.clock.now()):
            return limits, goal
        return self._allowed(self._look(self._leaving))

    def _look(self, leaving: Container[int]) -> ClusterView:
        return observe(self.access, self.seeds, self.clock, patience=_PATIENCE, unasked=leaving)

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
        where = endpoint_of(self.access, leader) if leader else None
        if where is None:
            return
        invariants.check(Step(view, MoveLeader(heir), limits, self.clock.now()))
        self._say("it leads: moving leadership away first")
        try:
            maintenance.move_leader(self.access.channel(where), heir, timeout=_PATIENCE.members)
        except EtcdError as error:
            if error.disposition == "final":
                raise
            self.clock.sleep(_POLL_SECONDS)

    def _remove(self, removal: Remove, view: ClusterView, limits: Limits, lock: RemovalLock) -> None:
        self._say("removing it from the member list")
        if removal.absence is None:
            self._leaving.add(removal.member_id)
        settle_statuses(self.access, self.access.routes.of(removal.member_id))
        looking = confirm_by_looking(self.access, lambda: self._look(self._leaving), self.clock)

        def confirm(action: MembershipChange) -> Confirmed:
            last = looking(action)
            if removal.absence is not None and not is_still_absent(self.access, last.view, removal.absence):
                raise NotConfirmed(f"{self.goal.name} gave a sign of life, or not every member can say")
            # The last thing before the removal: a run that stood still for longer than its lease must not go on.
            lock.check()
            return last

        earlier = self._open
        self._asked = self._open = True
        try:
            outcome = MembershipExecutor(self.access, self.clock, self.note).carry_out(removal, view, limits, confirm)
        except UnsafeStep:
            # Nothing was sent: it came back, or another voter went.
            self._open = earlier
            raise
        if isinstance(outcome, Applied):
            # etcd answers when it has applied the removal: that is the list that lacks the member.
            self._applied = True
            return
        refused = not isinstance(outcome, Indeterminate)
        self._open = earlier or not refused
        if isinstance(outcome.error, LockLost):
            raise outcome.error
        if isinstance(outcome.error, MemberNotFound):
            # Gone already: somebody else was first.
            self.clock.sleep(_POLL_SECONDS)
            return
        if outcome.error.disposition == "final" and refused:
            raise outcome.error
        self._say(f"etcd says not yet: {outcome.error.text}")
        self.clock.sleep(_POLL_SECONDS)

    def _say(self, text: str) -> None:
        """Once: it is asked ten times a second."""
        if text not in self._said:
            self._said.add(text)
            self.report(Event("remove", self.goal.name, text))
