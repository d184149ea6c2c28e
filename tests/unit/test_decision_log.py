"""What a run without an end reports of its decisions, and of what it could not read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from quorate.cli.autopilot.advice import advised
from quorate.core.autopilot.case import Memory, Next, Page, Wait
from quorate.core.autopilot.policy import Policy
from quorate.etcd.autopilot.decision_log import DecisionLog
from quorate.etcd.autopilot.loop import Round
from quorate.etcd.coordination.autopilot_records import Instance, Orders
from quorate.etcd.coordination.this_run import Origin
from quorate.report import Recorder
from unit.fakes import FakeClock
from unit.test_decide_autopilot import STANDBY, seen

ROUND = Round(Wait("nothing", "as wanted"), seen(3, STANDBY), Policy(), Memory(), Orders(Policy(), 2, standbys={9: "m9"}))


def reported(*rounds: Round, every: float = 1.0) -> list[str]:
    clock, said = FakeClock(), Recorder()
    log = DecisionLog(said, clock, lambda found: found.why)
    for one in rounds:
        log(one)
        clock.sleep(every)
    return [getattr(one, "text", "") for one in said.messages]


def test_it_begins_with_what_is_watched_and_by_which_policy() -> None:
    first, second = reported(ROUND, ROUND)
    assert first.endswith("voters m1, m2, m3; standbys m9; policy number 2: voters 3, standbys 0, promote owned, " + REST)
    assert second == "nothing: as wanted"
    assert len(reported(ROUND, replace(ROUND, orders=Orders(Policy(), 3)))) == 2, "it is the same policy"
    newer = replace(ROUND, orders=Orders(Policy(standbys=1), 3), policy=Policy(standbys=1))
    assert "policy number 3: voters 3, standbys 1" in reported(ROUND, newer)[2]


REST = "alignedFor 10s, replaceDead.after 10m0s, replaceDead.budget.per 30m0s, replaceDead.budget.day 3, replaceDead.brake 2"


def test_who_acts_is_said_when_it_changes() -> None:
    other = Instance(Origin("host-b", 7), 1, 0.0, {})
    watching = replace(ROUND, orders=replace(read(ROUND), instance=other))
    acts = replace(watching, acts=True)
    said = [one for one in reported(watching, watching, acts, replace(acts, read_ago=3.0), acts) if "acts" in one]
    assert said == ["host-b (pid 7) acts, and this instance only watches", "this instance acts"]


def read(found: Round) -> Orders:
    assert found.orders is not None
    return found.orders


def test_a_wait_is_repeated_with_its_numbers_and_a_page_is_not() -> None:
    silent = [replace(ROUND, next=Wait("silent", f"m2 has been silent for {second} s of 60 s")) for second in range(65)]
    said = reported(*silent)[1:]
    assert [one.split(" for ")[1] for one in said] == ["0 s of 60 s", "30 s of 60 s", "60 s of 60 s"]
    pages = [replace(ROUND, next=Page("budget", f"{second} s ago")) for second in range(65)]
    assert len(reported(*pages)) == 2 and len(reported(*[ROUND] * 65)) == 2


def test_what_was_not_read_is_said_with_its_age() -> None:
    lost: Next = Page("no-quorum", "there is no quorum")
    assert reported(Round(lost, seen(3))) == ["no-quorum: there is no quorum; the policy and the orders were not read yet"]
    (*_, aged) = reported(ROUND, replace(ROUND, next=lost, read_ago=12.0))
    assert aged == "no-quorum: there is no quorum; the policy and the orders are those of 12 s ago"


def test_a_missing_standby_is_added_by_a_command_for_this_cluster() -> None:
    missing = Page("too-few-standbys", "0 of 1 standbys are there")
    assert advised(missing, Path("/srv/my try")).endswith("add one: quorate local join NAME --standby --dir '/srv/my try'")
    assert advised(missing, None).endswith("add one: quorate etcd add NAME --standby --occupy-the-seat")
    assert advised(Wait("silent", "x"), None) == "x"
