"""Replacements of the autopilot that something comes between, on real etcd: orders, stops, other hands, a new leader."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeHome

from quorate.deadline import SystemClock
from quorate.errors import Interrupted, Refused
from quorate.etcd.autopilot import act
from quorate.etcd.autopilot.loop import Autopilot, Round
from quorate.etcd.client import kv, maintenance
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination import autopilot_records as records
from quorate.etcd.coordination.autopilot_store import AutopilotStore
from quorate.local import cluster as local
from quorate.local.home import Home
from quorate.local.standby import join_as_standby
from real.test_autopilot import FAST, piloted, roles, until
from real.test_autopilot_drills import before_the_removal

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@pytest.fixture
def three(make_home: MakeHome, etcd36: str) -> Home:
    home = make_home()
    local.up(home, 3, etcd36)
    join_as_standby(home, "s1", etcd36)
    return home


def store_of(pilot: Autopilot) -> AutopilotStore:
    until(pilot, lambda one: one.acts)
    assert pilot._key is not None
    return pilot._key.store


def is_replaced(found: Round) -> bool:
    return found.next.rule == "replace" and not found.failed


def test_a_standby_that_is_held_takes_a_place_all_the_same(three: Home) -> None:
    """Each try was refused at its last question and counted against the budget."""
    with piloted(three) as pilot:
        standby = three.look().by_name("s1")
        assert standby is not None
        store_of(pilot).hold(standby, 3600, "")
        local.kill(three, "m2")
        until(pilot, lambda one: one.next.rule == "replace")
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


def test_what_an_order_forbids_is_not_begun_and_does_not_count(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with piloted(three) as pilot:
        store = store_of(pilot)
        local.kill(three, "m2")
        carry_out = act.carry_out

        def paused_first(*given: Any, wanted: int) -> None:
            store.pause(60, "firmware")
            carry_out(*given, wanted=wanted)

        with monkeypatch.context() as patched:
            patched.setattr("quorate.etcd.autopilot.loop.carry_out", paused_first)
            assert "paused" in until(pilot, lambda one: one.next.rule == "replace").failed
        assert not store.read().spent and all(entry.did != "replace" for entry in store.read().log)


def test_a_new_leader_begins_no_order_and_no_budget_anew(three: Home) -> None:
    """etcd gives each lease its full time again: a pause never ended, and a replacement of long ago was one of now."""
    with piloted(three) as pilot:
        store = store_of(pilot)
        store.spend()
        store.pause(8.0, "firmware")
        began = pilot.cluster.clock.now()
        until(pilot, lambda _: pilot.cluster.clock.now() - began > 5)
        move_leadership(three)
        until(pilot, lambda one: one.next.rule == "nothing")
        assert pilot.cluster.clock.now() - began < 16 and store.read().pause is None
        told = store.spent_ago(store.read())
        found = until(pilot, lambda one: one.acts)
        assert max(told.values()) < 12 and pilot.cluster.clock.now() - max(found.memory.replaced) > 8


def move_leadership(home: Home) -> None:
    view = home.look()
    assert view.leader is not None
    target = next(one for one in view.voters if view.leader is not None and one.id != view.leader.id)
    with home.access() as access:
        where = next(one.client for one in home.load().members if view.leader is not None and one.name == view.leader.name)
        maintenance.move_leader(access.channel(where), target.id, timeout=5)


def test_a_replacement_that_was_cut_off_is_finished_whatever_the_policy_wants(
    three: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three voters where one is wanted, two were left for good, of which none may fail."""
    few = replace(FAST, voters=1)

    def cut_off(*_given: object) -> None:
        raise Refused("cut off", state="", advice="")

    with piloted(three, few) as pilot:
        until(pilot, lambda one: one.acts)
        local.kill(three, "m2")
        with monkeypatch.context() as patched:
            patched.setattr(act, "_promote", cut_off)
            until(pilot, lambda one: one.next.rule == "replace")
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "learner"}
    with piloted(three, few) as other:
        until(other, lambda one: one.next.rule == "grow" and not one.failed)
    assert roles(three)["s1"] == "voter"


