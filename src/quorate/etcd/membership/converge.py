"""Turns the present members into the wanted ones: one join or removal at a time, each decided on a new look."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from quorate.core.actions import DecisionOf, Do, Refuse
from quorate.core.decide_converge import (
    Choice,
    ConvergeGoal,
    JoinNext,
    NextStep,
    RemoveNext,
    Wanted,
    after,
    decide_converge,
    steps,
)
from quorate.core.membership import ClusterView, Member
from quorate.core.new_member import new_member_findings
from quorate.core.view_findings import judge
from quorate.deadline import Deadline, SystemClock
from quorate.errors import QuorateError, Refused, having_done
from quorate.etcd.membership.engine import drive
from quorate.report import silent

_MOST_STEPS = 64
"""Limit of one run. Replacing seven members takes fourteen steps; two programs with different goals would never end."""


Checked: TypeAlias = Callable[[ClusterView, NextStep], None]
"""Raises what carrying out the step would raise before its first change."""


@dataclass(slots=True)
class Convergence:
    """One run towards `goal`. `taken`: the steps so far. `proved_dead` returns the voters whose absence is proved. `check`
    judges the first step."""

    goal: ConvergeGoal
    clock: SystemClock
    look: Callable[[], ClusterView]
    proved_dead: Callable[[ClusterView, ConvergeGoal], Collection[int]]
    check: Checked
    join: Callable[[Wanted], object]
    remove: Callable[[Member], object]
    taken: list[NextStep] = field(default_factory=list[NextStep])
    judged: bool = False

    def run(self) -> list[NextStep]:
        """Returns the steps taken. Before the first one the whole plan is judged, as `judge_plan` does. Raises what joins and
        removals raise; `PartlyDone`, whose `state` names the steps taken, where a later one is refused all the same."""
        # Each join and removal has its own limit, and the number of steps bounds the whole run.
        deadline = Deadline(self.clock, math.inf, "converging")
        try:
            ended = drive(self, self.clock, deadline, every=0.0)
            if isinstance(ended, Refuse):
                raise _refused(ended)
        except QuorateError as error:
            if not self.taken:
                raise
            raise having_done(error, f"done before: {', '.join(map(_words, self.taken))}") from error
        return self.taken

    # -- one round of the engine -----------------------------------------------------------------------------------------

    def decide(self, view: ClusterView) -> DecisionOf[NextStep]:
        dead = self.proved_dead(view, self.goal)
        if not self.judged:
            self.judged = True
            judge_plan(view, list(steps(view, self.goal, dead)), dead, self.check)
        choice = decide_converge(view, self.goal, dead)
        return Do(choice) if isinstance(choice, JoinNext | RemoveNext) else choice

    def perform(self, step: NextStep, _view: ClusterView) -> None:
        if len(self.taken) == _MOST_STEPS:
            raise Refused(
                f"the goal was not reached in {_MOST_STEPS} steps: another tool or operator changes the members too",
                advice="let the other one end, look at the members, then run the same command again",
            )
        match step:
            case JoinNext(member=row):
                self.join(row)
            case RemoveNext(member=member):
                self.remove(member)
        self.taken.append(step)


def _words(step: NextStep) -> str:
    return f"{'joined' if isinstance(step, JoinNext) else 'removed'} {step.member.name or 'an unstarted member'}"


def first_check(join: Callable[[ClusterView, str, str], object], remove: Callable[[Member], object]) -> Checked:
    """Returns what judges the first step of a plan, by what judges a join and a removal alone."""

    def check(view: ClusterView, step: NextStep) -> None:
        match step:
            case JoinNext(member=row):
                join(view, row.name, row.peer_url)
            case RemoveNext(member=member):
                remove(member)

    return check


def judge_plan(view: ClusterView, plan: Sequence[Choice], dead: Collection[int], check: Checked) -> None:
    """Raises for a plan of which it is known now that a step will be refused: a cluster is better left as it is than halfway.
    `Refused` where the plan ends in a refusal; `PreflightFailed` for new members that no join would add, each in the cluster
    that it would find; and what the first step itself would raise."""
    last = plan[-1]
    if isinstance(last, Refuse):
        raise _refused(last)
    later = view
    for choice in plan:
        if isinstance(choice, JoinNext):
            judge(new_member_findings(later, choice.member.name, [choice.member.peer_url]), silent)
        if isinstance(choice, JoinNext | RemoveNext):
            later = after(later, choice)
    first = plan[0]
    if isinstance(first, JoinNext) or (isinstance(first, RemoveNext) and first.member.id not in dead):
        check(view, first)


def _refused(refuse: Refuse) -> Refused:
    return Refused(refuse.why, state="nothing was changed", advice=refuse.advice)
