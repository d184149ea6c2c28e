"""Turns the present members into the wanted ones: one join or removal at a time, each decided on a new look."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from quorate.core.actions import DecisionOf, Do, Refuse
from quorate.core.decide_converge import ConvergeGoal, JoinNext, NextStep, RemoveNext, Wanted, decide_converge
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Deadline, SystemClock
from quorate.errors import QuorateError, Refused
from quorate.etcd.membership.engine import drive

_MOST_STEPS = 64
"""Limit of one run. Replacing seven members takes fourteen steps; two programs with different goals would never end."""


@dataclass(slots=True)
class Convergence:
    """One run towards `goal`. `taken`: the steps so far. `proved_dead` returns the voters whose absence is proved."""

    goal: ConvergeGoal
    clock: SystemClock
    look: Callable[[], ClusterView]
    proved_dead: Callable[[ClusterView, ConvergeGoal], Collection[int]]
    join: Callable[[Wanted], object]
    remove: Callable[[Member], object]
    taken: list[NextStep] = field(default_factory=list[NextStep])

    def run(self) -> list[NextStep]:
        """Returns the steps taken. Raises `Refused` where no safe step is left, and what joins and removals raise; `state` of
        the error names the steps taken before."""
        # Each join and removal has its own limit, and the number of steps bounds the whole run.
        deadline = Deadline(self.clock, math.inf, "converging")
        try:
            ended = drive(self, self.clock, deadline, every=0.0)
            if isinstance(ended, Refuse):
                raise Refused(ended.why, advice=ended.advice)
        except QuorateError as error:
            before = ", ".join(map(_words, self.taken)) or "none"
            rest = "" if self.taken and error.state == "nothing was changed" else error.state
            error.state = "; ".join(filter(None, (rest, f"steps taken before: {before}")))
            raise
        return self.taken

    # -- one round of the engine -----------------------------------------------------------------------------------------

    def decide(self, view: ClusterView) -> DecisionOf[NextStep]:
        choice = decide_converge(view, self.goal, self.proved_dead(view, self.goal))
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