def test_a_stop_between_the_two_steps_waits_for_the_vote(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM there left one voter fewer, and a service that was stopped had nobody to finish it."""
    clock, remove = SystemClock(), act._remove

    def stopped_behind_it(*given: object) -> None:
        remove(*given)  # type: ignore[arg-type]
        clock.cancel.request("stopped by SIGTERM")

    with three.access() as access:
        pilot = Autopilot(Cluster(access, three.seeds(), clock, three.report), policy=FAST)
        until(pilot, lambda one: one.acts)
        local.kill(three, "m2")
        monkeypatch.setattr(act, "_remove", stopped_behind_it)
        with suppress(Interrupted):
            until(pilot, is_replaced)
        pilot.leave()
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


def test_a_standby_that_dies_behind_its_proof_lets_the_voter_stay(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with piloted(three) as pilot:
        until(pilot, lambda one: one.acts)
        local.kill(three, "m2")
        with before_the_removal(monkeypatch, lambda: local.kill(three, "s1")):
            found = until(pilot, lambda one: one.next.rule == "replace")
    assert "s1 does not answer any more" in found.failed
    assert roles(three) == {"m1": "voter", "m2": "voter", "m3": "voter", "s1": "learner"}


def test_a_place_that_somebody_filled_is_not_filled_twice(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch, etcd36: str
) -> None:
    """An operator promoted another learner between the two steps: four voters tolerate no more than three."""
    home = make_home()
    local.up(home, 3, etcd36)
    join_as_standby(home, "s1", etcd36)
    with piloted(home) as pilot:
        until(pilot, lambda one: one.acts)
        local.kill(home, "m2")
        monkeypatch.setattr(act, "_remove", _then(act._remove, lambda: promoted(home)))
        until(pilot, is_replaced)
        assert pilot.round().next.rule != "grow"
    assert list(roles(home).values()).count("voter") == 3


def promoted(home: Home) -> None:
    with home.access() as access:
        Cluster(access, home.seeds(), home.clock, home.report).promote("s1")


def _then(first: Callable[..., None], deed: Callable[[], None]) -> Callable[..., None]:
    def both(*given: object) -> None:
        first(*given)
        deed()

    return both


def test_a_silence_that_is_over_makes_the_next_one_no_older(make_home: MakeHome, etcd36: str) -> None:
    """What an earlier instance had said of a voter that came back parted two losses of one moment, and one was replaced."""
    home = make_home()
    local.up(home, 5, etcd36)
    join_as_standby(home, "s1", etcd36)
    policy = replace(FAST, voters=5)
    with piloted(home, policy) as pilot:
        store, held = store_of(pilot), home.look().by_name("m2")
        assert held is not None
        store.hold(held, 3600, "")
        local.kill(home, "m2")
        until(pilot, lambda one: max(one.silent_seconds().values(), default=0.0) > 3 * FAST.window)
        local.start(home, "m2")
        until(pilot, lambda one: not one.silent_seconds())
        assert store.read().silent == {}
        store.release(held, "")
        local.kill(home, "m2")
        local.kill(home, "m3")
    with piloted(home, policy) as after:
        until(after, lambda one: one.next.rule == "brake")
    assert len(roles(home)) == 6


def test_a_join_that_has_just_begun_takes_no_seat_of_a_standby(three: Home) -> None:
    """It has not asked for one yet, and where members have more it gets its own."""
    with piloted(three) as pilot:
        store = store_of(pilot)
        place = records.record(run="r", name="m9", peerURL="https://127.0.0.1:1", host="h", pid=1, at=1.0)
        granted = store._lease_of(60)
        store._ask(lambda channel, seconds: kv.put(channel, b"/quorate/seat/r", place, timeout=seconds, lease=granted))
        began = pilot.cluster.clock.now()
        until(pilot, lambda one: one.next.rule == "yield-seat")
        assert pilot.cluster.clock.now() - began >= 9
