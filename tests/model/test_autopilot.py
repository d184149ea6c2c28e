"""The autopilot with a second controller, and with faults, at every point of a replacement: nothing of the fault sheet's A and
B appears, and every world heals or calls somebody."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from model.pilots import FAST, Deed, Once, Pilots, acts, lose_n2, piloted
from model.sim import faults, rules
from model.sim.margin import real_margin
from model.sim.world import no_fault
from quorate.core.autopilot.case import Page, Wait


def operator(deed: Deed) -> Deed:
    return lambda pilots: faults.operate(pilots.scene, lambda _scene: deed(pilots))


def removes_n2(pilots: Pilots) -> None:
    rules.remove(pilots.cluster, pilots.machine("n2").member_id)


def promotes_the_standby(pilots: Pilots) -> None:
    rules.promote(pilots.cluster, pilots.scene.joiner.member_id)


def removes_the_standby(pilots: Pilots) -> None:
    rules.remove(pilots.cluster, pilots.scene.joiner.member_id)


def kubeadm_adds_a_learner(pilots: Pilots) -> None:
    rules.add(pilots.cluster, ("http://kubeadm:2380",), learner=True)


def pause(name: str, seconds: float) -> Deed:
    return lambda pilots: pilots.cluster.pause(pilots.machine(name), seconds)


def n2_returns(pilots: Pilots) -> None:
    one = pilots.machine("n2")
    if one.condition == "dead":
        pilots.cluster.start(one)


DEEDS: dict[str, Deed] = {
    "the other one acts": Pilots.other_acts,
    "the other one acts for long": partial(Pilots.other_acts, rounds=30),
    "the standby dies": lambda pilots: pilots.cluster.kill(pilots.scene.joiner),
    "the standby pauses": lambda pilots: pilots.cluster.pause(pilots.scene.joiner, 8.0),
    "n3 dies": lambda pilots: pilots.cluster.kill(pilots.machine("n3")),
    "n2 returns": n2_returns,
    "the leader pauses": pause("n1", 8.0),
    "the tool stands still 20 s": lambda pilots: faults.stand_still(pilots.scene, 20.0),
    "the machine is suspended 20 s": lambda pilots: faults.suspend(pilots.scene, 20.0),
    "the tool is killed": lambda pilots: faults.kill_tool(pilots.scene),
    "the standby hears nobody": lambda pilots: faults.cut(pilots.scene, lambda one: one.joiner, "in"),
    "nobody hears the standby": lambda pilots: faults.cut(pilots.scene, lambda one: one.joiner, "out"),
    "an operator removes n2": operator(removes_n2),
    "an operator promotes the standby": operator(promotes_the_standby),
    "an operator removes the standby": operator(removes_the_standby),
    "kubeadm adds a learner": operator(kubeadm_adds_a_learner),
}


POINTS = 165
"""Points at which something may happen from shortly before the voter is lost until it is replaced."""


def through(deed: Deed | None, number: int) -> tuple[Pilots, int]:
    """A replacement with one deed at one point of it; returns how many points there are in all."""
    pilots = piloted()
    lose_n2(pilots)
    # Until just before it is lost: what comes then is looked at closely.
    pilots.rounds(20)
    hook = Once(pilots, number, deed or (lambda _pilots: None))
    pilots.scene.world.hook = hook
    pilots.rounds(25, until=lambda: "replace" in acts(pilots) and pilots.decided[-1] is not None)
    pilots.rounds(8)
    pilots.scene.world.hook = no_fault
    assert hook.done, f"there is no point {number}"
    return pilots, len(hook.seen)


def ends_well(pilots: Pilots, name: str) -> None:
    """The properties held; and once all that failed is back, what is there heals, or somebody is called with a reason."""
    pilots.scene.verdict(name)
    pilots.heal()
    pilots.rounds(45)
    pilots.scene.verdict(f"{name}, healed")
    last = pilots.decided[-1]
    whole = real_margin(pilots.cluster) >= 1 and len(pilots.cluster.state.voters) >= 3
    assert whole or isinstance(last, Page), f"{name}: {pilots.state()}"
    assert isinstance(last, Page | Wait), f"{name}: it never comes to rest: {pilots.state()}"


def test_a_lost_voter_is_replaced_and_nothing_else_happens() -> None:
    pilots, points = through(None, 0)
    assert acts(pilots) == ["replace"], pilots.state()
    assert {pilots.name_of(row.id) for row in pilots.cluster.state.voters} == {"n1", "n3", "new"}
    assert points > POINTS
    ends_well(pilots, "no fault")


@pytest.mark.parametrize("seconds", [5.0, 15.0, 20.0])
def test_a_pause_shorter_than_the_limit_replaces_nobody(seconds: float) -> None:
    pilots = piloted()
    for _ in range(3):
        pilots.cluster.pause(pilots.machine("n2"), seconds)
        pilots.rounds(int(seconds) + 4)
    assert acts(pilots) == [], pilots.state()
    ends_well(pilots, "pauses")


def test_two_voters_that_fall_silent_together_are_a_fault_of_network_or_power() -> None:
    pilots = piloted(5)
    for name in ("n2", "n3"):
        pilots.cluster.kill(pilots.machine(name))
    pilots.rounds(40)
    assert acts(pilots) == [] and pilots.decided[-1].rule == "brake", pilots.state()


def test_an_autopilot_that_is_cut_off_alone_does_nothing() -> None:
    pilots = piloted()
    pilots.machine("n2").cut_from_tool = True
    pilots.rounds(40)
    assert acts(pilots) == [] and pilots.decided[-1].rule != "replace", pilots.state()


def plans(step: int) -> Iterator[tuple[str, int]]:
    """Each deed at every so many points of the rounds in which the voter is lost and replaced."""
    for place, name in enumerate(DEEDS):
        # Another point for each deed: together they meet every kind of point.
        for number in range(place % step, POINTS, step):
            yield name, number


@pytest.mark.parametrize(("name", "number"), list(plans(67)))
def test_somebody_else_acts_at_a_point_of_a_replacement(name: str, number: int) -> None:
    pilots, _ = through(DEEDS[name], number)
    ends_well(pilots, f"{name} at point {number}")


@pytest.mark.chaos
@pytest.mark.parametrize("name", DEEDS)
def test_somebody_else_acts_at_every_point_of_a_replacement(name: str) -> None:
    for number in range(0, POINTS, 3):
        pilots, _ = through(DEEDS[name], number)
        ends_well(pilots, f"{name} at point {number}")


def test_the_policy_is_the_one_that_files_may_have_but_for_its_times() -> None:
    assert [one for one in FAST.problems() if "after" not in one.path] == []
