"""A question that is not answered in time stays asked, and is neither repeated nor waited for again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from quorate.deadline import Deadline, SystemClock
from quorate.etcd.observation.statuses import Statuses, settle_statuses
from unit.fakes import FakeAccess, cluster, where


@dataclass
class Slow:
    """A cluster of two whose second member answers nothing until `gate` is set."""

    access: FakeAccess
    gate: threading.Event

    def ask(self, seconds: float) -> tuple[Statuses, float]:
        """One look for which everybody is asked; returns what was told and how long it took."""
        clock = SystemClock()
        statuses, began = Statuses(self.access, clock), clock.now()
        for number in (1, 2):
            statuses.ask(where(number))
        statuses.wait(Deadline(clock, seconds, "everybody answers"), None, [])
        return statuses, clock.now() - began

    @property
    def questions(self) -> int:
        return self.access.places[where(2)].asked.count("Status")


@pytest.fixture
def slow() -> Iterator[Slow]:
    places, gate = cluster(2), threading.Event()
    places[where(2)].gate = gate
    with FakeAccess(places) as access:
        try:
            yield Slow(access, gate)
        finally:
            gate.set()


def test_a_question_that_is_still_open_is_taken_over(slow: Slow) -> None:
    first, _ = slow.ask(0.1)
    assert where(2) not in first.answers() and where(1) in first.answers()
    second, _ = slow.ask(0.1)
    assert slow.questions == 1
    slow.gate.set()
    second.asked[where(2)].result(1)
    assert second.answers()[where(2)].member_id == 2


def test_a_question_that_was_late_once_is_not_waited_for_again(slow: Slow) -> None:
    slow.ask(0.2)
    _, seconds = slow.ask(2.0)
    assert seconds < 1.5


def test_an_answer_between_two_looks_counts_for_the_next_one(slow: Slow) -> None:
    first, _ = slow.ask(0.05)
    slow.gate.set()
    first.asked[where(2)].result(1)
    second, _ = slow.ask(0.5)
    assert where(2) in second.answers() and slow.questions == 1


def test_an_answer_that_is_old_is_asked_for_anew(slow: Slow) -> None:
    first, _ = slow.ask(0.05)
    slow.gate.set()
    first.asked[where(2)].result(1)
    time.sleep(1.05)
    slow.ask(0.5)
    assert slow.questions == 2


def test_a_question_is_settled_before_a_member_is_removed(slow: Slow) -> None:
    """One in flight while a member applies its own removal makes it panic."""
    slow.ask(0.05)
    open_question = slow.access.open_statuses[where(2)]
    threading.Timer(0.2, slow.gate.set).start()
    settle_statuses(slow.access, [where(2)])
    assert open_question.done()


def test_a_question_that_was_dropped_is_no_answer(slow: Slow) -> None:
    statuses, _ = slow.ask(0.05)
    statuses.drop(where(1), "another cluster")
    assert where(1) not in statuses.answers() and statuses.reasons()[where(1)] == "another cluster"
