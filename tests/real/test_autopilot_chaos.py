"""Longer drills of the autopilot on real etcd: others change the cluster meanwhile, and it is killed at every change it makes.

What holds in all of them: no voter is lost that lives, no write that was acknowledged, and what is lost is healed or named.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeHome, engine
from writer import writing

from quorate.core.autopilot.case import Act
from quorate.core.autopilot.policy import Policy
from quorate.deadline import Deadline, SystemClock
from quorate.errors import QuorateError
from quorate.etcd.autopilot.loop import Autopilot, Round
from quorate.etcd.client import auth, kv, maintenance, rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import LoginFailed, PermissionDenied
from quorate.etcd.client.rpc import Method
from quorate.etcd.cluster import Cluster
from quorate.local import certificates
from quorate.local import cluster as local
from quorate.local.home import Home
from quorate.local.standby import join_as_standby
from quorate.secret import Secret
from real.rows.harness import endpoints
from real.rows.links import cut_from_here, machines_in
from real.rows.tool import Tool
from real.test_autopilot import FAST, piloted, roles, until
from real.test_autopilot_drills import before_the_removal, did

pytestmark = [pytest.mark.real, pytest.mark.chaos, pytest.mark.timeout(600)]
ELECTIONS = 12.0
"""Where members restart or leadership moves all the time a write may wait for several elections."""


def of(make_home: MakeHome, count: int, etcd: str) -> Home:
    home = make_home()
    local.up(home, count, etcd)
    join_as_standby(home, "s1", etcd)
    return home


@pytest.fixture
def three(make_home: MakeHome, etcd36: str) -> Home:
    return of(make_home, 3, etcd36)


def rounds_for(pilot: Autopilot, seconds: float) -> list[Round]:
    """As many rounds as there is time for."""
    clock, found = pilot.cluster.clock, list[Round]()
    deadline = Deadline(clock, seconds, "rounds")
    while not deadline.expired:
        found.append(pilot.round())
        clock.sleep(0.2)
    return found


def acts(found: list[Round]) -> list[str]:
    return [one.next.rule for one in found if isinstance(one.next, Act)]


@contextmanager
def meanwhile(deed: Callable[[], object], every: float) -> Iterator[None]:
    """Does something again and again beside the block."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(every):
            with suppress(QuorateError):
                deed()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def move_leadership(home: Home) -> None:
    """To the next of the voters that answer, in the order of their names."""
    view = home.look()
    there = sorted((one for one in view.voters if view.answer(one.id) is not None), key=lambda one: one.name)
    if view.leader is None or len(there) < 2:
        return
    leader = view.leader
    target = next((one for one in there if one.name > leader.name), there[0])
    with home.access() as access:
        where = next(one.client for one in home.load().members if one.name == leader.name)
        maintenance.move_leader(access.channel(where), target.id, timeout=2)


def test_a_leader_that_moves_each_second(three: Home) -> None:
    """Each new leader has links of its own to report: a dead voter is replaced, and none that lives."""
    with meanwhile(lambda: move_leadership(three), 1.0), writing(three, longest=ELECTIONS), piloted(three) as pilot:
        assert acts(rounds_for(pilot, 8)) == []
        local.kill(three, "m2")
        until(pilot, lambda one: one.next.rule == "replace" and not one.failed, 90)
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


def test_a_voter_in_a_loop_of_restarts_is_not_lost(three: Home) -> None:
    """Each of its lives voids the silence before, however short it is."""
    with writing(three, longest=ELECTIONS), piloted(three) as pilot:
        for _ in range(6):
            local.kill(three, "m2")
            assert acts(rounds_for(pilot, FAST.window - 1.0)) == []
            local.start(three, "m2")
            assert acts(rounds_for(pilot, 1.0)) == []
    assert roles(three)["m2"] == "voter"


def with_program(home: Home, name: str, etcd: str) -> None:
    saved = home.load()
    home.save(replace(saved, members=tuple(replace(one, etcd=etcd) if one.name == name else one for one in saved.members)))


def test_a_rolling_upgrade_loses_no_voter(three: Home) -> None:
    """One member after the other, each away for less than the limit."""
    with writing(three, longest=ELECTIONS), piloted(three) as pilot:
        for name in ("s1", "m1", "m2", "m3"):
            local.stop(three, name)
            with_program(three, name, engine("etcd-3.7"))
            assert acts(rounds_for(pilot, 1.0)) == []
            local.start(three, name)
            assert acts(rounds_for(pilot, 1.5)) == []
        local.kill(three, "m1")
        until(pilot, lambda one: one.next.rule == "replace" and not one.failed, 60)
    assert roles(three) == {"m2": "voter", "m3": "voter", "s1": "voter"}


