"""Judges whether a removal is allowed now: before leadership is moved for nothing, and again when its proof is old."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace

from quorate.core import invariants
from quorate.core.absence import ABSENCE_SECONDS, Absence, check_absence_seconds
from quorate.core.actions import Do, MoveLeader, Refuse, Remove
from quorate.core.decide_remove import RemoveGoal, decide_remove
from quorate.core.heirs import sure_margin
from quorate.core.invariants import Limits, Step, Succession
from quorate.core.membership import ClusterView, margin_of, removal_margins
from quorate.deadline import Deadline, SystemClock, poll
from quorate.errors import Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.coordination.removal_lock import RemovalLock
from quorate.etcd.membership.engine import do_nothing
from quorate.etcd.membership.first_step import BEFORE_A_REFUSAL, no_quorum
from quorate.etcd.observation.absence_watch import AbsenceKeeper, watch_absence
from quorate.etcd.observation.look import LookTimeouts, observe
from quorate.etcd.observation.voter_links import VoterLinks
from quorate.spelling import spelled

REMOVE_PATIENCE = LookTimeouts(members=1.5, status=0.5)
_POLL_SECONDS = 0.1
_SETTLE_SECONDS = 2.0
"""An election takes this long: a margin that is lower in only one look is no reason to refuse."""


@dataclass(frozen=True, slots=True)
class RemovePolicy:
    """How a removal is done. `seconds`: how long it may take. `absence_seconds`: how long a voter must show no sign of life to
    count as dead; None where only the proof counts that the caller has, and no new one is made.
    `accept_reduced_tolerance` as in `invariants.Limits`. `ended`: this host knows that the member's process has
    ended."""

    seconds: float = 60.0
    absence_seconds: float | None = ABSENCE_SECONDS
    accept_reduced_tolerance: bool = False
    ended: bool = False
    succession: Succession | None = None

    def __post_init__(self) -> None:
        if self.absence_seconds is not None:
            check_absence_seconds(self.absence_seconds)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The permission for the removal until it is judged again; `goal` has the proof of absence, if it rests on one."""

    limits: Limits
    goal: RemoveGoal


