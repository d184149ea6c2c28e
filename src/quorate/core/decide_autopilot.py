"""Decides what an autopilot would do next: promote a learner that is aligned, replace a voter that is proved absent, move a
vote to a better zone, have a standby made, call somebody, or wait, and by which rule (decision 26).

The law: no action lowers how many voters may fail, and no removal begins unless the promotion that follows it is proved. A
dead voter is removed first and the standby promoted at once: in between, as many may fail as before, and one process fewer is
critical (of three voters with one dead, two instead of three). A live voter goes only after its successor has its vote. Every
action is checked by the invariants again when it is carried out, on a look of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from quorate.core.actions import MoveLeader, Promote
from quorate.core.autopilot.case import Act, AddStandby, Case, Memory, Next, Page, Rule, Wait, counted, supposed
from quorate.core.autopilot.guards import alarm, brake, no_list, no_quorum, paused, policy_fight, stale_look
from quorate.core.autopilot.policy import Policy
from quorate.core.autopilot.replacement import replace_dead
from quorate.core.autopilot.size import grow, no_witness, refill, yield_seat
from quorate.core.autopilot.spread import spread
from quorate.core.membership import ClusterView, Member

Decide: TypeAlias = Callable[[Case], Next | None]

GUARDS: tuple[tuple[Rule, Decide], ...] = (
    ("paused", paused),
    ("policy-fight", policy_fight),
    ("no-quorum", no_quorum),
    ("no-list", no_list),
    ("stale-look", stale_look),
    ("alarm", alarm),
    ("brake", brake),
)
"""What forbids every action; the first that applies is the reason. Each is called by the rule that it reports."""

RULES: tuple[tuple[Rule, Decide], ...] = (
    ("replace", replace_dead),
    ("grow", grow),
    ("yield-seat", yield_seat),
    ("spread", spread),
    ("provide", refill),
    ("no-witness", no_witness),
)
"""What may be done. The first action counts; where there is none, the first reason. Each is called by what it would do; where
that may not be done, it reports the rule that says why."""


def decide_autopilot(view: ClusterView, policy: Policy, memory: Memory, now: float) -> Next:
    """Returns the next action, or why there is none. `now`: on the clock of the view."""
    case = Case(view, policy, memory, now)
    against = next((one for _, guard in GUARDS if (one := guard(case)) is not None), None)
    if against is not None:
        return against
    found = [one for _, rule in RULES if (one := _rested(case, rule(case))) is not None]
    # A voter that is silent, and not yet lost, is no reason not to make another one; nor to call nobody any more for a standby
    # that is missing, now that it is needed.
    acts = [one for one in found if isinstance(one, Act | AddStandby)]
    pages = [one for one in found if isinstance(one, Page)]
    return [*acts, *pages, *found, _nothing(case)][0]


def _rested(case: Case, found: Next | None) -> Next | None:
    """Returns what a rule says; where that would be tried again right after it failed, that somebody has to look. It failed
    every second and a half for as long as anybody looked, and the state was never one that calls."""
    if isinstance(found, Wait) and found.rule == "silent":
        return _silent_again(case, found)
    member = tried_on(found)
    failed, left = case.memory.failed.get(member), case.rest_left(member)
    if failed is None or left <= 0 or found is None:
        return found
    again = f"{failed.count} times; it is tried again in {left:.0f} s"
    return Page("failed", f"{found.why}, and that could not be done: {failed.why} ({again})")


def _silent_again(case: Case, found: Wait) -> Wait | Page:
    """Returns that somebody has to look where a loss is proved anew after its replacement failed more than once: that takes
    long, and was a quiet wait."""
    failed = [case.memory.failed[one.id] for one in case.standbys() if one.id in case.memory.failed]
    last = max((one for one in failed if one.count > 1), key=lambda one: one.at, default=None)
    if last is None:
        return found
    return Page("failed", f"{found.why}; before, its replacement could not be done: {last.why} ({last.count} times)")


def tried_on(found: Next | None) -> int:
    """Returns the member by which the failures of an action are counted: the one that would get a vote, lead or go. 0 for what
    is no action on a member."""
    if not isinstance(found, Act):
        return 0
    promote = promotion_of(found)
    if promote is not None:
        return promote.member_id
    return found.action.target_id if isinstance(found.action, MoveLeader) else found.action.member_id


def _nothing(case: Case) -> Wait:
    voters, standbys = len(case.view.voters), len(case.standbys())
    there = f"{counted(voters, 'voter')} and {counted(standbys, 'standby')}"
    if voters > case.policy.voters or standbys > case.policy.standbys:
        # Which of them is one too many, only an operator knows.
        return Wait("nothing", f"{there}; {case.policy.voters} and {case.policy.standbys} are wanted, and none is removed")
    return Wait("nothing", f"{there}, as wanted")


def explained(view: ClusterView, policy: Policy, memory: Memory, now: float) -> list[tuple[Rule, Next | None]]:
    """Returns what each guard and each rule says by itself, in their order; None where it does not apply."""
    case = Case(view, policy, memory, now)
    return [(name, _rested(case, judge(case))) for name, judge in (*GUARDS, *RULES)]


def learners_to_prove(view: ClusterView, policy: Policy, memory: Memory, now: float) -> Iterator[Member]:
    """Yields the learners whose proof is all that the next action lacks, the preferred one first. A proof costs every member
    two writes: none is made for a learner that would not be promoted."""
    left = {learner.id: supposed(view, learner, now) for learner in view.learners}
    while left:
        found = decide_autopilot(view, policy, replace(memory, proofs=left), now)
        promote = promotion_of(found)
        learner = view.by_id(promote.member_id) if promote is not None else None
        if learner is None:
            return
        yield learner
        del left[learner.id]


def promotion_of(found: Next) -> Promote | None:
    """Returns the promotion that an action is, or ends with."""
    if not isinstance(found, Act):
        return None
    return found.action if isinstance(found.action, Promote) else found.then
