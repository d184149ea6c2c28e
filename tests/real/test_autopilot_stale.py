"""Decisions that have become old: an instance that stands still behind one, and what happens meanwhile, on real etcd."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeHome

from quorate.core.actions import Promote, Remove
from quorate.core.autopilot.case import Act
from quorate.core.autopilot.policy import Policy
from quorate.core.ids import format_id
from quorate.deadline import SystemClock
from quorate.errors import HostError, Refused
from quorate.etcd.autopilot import act, last_word
from quorate.etcd.autopilot.loop import Autopilot
from quorate.etcd.client import kv, lease, maintenance
from quorate.etcd.client.errors import NoAnswer
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination import autopilot_records as records
from quorate.etcd.coordination.autopilot_store import AutopilotStore
from quorate.etcd.membership import member_rpc
from quorate.host.standby_program import StandbyProgram
from quorate.local import cluster as local
from quorate.local.home import Home
from quorate.local.standby import join_as_standby
from real.test_autopilot import FAST, piloted, roles, until
from real.test_autopilot_cut_off import is_replaced, store_of
from real.test_autopilot_drills import before_the_removal

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
ZONES = replace(FAST, zones=(("m1", "a"), ("m2", "a"), ("m3", "b"), ("s1", "c")), per=1.0)


@pytest.fixture
def three(make_home: MakeHome, etcd36: str) -> Home:
    home = make_home()
    local.up(home, 3, etcd36)
    join_as_standby(home, "s1", etcd36)
    return home


@pytest.fixture
def five(make_home: MakeHome, etcd36: str) -> Home:
    home = make_home()
    local.up(home, 5, etcd36)
    join_as_standby(home, "s1", etcd36)
    if (leader := home.look().leader) is not None and leader.name in ("m2", "m3"):
        lead(home, "m1")
    return home


def lead(home: Home, name: str) -> None:
    view = home.look()
    leader, heir = view.leader, view.by_name(name)
    assert leader is not None and heir is not None
    with home.access() as access:
        where = next(one.client for one in home.load().members if one.name == leader.name)
        maintenance.move_leader(access.channel(where), heir.id, timeout=5)


def remove_by_hand(home: Home, name: str) -> None:
    gone = home.look().by_name(name)
    assert gone is not None
    with home.access() as access:
        where = next(one.client for one in home.load().members if one.name != name)
        member_rpc.remove(access.channel(where), gone.id, timeout=5)


def for_a_while(pilot: Autopilot, seconds: float) -> list[str]:
    """The rules of some rounds, each once in turn, and what failed."""
    found, end = list[str](), time.monotonic() + seconds
    while time.monotonic() < end:
        one = pilot.round()
        word = f"{one.next.rule} {one.failed}".strip()
        found += [word] if found[-1:] != [word] else []
        time.sleep(0.3)
    return found


def acting_store(pilot: Autopilot) -> AutopilotStore:
    """Without a round more, as `store_of` takes one."""
    assert pilot._key is not None
    return pilot._key.store


def voters(home: Home) -> int:
    return list(roles(home).values()).count("voter")


def test_a_living_voter_does_not_go_where_another_died_meanwhile(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a change of zones: the one that stood still removed its voter although a second instance had removed the dead one: of
    four voters two were left."""
    with piloted(three, ZONES) as still, piloted(three, ZONES) as other:
        remove, begun = act._remove, list[str]()

        def stands_still(doing: Any, one: Act, action: Remove) -> None:
            if not begun:
                leader = doing.view.leader.name
                mine = (action.member_id, one.successor)
                begun.append(next(row.name for row in doing.view.voters if row.id not in mine and row.name != leader))
                local.kill(three, begun[0])
                time.sleep(16)
                until(other, lambda one: one.next.rule == "replace", 60)
            remove(doing, one, action)

        monkeypatch.setattr(act, "_remove", stands_still)
        found = until(still, lambda _: bool(begun), 60)
    assert found.failed and voters(three) == 3