@dataclass(frozen=True, slots=True)
class RemovalJudge:
    """Judges the removal that `goal` names. `say` reports one line for people. `links`: the evidence of the voters' links;
    `keeper`: keeps a proof of absence fresh while they are looked for."""

    access: Access
    clock: SystemClock
    seeds: Sequence[Endpoint]
    goal: RemoveGoal
    policy: RemovePolicy
    say: Callable[[str], None]
    links: VoterLinks
    keeper: AbsenceKeeper

    def look(self, unasked: Container[int] = ()) -> ClusterView:
        """Returns the cluster now; does not ask the members in `unasked`. Once links were looked for, each look renews what is
        known of them."""
        view = observe(self.access, self.seeds, self.clock, patience=REMOVE_PATIENCE, unasked=unasked)
        return self.links.added(view) if self.links.begun else view

    def refuse_early(self) -> None:
        """Raises, before the wait for the lock, the refusal of a removal that would be refused even if the member is dead."""
        view = self.look()
        silent = view.by_id(self.goal.member_id) is not None and view.answer(self.goal.member_id) is None
        if silent:
            supposed = Absence(self.goal.member_id, "silent", at=self.clock.now())
            self._settled(self._limits(view), RemoveGoal(self.goal.member_id, self.goal.name, supposed))
        else:
            self.allowed(view, do_nothing)

    def refuse_alone(self, lock: RemovalLock, goal: RemoveGoal) -> None:
        """Refuses a removal without the lock. Another removal may be judged by the same margin at the same time: of four voters
        two were left, each removal allowed by itself. A learner and a dead voter cost nothing; a live voter needs consent."""
        if lock.lease or goal.absence is not None or self.policy.accept_reduced_tolerance:
            return
        member = self.look().by_id(goal.member_id)
        if member is None or member.is_learner:
            return
        raise Refused(
            "the lock for removals could not be taken: another removal at the same time would not be seen",
            state="nothing was changed",
            advice="fix what keeps the cluster from taking writes ('quorate etcd status'); or, when nobody else changes "
            f"members, accept the risk with {spelled('--accept-reduced-tolerance')}",
        )

    def allowed(self, view: ClusterView, keep: Callable[[], None]) -> Allowed:
        """Returns what holds for the removal; raises `UnsafeStep` or `Refused` where it is not allowed.

        A voter that does not answer is watched first, if that decides: with its absence proved, its removal lowers nothing.
        `keep` renews the lock meanwhile: the watch may take longer than the lease.
        """
        limits = self._limits(view)
        member = view.by_id(self.goal.member_id)
        if member is None:
            return Allowed(limits, self.goal)
        view, given = self._with_links(view, self._renewed(view, self.goal), keep)
        try:
            self._check(view, limits, given)
        except Refused:
            if member.is_learner or view.answer(member.id) is not None:
                return Allowed(limits, self._settled(limits, given))
            absence = self._absence(view, keep)
            if absence is None:
                raise
            _, proved = self._with_links(self.look(), replace(self.goal, absence=absence), keep)
            return Allowed(limits, self._settled(limits, proved))
        return Allowed(limits, given)

    def _renewed(self, view: ClusterView, goal: RemoveGoal) -> RemoveGoal:
        return goal if goal.absence is None else replace(goal, absence=self.keeper.renewed(view, goal.absence))

    def _limits(self, view: ClusterView) -> Limits:
        consent = self.policy.accept_reduced_tolerance
        return Limits(view.cluster_id, accept_reduced_tolerance=consent, succession=self.policy.succession)

    def _check(self, view: ClusterView, limits: Limits, goal: RemoveGoal) -> None:
        if not view.linearizable or margin_of(view) < 0:
            raise no_quorum(view)
        now, action = self.clock.now(), Remove(goal.member_id, named=True, absence=goal.absence)
        invariants.check(Step(view, action, limits, now))
        match decide_remove(view, goal):
            case Refuse(why=why, advice=advice):
                raise Refused(why, state="nothing was changed", advice=advice)
            case Do(action=MoveLeader() as move):
                # Judged before it is done: a transfer that cannot succeed stops writes, and would be tried again.
                invariants.check(Step(view, move, limits, now))
            case _:
                pass

    def _with_links(self, view: ClusterView, goal: RemoveGoal, keep: Callable[[], None]) -> tuple[ClusterView, RemoveGoal]:
        """Returns a view whose links decide: enough of them are known to work, or no more will be known. What nobody has looked
        at would count as working: of four voters, three that only the leader reached looked like three that reach each other.
        The goal comes with its proof of absence as of that view.
        """
        while self.needs_links(view, goal):
            self.say("looking whether the other voters are linked to each other")
            keep()
            self.clock.sleep(_POLL_SECONDS)
            self.links.begin()
            view = self.look()
            goal = self._renewed(view, goal)
        return view, goal

    def needs_links(self, view: ClusterView, goal: RemoveGoal) -> bool:
        """Returns whether the verdict rests on links that are only assumed, and further looks would show more: also at the last
        look, because after a suspension nothing that was seen before it is known any more."""
        return self._rests_on_assumed_links(view, goal) and not self.links.settled(view)

    def _rests_on_assumed_links(self, view: ClusterView, goal: RemoveGoal) -> bool:
        member = view.by_id(goal.member_id)
        if not view.linearizable or member is None or member.is_learner:
            return False
        before, after = removal_margins(view, member.id, dead=goal.absence is not None)
        succession = self.policy.succession
        # A replacement is judged by the margin that it began with: the new voter has raised it since.
        least = before if succession is None else min(before, succession.margin)
        needed = 0 if self.policy.accept_reduced_tolerance else least
        return after >= needed > sure_margin(view, member.id)

    def _settled(self, limits: Limits, goal: RemoveGoal) -> RemoveGoal:
        """Looks for the time of an election; returns the goal, with its proof as of then, or raises the last refusal when no
        look allows the removal."""
        refusals: list[Refused] = []

        def allows() -> RemoveGoal | None:
            nonlocal goal
            view = self.look()
            goal = self._renewed(view, goal)
            try:
                if view.by_id(goal.member_id) is not None:
                    self._check(view, limits, goal)
            except Refused as refused:
                refusals.append(refused)
                return None
            return goal

        deadline = Deadline(self.clock, _SETTLE_SECONDS, BEFORE_A_REFUSAL)
        found = poll(allows, self.clock, deadline, every=_POLL_SECONDS)
        if found is None:
            raise refusals[-1]
        return found

    def _absence(self, view: ClusterView, keep: Callable[[], None]) -> Absence | None:
        supposed = Absence(self.goal.member_id, "ended", at=self.clock.now())
        if self.policy.ended:
            return supposed
        if self.policy.absence_seconds is None:
            return None
        if self._rests_on_assumed_links(view, replace(self.goal, absence=supposed)):
            # The links of those that stay decide then: they are looked for meanwhile.
            self.links.begin()
        return watch_absence(
            self.access,
            self.look,
            self.goal.member_id,
            self.clock,
            seconds=self.policy.absence_seconds,
            say=self.say,
            keep=keep,
        )