def test_a_cluster_without_room_is_not_changed_until_it_has_some(three: Home) -> None:
    """It cannot say so in etcd, which takes no writes; once the alarm is disarmed it goes on by itself."""
    with piloted(three) as pilot, three.access() as access:
        until(pilot, lambda one: one.next.rule == "nothing")
        seed = access.channel(three.seeds()[0])
        view = three.look()
        member = view.by_name("m1")
        assert member is not None
        request = wire.AlarmRequest(action=wire.AlarmRequest.ACTIVATE, memberID=member.id, alarm=wire.NOSPACE)
        seed.call(rpc.ALARM, request, 5.0)
        local.kill(three, "m2")
        assert acts(rounds_for(pilot, 4 * FAST.window)) == []
        where = next(one.client for one in three.load().members if one.name == "m1")
        maintenance.disarm_no_space(access.channel(where), member.id, timeout=5)
        until(pilot, lambda one: one.next.rule == "replace" and not one.failed, 60)
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


def test_authentication_that_is_switched_on_ends_the_run(three: Home) -> None:
    """A daemon without a name that goes on would watch nothing, and say nothing."""
    secret = Secret("s3cret-pass")
    with piloted(three) as pilot:
        until(pilot, lambda one: one.next.rule == "nothing")
        with Channel(three.seeds()[0], certificates.client_tls(three.layout)) as channel:
            auth.add_user(channel, "root", secret, timeout=5)
            auth.add_role(channel, "root", timeout=5)
            auth.grant_role(channel, "root", "root", timeout=5)
            auth.enable(channel, timeout=5)
        local.kill(three, "m2")
        with pytest.raises((PermissionDenied, LoginFailed)) as ended:
            until(pilot, lambda one: isinstance(one.next, Act), 60)
    assert "s3cret" not in str(ended.value)


def fill(home: Home, megabytes: int) -> None:
    with home.access() as access:
        channel = access.channel(home.seeds()[0])
        for number in range(megabytes):
            kv.put(channel, f"fill/{number:06}".encode(), b"v" * 1_000_000, timeout=20)


def test_a_standby_that_loads_a_snapshot_of_a_gigabyte_is_not_ready(make_home: MakeHome, etcd36: str) -> None:
    """Nor is the voter that is silent meanwhile replaced, before the standby has everything."""
    home = make_home()
    local.up(home, 3, etcd36)
    fill(home, 1000)
    join_as_standby(home, "s1", etcd36)
    local.kill(home, "m2")
    with piloted(home) as pilot:
        done = until(pilot, lambda one: one.next.rule == "replace" and not one.failed, 300)
        assert done.view is not None
    with home.access() as access:
        where = next(one.client for one in home.load().members if one.name == "s1")
        assert kv.get(access.channel(where), b"fill/000999", timeout=20) is not None
    assert roles(home) == {"m1": "voter", "m3": "voter", "s1": "voter"}