def test_no_voter_goes_where_an_operator_removed_another_one_meanwhile(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with piloted(three, ZONES) as pilot:
        remove, begun = act._remove, list[str]()

        def removing(doing: Any, one: Act, action: Remove) -> None:
            if not begun:
                mine = (action.member_id, one.successor, doing.view.leader.id)
                begun.append(next(row.name for row in doing.view.voters if row.id not in mine))
                remove_by_hand(three, begun[0])
            remove(doing, one, action)

        monkeypatch.setattr(act, "_remove", removing)
        found = until(pilot, lambda _: bool(begun), 60)
    assert found.failed and voters(three) == 3


def test_a_change_of_zones_lowers_nothing_whatever_the_policy_wants(three: Home) -> None:
    """Half done, with a policy of one voter by then, and a voter removed by hand: three became two."""
    with piloted(three, ZONES) as pilot:
        until(pilot, lambda one: one.next.rule == "spread" and not one.failed)
        swap = acting_store(pilot).read().swap
    assert swap is not None
    names = {one.id: one.name for one in three.look().members}
    lead(three, names[swap.promoted])
    remove_by_hand(three, "m1" if names[swap.leaves] == "m2" else "m2")
    with piloted(three, replace(ZONES, voters=1)) as pilot:
        for_a_while(pilot, 6)
    assert voters(three) == 3


def test_a_note_of_a_change_that_was_refused_is_no_plan(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vote was refused by a pause; an operator gave it later, on purpose, and a living voter was removed for it."""
    promote = act._promote
    with piloted(three, ZONES) as pilot:

        def paused(doing: Any, *given: Any) -> None:
            doing.store.pause(3, "firmware")
            promote(doing, *given)

        with monkeypatch.context() as patched:
            patched.setattr(act, "_promote", paused)
            assert "paused" in until(pilot, lambda one: one.next.rule == "spread").failed
        assert acting_store(pilot).read().swap is None
        standby = three.look().by_name("s1")
        assert standby is not None
        with three.access() as access:
            member_rpc.promote(access.channel(three.seeds()[0]), standby.id, timeout=5)
        for_a_while(pilot, 6)
    assert voters(three) == 4


def test_a_standby_keeps_its_seat_where_the_reason_is_gone(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with piloted(three) as pilot:
        store = store_of(pilot)
        place = records.record(run="r", name="m9", peerURL="https://127.0.0.1:1", host="h", pid=1, at=1.0)
        granted = store._lease_of(60)
        store._ask(lambda channel, seconds: kv.put(channel, b"/quorate/seat/r", place, timeout=seconds, lease=granted))

        def deed() -> None:
            local.kill(three, "m2")
            store._ask(lambda channel, seconds: lease.revoke(channel, granted, timeout=seconds))

        with before_the_removal(monkeypatch, deed):
            found = until(pilot, lambda one: one.next.rule == "yield-seat")
        assert "silent since this was decided" in found.failed
        assert roles(three)["s1"] == "learner"
        until(pilot, is_replaced)


def test_a_pause_counts_for_leadership_too(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with piloted(three, ZONES) as pilot:
        until(pilot, lambda one: one.next.rule == "spread" and not one.failed)
        swap = acting_store(pilot).read().swap
        assert swap is not None
        names = {one.id: one.name for one in three.look().members}
        if (leader := three.look().leader) is not None and leader.id != swap.leaves:
            lead(three, names[swap.leaves])
        note = AutopilotStore.note

        def paused(store: AutopilotStore, did: str, **fields: object) -> None:
            note(store, did, **fields)
            if did == "move-leader":
                store.pause(600, "firmware")

        monkeypatch.setattr(AutopilotStore, "note", paused)
        found = until(pilot, lambda one: isinstance(one.next, Act) and "leadership goes" in one.next.why)
    assert "paused" in found.failed
    leader = three.look().leader
    assert leader is not None and leader.id == swap.leaves


def test_no_standby_is_made_behind_a_pause_or_where_one_is_there(
    make_home: MakeHome, etcd36: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, program, began = make_home(), tmp_path / "make", tmp_path / "began"
    local.up(home, 1, etcd36)
    program.write_text(f"#!/bin/sh\necho x >> {began}\n")
    program.chmod(0o700)
    policy = Policy(voters=1, standbys=1)
    with home.access() as access:
        maker = StandbyProgram(program, SystemClock(), 30.0)
        pilot = Autopilot(Cluster(access, home.seeds(), home.clock, home.report), policy=policy, maker=maker)
        refuse = providing_refused(monkeypatch)
        for deed, why in (
            (lambda: acting_store(pilot).pause(3, ""), "paused"),
            (lambda: join_as_standby(home, "s1", etcd36), "there"),
        ):
            refuse.append(deed)
            assert why in until(pilot, lambda one: one.next.rule == "provide", 60).failed
        pilot.leave()
    assert not began.exists()


def providing_refused(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is put into the list is done once, between the decision to make a standby and the last word about it."""
    deeds, refuse = list[Any](), last_word.refuse_provided

    def refused(*given: Any) -> None:
        while deeds:
            deeds.pop()()
        refuse(*given)

    monkeypatch.setattr("quorate.etcd.autopilot.loop.refuse_provided", refused)
    return deeds


@pytest.mark.parametrize("instance", ["the same", "another one"])
def test_voters_that_fall_silent_together_are_not_taken_for_lost_apart(five: Home, instance: str) -> None:
    """One of them was known to be silent, came back while nobody looked, and fell silent with the other one: it was
    replaced."""
    policy = replace(FAST, voters=5)
    held = five.look().by_name("m2")
    assert held is not None
    with piloted(five, policy) as pilot:
        store = store_of(pilot)
        store.hold(held, 3600, "")
        local.kill(five, "m2")
        until(pilot, lambda one: max(one.silent_seconds().values(), default=0.0) > 4 * FAST.window)
        pilot._said_at = 0.0
        pilot.round()
        store.release(held, "")
        if instance == "another one":
            assert pilot._key is not None
            pilot._key.leave()
        local.start(five, "m2")
        time.sleep(5)
        assert five.look().answer(held.id) is not None
        local.kill(five, "m2")
        local.kill(five, "m3")
        if instance == "the same":
            assert "brake" in for_a_while(pilot, 12)
    if instance == "another one":
        with piloted(five, policy) as after:
            assert "brake" in for_a_while(after, 12)
    assert roles(five)["m2"] == roles(five)["m3"] == "voter"


def test_one_place_is_filled_once(make_home: MakeHome, etcd36: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off behind the removal, with the standby that was to follow dead: another one took the place, and the first one got
    a vote too when it came back."""
    home, owed = make_home(), list[str]()
    local.up(home, 3, etcd36)
    for name in ("s1", "s2"):
        join_as_standby(home, name, etcd36)

    def cut_off(_doing: object, action: Promote) -> None:
        owed.append(action.name)
        raise Refused("cut off", state="", advice="")

    policy = replace(FAST, standbys=2)
    with piloted(home, policy) as pilot:
        until(pilot, lambda one: one.acts)
        local.kill(home, "m2")
        with monkeypatch.context() as patched:
            patched.setattr(act, "_promote_owed", cut_off)
            until(pilot, lambda one: one.next.rule == "replace")
        local.kill(home, owed[0])
    with piloted(home, policy) as other:
        until(other, lambda one: one.next.rule == "grow" and not one.failed and one.acts)
        local.start(home, owed[0])
        assert not any(rule.startswith("grow") for rule in for_a_while(other, 8))
    assert voters(home) == 3 and roles(home)[owed[0]] == "learner"


def test_a_disk_that_is_full_between_the_two_steps_withholds_no_vote(three: Home) -> None:
    full = list[bool]()

    def note(kind: str, _fields: dict[str, object]) -> None:
        full.extend([True] if kind == "outcome" else [])
        if full:
            raise HostError("cannot write the journal: No space left on device")

    with three.access() as access:
        pilot = Autopilot(Cluster(access, three.seeds(), three.clock, three.report, note), policy=FAST)
        until(pilot, lambda one: one.acts)
        local.kill(three, "m2")
        until(pilot, lambda one: one.next.rule == "replace")
        pilot.leave()
    assert full and roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


def test_a_change_counts_once_however_often_its_time_is_corrected(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with piloted(three) as pilot:
        store = store_of(pilot)
        store.spend()
        pilot.round()
        for held, (age, at) in dict(pilot._ages._first).items():
            # As after two hours and a new leader of etcd.
            pilot._ages._first[held] = (age + 7200, at)

        def lost(*_: object, **__: object) -> None:
            raise NoAnswer("lost")

        with monkeypatch.context() as patched:
            patched.setattr(lease, "revoke", lost)
            for_a_while(pilot, 3)
        assert len(store.read().spent) == 1


def test_a_policy_of_another_cluster_is_replaced_by_one_that_is_followed(three: Home) -> None:
    """As a restored snapshot has it: the number of standbys was that of each look, and nobody missed the one that was used."""
    with three.access() as access:
        pilot = Autopilot(Cluster(access, three.seeds(), three.clock, three.report))
        store = AutopilotStore(access, three.seeds(), three.clock, three.look().cluster_id)
        other = records.policy_record(Policy(voters=5), 4, store.cluster_id ^ 1, time.time())
        store._put(records.POLICY, other)
        until(pilot, lambda one: one.acts)
        kept = store.read()
        pilot.leave()
    assert kept.policy is not None and (kept.policy.voters, kept.policy.standbys, kept.generation) == (3, 1, 1)


def test_a_moment_that_is_far_ahead_says_nothing(three: Home) -> None:
    """Of a host whose clock was a year ahead: the budget was spent, and two policies fought, for a year."""
    ahead = time.time() + 365 * 86400
    with piloted(three) as pilot:
        store = store_of(pilot)
        rows: list[dict[str, object]] = [{"did": "replace", "rule": "replace"}]
        rows += [{"did": "policy", "generation": number, "digest": "ab"[number % 2]} for number in range(4)]
        for number, fields in enumerate(rows):
            at, of = ahead + number, format_id(store.cluster_id)
            store._put(records.log_key(at), records.record(clusterId=of, at=at, **fields))
        assert pilot.round().next.rule == "nothing"
        local.kill(three, "m2")
        until(pilot, is_replaced)
