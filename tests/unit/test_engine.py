"""The loop that every change runs in, with runs that are made for it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from quorate.core.actions import DecisionOf, Do, Done, Refuse, Wait
from quorate.core.membership import ClusterView
from quorate.deadline import Deadline, SystemClock
from quorate.etcd.membership.engine import NotSeen, OutOfTime, PutOff, drive
from unit.fakes import FakeClock
from unit.views import view


@dataclass
class Script:
    """A run that decides what the script says, look by look; "pause": this machine stands still meanwhile."""

    clock: SystemClock
    deadline: Deadline
    lines: list[str]
    extends: bool = True

    def look(self) -> ClusterView | NotSeen:
        if self.lines[0] == "unseen":
            self.lines.pop(0)
            return NotSeen("nobody answers")
        return view(1)

    def decide(self, _view: ClusterView) -> DecisionOf[str]:
        match self.lines.pop(0):
            case "pause":
                self.clock.pass_time(1000)  # type: ignore[attr-defined]
                return Wait("add", "m1", "it stood still")
            case "done":
                return Done()
            case "refuse":
                return Refuse("no")
            case "wait":
                return Wait("add", "m1", "a leader")
            case step:
                return Do(step)

    def perform(self, step: str, _view: ClusterView) -> Done | PutOff | None:
        if step == "answered":
            return Done()
        if step == "put off":
            return PutOff("not yet")
        if self.extends:
            self.deadline.extend(10)
        return None


def driven(*lines: str, extends: bool = True) -> tuple[Done | Refuse | OutOfTime, list[str]]:
    clock = FakeClock()
    deadline = Deadline(clock, 10, "the goal")
    script = Script(clock, deadline, [*lines], extends)
    return drive(script, clock, deadline, every=0.5), script.lines


@pytest.mark.parametrize(
    ("lines", "end"), [(("step", "done"), Done()), (("step", "refuse"), Refuse("no")), (("answered",), Done())]
)
def test_a_run_ends_where_its_decision_or_an_answer_ends_it(lines: tuple[str, ...], end: object) -> None:
    assert driven(*lines) == (end, [])


def test_a_run_that_made_no_progress_in_its_last_look_is_out_of_time() -> None:
    assert driven("pause", "wait", "done") == (OutOfTime("a leader"), ["done"])
    assert driven("pause", "step", "done", extends=False) == (OutOfTime("it stood still"), ["done"])
    assert driven("pause", "put off", "done") == (OutOfTime("not yet"), ["done"])
    assert driven("pause", "unseen", "done") == (OutOfTime("nobody answers"), ["done"])


def test_a_run_that_made_progress_in_its_last_look_goes_on() -> None:
    """A join whose tool was suspended for longer than its limit was rolled back although the learner had caught up: the one
    look more showed that, and the proof, the promotion and the check of the voter were still to do."""
    assert driven("pause", "prove", "promote", "verify", "done") == (Done(), [])