def test_a_zone_that_is_lost_is_not_a_loss_of_members(make_home: MakeHome, etcd36: str) -> None:
    zones = (("m1", "a"), ("m2", "a"), ("m3", "b"), ("m4", "b"), ("m5", "c"), ("s1", "c"))
    home = of(make_home, 5, etcd36)
    with writing(home, longest=ELECTIONS), piloted(home, replace(FAST, voters=5, zones=zones)) as pilot:
        for name in ("m1", "m2"):
            local.kill(home, name)
        until(pilot, lambda one: one.next.rule == "brake")
        assert acts(rounds_for(pilot, 4 * FAST.window)) == []
        for name in ("m1", "m2"):
            local.start(home, name)
        until(pilot, lambda one: one.next.rule == "nothing", 60)
    assert len([one for one in roles(home).values() if one == "voter"]) == 5


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_shortens_no_silence_and_no_pause(three: Home, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    with piloted(three) as pilot:
        until(pilot, lambda one: one.next.rule == "nothing")
        assert pilot._key is not None
        pilot._key.store.pause(3 * FAST.window, "firmware")
        wall = type(pilot.cluster.clock).wall
        monkeypatch.setattr(type(pilot.cluster.clock), "wall", lambda clock: wall(clock) + jump)
        local.kill(three, "m2")
        assert acts(rounds_for(pilot, 2 * FAST.window)) == []
        until(pilot, lambda one: one.next.rule == "replace" and not one.failed, 60)


def test_a_policy_that_changes_behind_the_decision_counts(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with piloted(three) as pilot:
        until(pilot, lambda one: one.next.rule == "nothing")
        key = pilot._key
        assert key is not None
        key.store.begin_with(Policy(voters=3, standbys=1), key.store.read())
        pilot.round()
        local.kill(three, "m2")
        only_promote = Policy(voters=3, standbys=1, after=None)
        with before_the_removal(monkeypatch, partial(key.store.set_policy, only_promote, lambda _: FAST)):
            found = until(pilot, lambda one: one.next.rule == "replace")
    assert "the policy was changed meanwhile" in found.failed
    assert roles(three)["m2"] == "voter"


def test_a_cut_that_only_the_autopilot_sees_loses_nobody(tmp_path: Path) -> None:
    """Its members have links: the silence is its own. After the limit it still says that, and does nothing."""
    with machines_in(tmp_path, "3.6", 4) as lab:
        voters, standby = lab.etcds[:3], lab.etcds[3]
        lab.bootstrap(*voters)
        assert lab.add(standby, voters, "--standby", "--occupy-the-seat").end(120).code == 0
        policy = tmp_path / "policy.yaml"
        policy.write_text("voters: 3\nstandbys: 1\nreplaceDead: {after: 1m, budget: {per: 2m, day: 3}}\n")

        def tool(*words: str) -> Tool:
            return lab.quorate("autopilot", *words, endpoints(*voters), before=lab.beside)

        assert tool("policy", "set", str(policy)).end(60).code == 0
        pilot = tool("run")
        try:
            cut_from_here(voters[1])
            SystemClock().sleep(90)
            shown = tool("explain").end(60).shown
        finally:
            pilot.interrupt()
            pilot.end(30)
        assert sorted(lab.roles(voters[0]).values()) == ["learner", "voter", "voter", "voter"]
        assert shown["acting"]["said"]["rule"] not in ("replace", "nothing"), shown


# -- killed at every change that it makes ------------------------------------------------------------------------------


MOST_CHANGES = 30
"""More than a replacement makes: keys of its books, the proof, the lock, the two changes of members."""

OFTEN = replace(FAST, per=4.0)
"""A replacement that was cut off counts against the budget, and is begun again once that allows it."""


class Killed(BaseException):
    """The end of a process, for its state: nothing of it goes on, and nothing is given back."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[list[str]]:
    """Ends the run when the answer to its `number`-th change has come. Yields what was asked for."""
    asked: list[str] = []
    unary = Channel._unary

    def counted(channel: Channel, method: Method[Any, Any], *given: Any) -> Any:
        # The writer beside it goes on.
        if method.reads_only or method.name == "Alarm" or threading.current_thread() is not threading.main_thread():
            return unary(channel, method, *given)
        asked.append(method.name)
        answer = unary(channel, method, *given)
        if len(asked) == number:
            raise Killed(method.name)
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Channel, "_unary", counted)
        yield asked


@pytest.mark.parametrize("number", range(1, MOST_CHANGES + 1))
def test_killed_at_every_change_another_instance_goes_on(three: Home, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Behind each of them, which is before the next one."""
    with writing(three, longest=ELECTIONS):
        asked = _killed_in_a_replacement(three, monkeypatch, number)
        with piloted(three, OFTEN) as other:
            until(other, lambda one: _voters(one) == {"m1", "m3", "s1"}, 60)
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}
    assert number < MOST_CHANGES or len(asked) < number, "a replacement makes more changes than are tried here"


def _killed_in_a_replacement(home: Home, monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """Returns the changes that were asked for until then."""
    with home.access() as access:
        pilot = Autopilot(Cluster(access, home.seeds(), home.clock, home.report), policy=OFTEN)
        until(pilot, lambda one: one.acts and one.next.rule == "nothing")
        local.kill(home, "m2")
        until(pilot, lambda one: max(one.silent_seconds().values(), default=0.0) > FAST.window - 1.5)
        with killed_at(monkeypatch, number) as asked, suppress(Killed):
            until(pilot, lambda one: "done" in did(one), 60)
            pilot.leave()
        return asked


def _voters(found: Round) -> set[str]:
    return {one.name for one in found.view.voters} if found.view is not None else set()
