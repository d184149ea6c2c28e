"""Rolls back a join that failed before promotion, by the same rule: observe, decide, check, one step, observe (decision 19)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from quorate.core import invariants
from quorate.core.actions import Action, Decision, Done, Refuse, Remove, StartMember, StopMember, Wait, WipeData
from quorate.core.decide_undo import UndoGoal, decide_undo
from quorate.core.invariants import Limits, Step, UnsafeStep
from quorate.core.join_memory import JoinMemory, taken_up
from quorate.core.membership import ClusterView
from quorate.core.outcome import JoinOutcome, Kept, NotUndone, Undone, VoteUnknown, voter_kept
from quorate.deadline import Deadline
from quorate.errors import QuorateError, Refused, foreseen
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, MemberNotFound
from quorate.etcd.membership.engine import NotSeen, OutOfTime, PutOff, drive
from quorate.etcd.membership.executor import Indeterminate, MembershipExecutor, Rejected, confirm_by_looking
from quorate.etcd.membership.runtime import JoinSpec, Runtime
from quorate.etcd.observation.look import LookTimeouts, observe
from quorate.etcd.observation.statuses import settle_statuses
from quorate.foreign.text import to_paste
from quorate.report import Event, Report

_SECONDS = 20.0
"""Long enough for two elections. An operator who pressed Ctrl-C waits for this, so it is not longer."""
_POLL_SECONDS = 0.1
_REFUSED_SECONDS = 0.5
"""Each try is written to the journal: without a pause a removal that etcd refused was sent hundreds of times."""
_PATIENCE = LookTimeouts(members=1.5, status=0.5)


@dataclass(slots=True)
class Undo:
    """One joiner to roll back. `memory`: what the join did to it. `keep` is called in every round, for what must be kept
    alive."""

    executor: MembershipExecutor
    runtime: Runtime
    seeds: Sequence[Endpoint]
    limits: Limits
    spec: JoinSpec
    report: Report
    memory: JoinMemory
    keep: Callable[[], None]
    _wiped: bool = field(default=False)

    def run(self) -> JoinOutcome:
        """Rolls the learner back if it is ours and has no vote; returns the outcome."""
        name = self.spec.name
        begun = self.memory.member_id or self.memory.adding
        self.report(Event("undo", name, "rolling back the incomplete join" if begun else "nothing was registered yet"))
        try:
            return self._reach_goal()
        except QuorateError as error:
            return self._unfinished(error.what)
        except Exception as error:
            # An unexpected error must not hide why the join failed, nor leave the present state unreported.
            return self._unfinished(foreseen(error).what)

    def _unfinished(self, why: str) -> JoinOutcome:
        name, member_id = self.spec.name, self.memory.member_id
        if self.memory.vote == "given":
            return voter_kept(name, member_id)
        return VoteUnknown(name, member_id) if self.memory.may_vote else NotUndone(name, why, member_id)

    def _reach_goal(self) -> JoinOutcome:
        clock = self.executor.clock
        deadline = Deadline(clock, _SECONDS, f"rolling back {self.spec.name}")
        match drive(self, clock, deadline, every=_POLL_SECONDS):
            case Done():
                return self._undone()
            case Refuse() as refusal:
                return self._refused(refusal)
            case OutOfTime(why=why):
                return self._unfinished(why)

    # -- one round of the engine -----------------------------------------------------------------------------------------

    def look(self) -> ClusterView | NotSeen:
        """Observes the cluster without asking the joiner, which is being removed."""
        self.keep()
        try:
            view = self._look()
        except EtcdError as error:
            # Also errors that are final elsewhere: an undo can only try again until its time is up.
            return NotSeen(error.what)
        self._learn(view)
        return view

    def decide(self, view: ClusterView) -> Decision:
        try:
            goal = self._goal()
        except Refused as error:
            # An etcd that begins has a database a few milliseconds before its log: the next look knows more.
            return Wait("undo", self.spec.name, f"{error.what}{self._by_hand()}")
        return decide_undo(view, goal)

    def _by_hand(self) -> str:
        """Returns how the learner is removed where it cannot be read whose data this is: no later run knows more."""
        if not self.memory.member_id:
            return ""
        return (
            f"; stop its etcd, then {to_paste('quorate', 'etcd', 'remove', f'{self.memory.member_id:x}')} removes the learner"
        )

    def perform(self, step: Action, view: ClusterView) -> PutOff | None:
        try:
            why = self._do(step, view)
        except UnsafeStep as unsafe:
            # The decision is outdated: this machine was suspended, or another tool was faster.
            why = unsafe.what
        return PutOff(why) if why else None

    def _learn(self, view: ClusterView) -> None:
        """Learns, after an add without an answer, the id that only our call can have made."""
        if self.memory.member_id or not view.linearizable:
            return
        member = view.by_peer_urls((self.spec.peer_url,))
        if member is not None:
            self.memory = taken_up(self.memory, member.id, member.peer_urls)

    def _look(self) -> ClusterView:
        executor = self.executor
        unasked = {self.memory.member_id} if self.memory.member_id else set[int]()
        return observe(executor.access, self.seeds, executor.clock, patience=_PATIENCE, unasked=unasked)

    def _goal(self) -> UndoGoal:
        name = self.spec.name
        running = self.runtime.process().state in ("running", "failing")
        return UndoGoal(
            name,
            (self.spec.peer_url,),
            self.memory,
            running,
            self.runtime.has_data(),
            self.runtime.has_leftovers(),
            self.runtime.data_member(),
        )

    def _do(self, action: Action, view: ClusterView) -> str | None:
        """Carries out one step, checked like a change of the list; returns why it did not succeed, None when it did."""
        if not isinstance(action, StartMember):
            invariants.check(Step(view, action, self.limits, self.executor.clock.now()))
        match action:
            case StopMember():
                self.runtime.stop()
            case StartMember(initial_cluster=rows):
                self.runtime.start(rows)
            case WipeData(member_id=member_id):
                self.runtime.wipe(member_id)
                self._wiped = True
            case Remove():
                return self._remove(action, view)
            case _:
                raise AssertionError(f"an undo never decides {action}")
        return None

    def _remove(self, action: Remove, view: ClusterView) -> str | None:
        executor = self.executor
        settle_statuses(executor.access, executor.access.routes.of(action.member_id))
        # An operator may have promoted it since: on the last look the executor then refuses to remove it.
        confirm = confirm_by_looking(executor.access, self._look, executor.clock)
        outcome = executor.carry_out(action, view, self.limits, confirm)
        if isinstance(outcome, Rejected | Indeterminate):
            refused = isinstance(outcome, Rejected) and not isinstance(outcome.error, MemberNotFound)
            if refused and outcome.error.disposition == "final":
                raise outcome.error
            # Without a pause a removal that etcd refused was sent, and journaled, hundreds of times.
            executor.clock.sleep(_REFUSED_SECONDS)
            return outcome.error.what
        return None

    def _undone(self) -> Undone:
        elsewhere = self.memory.member_id != 0 and not self.runtime.can_wipe
        data = "deleted" if self._wiped else ("elsewhere" if elsewhere else "none")
        return Undone(self.spec.name, self.memory.member_id, data)

    def _refused(self, refusal: Refuse) -> JoinOutcome:
        name, member_id = self.spec.name, self.memory.member_id
        match refusal.kind:
            case "vote-unknown":
                return VoteUnknown(name, member_id)
            case "add-unknown":
                return NotUndone(name, refusal.why)
            case _:
                return Kept(name, "; ".join(filter(None, (refusal.why, refusal.advice))), member_id)
