"""The removal of one member: under a lock, judged, with leadership moved away first, carried out by the engine's loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from quorate.core import invariants
from quorate.core.actions import Action, Decision, Do, Done, MembershipChange, MoveLeader, Refuse, Remove
from quorate.core.decide_remove import RemoveGoal, decide_remove
from quorate.core.heirs import label
from quorate.core.invariants import Step
from quorate.core.membership import ClusterView
from quorate.core.outcome import RemovalUnknown, Removed, RemoveOutcome, Unchanged, as_dict, describe, is_unknown
from quorate.deadline import Deadline, SystemClock
from quorate.errors import QuorateError, Refused
from quorate.etcd.client import maintenance
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, MemberNotFound
from quorate.etcd.coordination.removal_lock import LockLost, RemovalLock, removal_lock
from quorate.etcd.membership.engine import (
    NO_LAST_WORD,
    LastWord,
    NotSeen,
    OutOfTime,
    PutOff,
    do_nothing,
    drive,
    logging_refusals,
)
from quorate.etcd.membership.executor import (
    Applied,
    Confirmed,
    Indeterminate,
    MembershipExecutor,
    NotConfirmed,
    Note,
    Outcome,
    confirm_by_looking,
)
from quorate.etcd.membership.leadership import LeaderStays, leader_after
from quorate.etcd.membership.removal_judge import REMOVE_PATIENCE, Allowed, RemovalJudge, RemovePolicy
from quorate.etcd.observation.absence_watch import AbsenceKeeper, is_still_absent
from quorate.etcd.observation.look import endpoint_of
from quorate.etcd.observation.statuses import settle_statuses
from quorate.etcd.observation.voter_links import VoterLinks
from quorate.report import Event, Report, silent

_POLL_SECONDS = 0.1
_LOST = "the answer of etcd was lost: looking whether it was removed"
_MOST_TRANSFERS = 2
"""Transfers of leadership in one removal. Each that fails stops writes for an election timeout: 36 were made in a minute."""


@dataclass(slots=True)
class Removal:
    """One removal of the member that `goal` names."""

    access: Access
    clock: SystemClock
    seeds: Sequence[Endpoint]
    goal: RemoveGoal
    report: Report
    note: Note
    policy: RemovePolicy
    last_word: LastWord = NO_LAST_WORD
    _progress: _Progress = field(init=False)
    _judge: RemovalJudge = field(init=False)
    _said: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self._progress = _Progress()
        links = VoterLinks(self.access, self.clock)
        keeper = AbsenceKeeper(self.access, self.clock)
        self._judge = RemovalJudge(self.access, self.clock, self.seeds, self.goal, self.policy, self._say, links, keeper)

    def run(self) -> Removed:
        """Returns when etcd has applied the removal, or a list read through the quorum lacks the member.

        Raises `UnsafeStep` or `Refused` with nothing changed, an `EtcdError`, or `DeadlineExceeded`; `outcomes` of the error
        says whether the member is still listed.
        """
        try:
            with logging_refusals():
                self._judge.refuse_early()
            with removal_lock(self.access, self.seeds, f"removing {self.goal.name}", self.clock, self.report) as lock:
                # Judged here, not before: another removal may have been applied while this one waited for the lock.
                with logging_refusals():
                    allowed = self._judge.allowed(self._judge.look(), lock.keep)
                    self._judge.refuse_alone(lock, allowed.goal)
                self._reach_goal(lock, allowed)
        except QuorateError as error:
            ended = self._outcome()
            if isinstance(ended, Removed) and self._progress.asked:
                # What failed came after the removal, and cannot turn it into a failure.
                return ended
            state = describe(ended) if self._progress.asked else error.state or describe(ended)
            error.conclude(state, (as_dict(ended),), unknown=is_unknown(ended))
            raise
        return Removed(self.goal.name, self.goal.member_id)

    def check(self) -> None:
        """Checks whether the removal would be allowed now, changing nothing; raises what `run` would raise."""
        with logging_refusals():
            self._judge.allowed(self._judge.look(), do_nothing)

    def _reach_goal(self, lock: RemovalLock, allowed: Allowed) -> None:
        deadline = Deadline(self.clock, self.policy.seconds, f"removing {self.goal.name}")
        rounds = _Rounds(
            self.access, self.clock, self.note, self._judge, lock, allowed, self._progress, self.report, self.last_word
        )
        match drive(rounds, self.clock, deadline, every=_POLL_SECONDS):
            case Done():
                return
            case Refuse(why=why, advice=advice):
                raise Refused(why, state="nothing was changed", advice=advice)
            case OutOfTime(why=why):
                raise deadline.error(because=why, advice="run the same command again")

    def _outcome(self) -> RemoveOutcome:
        """Returns the outcome now, by a list read through the quorum; before a removal was sent nothing has changed."""
        name, member_id = self.goal.name, self.goal.member_id
        if self._progress.applied:
            return Removed(name, member_id)
        if not self._progress.asked:
            return Unchanged(name, member_id)
        with self.clock.cancel.shielded():
            try:
                view = self._judge.look(self._progress.leaving)
            except QuorateError:
                return RemovalUnknown(name, member_id)
        if not view.linearizable:
            return RemovalUnknown(name, member_id)
        if view.by_id(member_id) is None:
            return Removed(name, member_id)
        return RemovalUnknown(name, member_id) if self._progress.open else Unchanged(name, member_id)

    def _say(self, text: str) -> None:
        """Reports a text once: the removal is tried ten times a second."""
        if text not in self._said:
            self._said.add(text)
            self.report(Event("remove", self.goal.name, text))


@dataclass(slots=True)
class _Progress:
    """What was sent, for the outcome at the end. `open`: a removal was sent that was neither applied nor refused, so it may
    still arrive. `leaving`: the member once its removal was sent; it is no longer asked, see `observe`. A member that is
    removed as dead is still asked: its removal rests on its silence."""

    asked: bool = False
    open: bool = False
    applied: bool = False
    leaving: set[int] = field(default_factory=set[int])


@dataclass(slots=True)
class _Rounds:
    """The engine's run of one removal; `lock` is held."""

    access: Access
    clock: SystemClock
    note: Note
    judge: RemovalJudge
    lock: RemovalLock
    allowed: Allowed
    progress: _Progress
    report: Report = silent
    last_word: LastWord = NO_LAST_WORD
    _judge_again: bool = False
    """The removal was put off: the proof about the member is renewed, because the member may have come back."""
    _transfers: dict[int, str] = field(default_factory=dict[int, str])
    """The voters that were asked to lead, and how each transfer ended."""

    def look(self) -> ClusterView | NotSeen:
        self.lock.keep()
        self.last_word.tick()
        try:
            if self._judge_again or self._proof_is_old():
                self.progress.leaving.clear()
                self.allowed = self.judge.allowed(self.judge.look(), self.lock.keep)
                self._judge_again = False
            return self.judge.look(self.progress.leaving)
        except EtcdError as error:
            if error.disposition == "final":
                raise
            return NotSeen(error.what)

    def _proof_is_old(self) -> bool:
        """Returns whether the proof of absence expired while leadership was moved or etcd refused for now."""
        absence = self.allowed.goal.absence
        return absence is not None and not absence.holds(self.allowed.goal.member_id, self.clock.now())

    def decide(self, view: ClusterView) -> Decision:
        decision = decide_remove(view, replace(self.allowed.goal, tried=frozenset(self._transfers)))
        refused = isinstance(decision, Refuse)
        again = isinstance(decision, Do) and isinstance(decision.action, MoveLeader) and len(self._transfers) >= _MOST_TRANSFERS
        if self._transfers and (refused or again):
            raise self._not_moved(view)
        return decision

    def _not_moved(self, view: ClusterView) -> LeaderStays:
        """Returns the error of a removal whose leader leads still, or leads again."""
        tried = "; ".join(f"{label(view, heir)}: {why}" for heir, why in self._transfers.items())
        leads = f"{view.leader.name} leads" if view.leader else "no member reports that it leads"
        return LeaderStays(
            f"leadership could not be moved away from {self.allowed.goal.name} ({tried})",
            state=f"the member list is as before; {leads}",
            advice="find out why ('quorate etcd status', and the logs of these members) before the same command is run again",
        )

    def perform(self, step: Action, view: ClusterView) -> Done | PutOff | None:
        match step:
            case MoveLeader():
                return self._move_leader(step, view)
            case Remove():
                return self._remove(step, view)
            case _:
                raise AssertionError(f"a removal never decides {step}")

    def _move_leader(self, step: MoveLeader, view: ClusterView) -> PutOff | None:
        where = endpoint_of(self.access, view.leader) if view.leader else None
        if where is None:
            return PutOff("no member reports that it leads")
        if invariants.is_old(view, self.clock.now()):
            return PutOff("the last look has become old")
        invariants.check(Step(view, step, self.allowed.limits, self.clock.now()))
        self.judge.say("it leads: moving leadership away first")
        self._transfers[step.target_id] = "it led, and does not lead any more"
        try:
            maintenance.move_leader(self.access.channel(where), step.target_id, timeout=REMOVE_PATIENCE.members)
        except EtcdError as error:
            if error.disposition == "final":
                raise
            self._transfers[step.target_id] = error.what
            # What was asked for may still happen. Nothing else is asked of raft before this transfer is over.
            leader_after(self.clock, self.judge.look, lambda seen: seen.leader is not None and seen.leader.id != step.leaving)
            return PutOff(error.what)
        return None

    def _remove(self, step: Remove, view: ClusterView) -> Done | PutOff:
        self.judge.say("removing it from the member list")
        if step.absence is None:
            self.progress.leaving.add(step.member_id)
        settle_statuses(self.access, self.access.routes.of(step.member_id))
        earlier = self.progress.open
        self.progress.asked = self.progress.open = True
        try:
            outcome = self._carried_out(step, view)
        except QuorateError:
            # Nothing was sent, see `carry_out`: the member came back, another voter failed, or the journal took no record.
            self.progress.open = earlier
            raise
        if isinstance(outcome, Applied):
            # etcd answers when it has applied the removal: its list now lacks the member.
            self.progress.applied = True
            return Done()
        refused = not isinstance(outcome, Indeterminate)
        self.progress.open = earlier or not refused
        # Another tool has removed it first: the next look shows that.
        gone = isinstance(outcome.error, MemberNotFound)
        if isinstance(outcome.error, LockLost) or (refused and outcome.error.disposition == "final" and not gone):
            raise outcome.error
        if not gone:
            self.judge.say(f"etcd refuses for now: {outcome.error.text}" if refused else _LOST)
        self._judge_again = True
        return PutOff(outcome.error.what)

    def _carried_out(self, step: Remove, view: ClusterView) -> Outcome:
        def look() -> ClusterView:
            now = self.judge.look(self.progress.leaving)
            if self.judge.needs_links(now, self.allowed.goal):
                raise NotConfirmed("the links between the voters are looked for anew")
            return now

        looking = confirm_by_looking(self.access, look, self.clock)

        def confirm(action: MembershipChange) -> Confirmed:
            # First, because it asks others: between the proof that a member is gone and its removal nothing waits.
            self.last_word.still()
            last = looking(action)
            self.last_word.fits(last.view)
            if step.absence is not None and not is_still_absent(self.access, self.clock, last.view, step.absence):
                raise NotConfirmed(f"{self.allowed.goal.name} gave a sign of life, or not every member can report on it")
            # The last check before the removal: a run that was suspended for longer than its lease must not continue.
            self.lock.check()
            return last

        executor = MembershipExecutor(self.access, self.clock, self.note, self.report)
        return executor.carry_out(step, view, self.allowed.limits, confirm)
