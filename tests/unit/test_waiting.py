"""What a silent command says: what it waits for, and again as time goes on."""

from __future__ import annotations

import threading

import pytest

from quorate.cli.common import waiting
from quorate.deadline import Deadline, SystemClock, poll
from quorate.etcd.client.connections import Access
from quorate.report import Message, Notice
from unit.fakes import FakeClock


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_SILENT_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "_AGAIN_SECONDS", 0.02)


@pytest.mark.usefixtures("impatient")
def test_it_is_said_again_as_time_goes_on() -> None:
    said, thrice = list[str](), threading.Event()

    def report(message: Message) -> None:
        assert isinstance(message, Notice)
        said.append(message.text)
        if len(said) == 3:
            thrice.set()

    with waiting.saying_what_is_waited_for(report, lambda: f"the {len(said) + 1}. time"):
        assert thrice.wait(30)
    assert [one.partition(" s: ")[2] for one in said[:3]] == ["the 1. time", "the 2. time", "the 3. time"]
    assert all(one.startswith("still waiting, ") for one in said)


def test_a_short_command_says_nothing() -> None:
    said: list[Message] = []
    with waiting.saying_what_is_waited_for(said.append, lambda: "") as report:
        report(Notice("heard"))
    assert said == [Notice("heard")]


def test_the_goal_of_the_innermost_wait_is_named() -> None:
    clock, seen = FakeClock(), list[str]()

    def inner() -> bool | None:
        seen.append(waiting.waited_for(clock, None))
        return True

    def outer() -> bool | None:
        poll(inner, clock, Deadline(clock, 1, "m3 leads"), every=1)
        return inner()

    assert poll(outer, clock, Deadline(clock, 1, "an election can be over"), every=1)
    assert seen == ["until m3 leads", "until an election can be over"]
    assert waiting.waited_for(clock, None) == "" and clock.goals == []


def test_members_that_owe_an_answer_come_before_the_goal() -> None:
    clock = SystemClock()
    with Access() as access:
        clock.goals.append("a leader is there")
        assert waiting.waited_for(clock, access) == "until a leader is there"
        for number in range(7):
            access._calls[number] = (f"10.0.0.{number}:2379 (Status)", -10.0)
        access._calls[9] = ("10.0.0.9:2379 (Status)", float("inf"))
        named = ", ".join(f"10.0.0.{number}:2379 (Status)" for number in range(5))
        assert waiting.waited_for(clock, access) == f"no answer yet from {named} and 2 more"
