"""Turning the members there are into those wanted, one join or removal at a time, each decided anew from what is there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from quorate.core.actions import Done, Refuse
from quorate.core.decide_converge import ConvergeGoal, JoinNext, NextStep, RemoveNext, Wanted, decide_converge
from quorate.core.membership import ClusterView, Member
from quorate.errors import QuorateError, Refused

_MOST_STEPS = 64


@dataclass(slots=True)
class Convergence:
    """One run towards `goal`; `taken` are the steps so far. `proved_dead` tells whose absence is proved."""

    goal: ConvergeGoal
    look: Callable[[], ClusterView]
    proved_dead: Callable[[ClusterView, ConvergeGoal], Collection[int]]
    join: Callable[[Wanted], object]
    remove: Callable[[Member], object]
    taken: list[NextStep] = field(default_factory=list[NextStep])

    def run(self) -> list[NextStep]:
        """Raises `Refused` where no safe step is left, and what joins and removals raise; `state` says what was done before."""
        try:
            while len(self.taken) < _MOST_STEPS:
                view = self.look()
                match decide_converge(view, self.goal, self.proved_dead(view, self.goal)):
                    case Done():
                        return self.taken
                    case Refuse(why=why, advice=advice):
                        raise Refused(why, advice=advice)
                    case JoinNext(member=row) as step:
                        self.join(row)
                        self.taken.append(step)
                    case RemoveNext(member=member) as step:
                        self.remove(member)
                        self.taken.append(step)
            raise Refused(f"{_MOST_STEPS} steps did not lead there: somebody else changes the members too")
        except QuorateError as error:
            before = ", ".join(map(_words, self.taken)) or "none"
            rest = "" if self.taken and error.state == "nothing was changed" else error.state
            error.state = "; ".join(filter(None, (rest, f"steps taken before: {before}")))
            raise


def _words(step: NextStep) -> str:
    return f"{'joined' if isinstance(step, JoinNext) else 'removed'} {step.member.name or 'an unstarted member'}"
