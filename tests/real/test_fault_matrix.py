"""Faults at every step of a join on real etcd, with a writer running: nothing acknowledged is lost, no write waits longer than
an election, and the member list ends as goal or as start."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from conftest import MakeHome, RunCli, engine
from outcomes import outcomes
from writer import writing

from quorate.core.membership import Member
from quorate.deadline import DeadlineExceeded
from quorate.errors import JoinFailed, PreflightFailed, QuorateError
from quorate.etcd.client import auth, kv, maintenance, rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Login
from quorate.etcd.client.errors import EtcdError, NoSpace
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join import Join
from quorate.etcd.membership.join_state import JoinPolicy, limits_of
from quorate.etcd.membership.runtime import Runtime
from quorate.local import certificates, cluster, grow
from quorate.local.home import Home
from quorate.member.process import PlainProcess
from quorate.report import Event, Message, Recorder
from quorate.secret import Secret
from real.machines import Machine, flags_of, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
PHASES = ["add", "start", "catch-up", "promote", "verify"]


def at(phase: str, act: Callable[[], None]) -> Callable[[Message], None]:
    """A report that acts once, when a join reaches `phase`: before its action is done."""
    done: list[bool] = []

    def report(message: Message) -> None:
        if isinstance(message, Event) and message.phase == phase and not done:
            done.append(True)
            act()

    return report


def fill(home: Home, keys: int = 200, size: int = 100) -> None:
    with home.access() as access:
        for number in range(keys):
            kv.put(access.channel(home.seeds()[0]), f"fill/{number}".encode(), b"v" * size, timeout=10)


def outcome_of(call: Callable[[], object]) -> QuorateError | None:
    """Its error, None when it worked."""
    try:
        call()
    except QuorateError as error:
        return error
    return None


def start_of(home: Home, voters: int) -> bool:
    view = home.look()
    return len(view.voters) == voters and view.learners == ()


# -- the learner -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["catch-up", "promote", "verify"])
def test_the_learner_is_killed(home: Home, etcd36: str, phase: str) -> None:
    """Before its vote the join is rolled back; right behind the proof and later the member is started again: forward only."""
    cluster.up(home, 2, etcd36)
    fill(home)
    home.report = at(phase, lambda: cluster.kill(home, "m3"))
    with writing(home):
        failed = outcome_of(lambda: cluster.join(home, "m3"))
        if failed is not None:
            assert isinstance(failed, JoinFailed) and outcomes(failed) == ["undone"]
            assert start_of(home, 2) and not home.layout.member("m3").folder.exists()
        else:
            assert phase != "catch-up" and start_of(home, 3)


@pytest.mark.parametrize("phase", ["catch-up", "promote", "verify"])
def test_the_learner_is_paused_and_comes_back(home: Home, etcd36: str, phase: str) -> None:
    cluster.up(home, 2, etcd36)
    fill(home)

    def pause() -> None:
        cluster.pause(home, "m3")
        threading.Timer(1.5, lambda: cluster.resume(home, "m3")).start()

    home.report = at(phase, pause)
    with writing(home):
        cluster.join(home, "m3")
    assert start_of(home, 3)


@pytest.mark.parametrize("phase", ["catch-up", "verify"])
def test_the_learner_is_paused_for_good(home: Home, etcd36: str, phase: str) -> None:
    """A learner is rolled back; a voter stays, and the same command finishes when it is back."""
    cluster.up(home, 2, etcd36)
    fill(home)
    home.report = at(phase, lambda: cluster.pause(home, "m3"))
    # Longer than the 5 s for which etcd may refuse the add.
    home.stall_seconds = 8.0
    with writing(home), pytest.raises(DeadlineExceeded) as failed:
        cluster.join(home, "m3")
    if phase == "catch-up":
        assert outcomes(failed.value) == ["undone"] and start_of(home, 2)
        return
    assert outcomes(failed.value) == ["kept"]
    cluster.resume(home, "m3")
    home.report = Recorder()
    assert len(cluster.up(home, 3).view.voters) == 3


# -- the leader --------------------------------------------------------------------------------------------------------


def leader_of(home: Home) -> Member:
    found: list[Member] = []

    def leads() -> bool:
        try:
            leader = home.look().leader
        except EtcdError:
            return False
        found[:] = [leader] if leader else []
        return bool(found)

    until(leads)
    return found[0]


def move_leadership(home: Home) -> None:
    leader = leader_of(home)
    heir = next(voter for voter in home.look().voters if voter.id != leader.id)
    with home.access() as access:
        client = next(member.client for member in home.load().members if member.name == leader.name)
        maintenance.move_leader(access.channel(client), heir.id, timeout=5)


@pytest.mark.parametrize("phase", PHASES)
def test_leadership_moves_at_every_step(home: Home, etcd36: str, phase: str) -> None:
    cluster.up(home, 3, etcd36)
    fill(home)
    home.report = at(phase, lambda: move_leadership(home))
    with writing(home):
        cluster.join(home, "m4")
    assert start_of(home, 4)


@pytest.mark.parametrize("phase", PHASES)
def test_the_leader_is_killed_at_every_step(home: Home, etcd36: str, phase: str) -> None:
    """The join goes on under the next leader, or is rolled back; `up` brings the old one back and finishes."""
    cluster.up(home, 3, etcd36)
    fill(home)
    home.report = at(phase, lambda: cluster.kill(home, leader_of(home).name))
    home.stall_seconds = 20.0
    with writing(home):
        failed = outcome_of(lambda: cluster.join(home, "m4"))
        assert failed is None or (failed.state and home.look().learners == ())
        home.report = Recorder()
        assert len(cluster.up(home, 4).view.voters) == 4


# -- the data ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["start", "catch-up", "promote"])
def test_compaction_and_defragmentation_meanwhile(home: Home, any_etcd: str, phase: str) -> None:
    """Of the voters: a member that joins is never defragmented (etcd issue 20271)."""
    cluster.up(home, 1, any_etcd)
    fill(home, 400, 2000)

    def tidy() -> None:
        with home.access() as access:
            channel = access.channel(home.seeds()[0])
            kv.compact(channel, kv.revision(channel, timeout=5), timeout=10)
            maintenance.defragment(channel, timeout=30)

    home.report = at(phase, tidy)
    with writing(home):
        cluster.join(home, "m2")
    assert start_of(home, 2)


def test_space_runs_out_while_a_member_joins(machine: Machine, target: Cluster) -> None:
    """Nothing can be written any more, our own keys neither: the learner is rolled back all the same."""
    home = machine.home
    cluster.stop(home, "m1")
    script = machine.folder / "etcd"
    lines = ("#!/bin/sh", f'[ "$1" = --version ] && exec {machine.etcd} --version')
    script.write_text("\n".join([*lines, f'exec {machine.etcd} --quota-backend-bytes=262144 "$@"', ""]))
    script.chmod(0o755)
    saved = home.load()
    home.save(saved.with_member(replace(saved.member("m1"), etcd=str(script))))
    cluster.up(home, 1)

    def fill_up(_name: str, _rows: object) -> None:
        with pytest.raises(NoSpace):
            fill(home, 1000, 4096)
        machine.start(_name, _rows)

    target = replace(target, policy=JoinPolicy(3.0))
    with pytest.raises(QuorateError) as failed:
        target.add("m9", machine.peer_url, start=fill_up)
    assert outcomes(failed.value) == ["undone"], failed.value.state
    assert [member.name for member in target.status().members] == ["m1"]


def test_a_corrupt_alarm_stops_a_join_and_is_never_cleared(machine: Machine, target: Cluster) -> None:
    channel = target.access.channel(target.endpoints[0])
    member = target.status().members[0]
    request = wire.AlarmRequest(action=wire.AlarmRequest.ACTIVATE, memberID=member.id, alarm=wire.CORRUPT)
    channel.call(rpc.ALARM, request, 5.0)
    with pytest.raises(PreflightFailed, match="CORRUPT"):
        target.add("m9", machine.peer_url, start=machine.start)
    assert [alarm.kind for alarm in target.status().alarms] == ["CORRUPT"]
    assert [row.name for row in target.status().members] == ["m1"]


# -- who else is there -------------------------------------------------------------------------------------------------


def test_an_older_cluster_is_joined_by_a_newer_etcd(home: Home) -> None:
    """3.6 joins 3.5: how an upgrade by replacement begins."""
    cluster.up(home, 2, engine("etcd-3.5"))
    fill(home)
    with writing(home):
        cluster.join(home, "m3", engine("etcd-3.6"))
    versions = {row.version.rsplit(".", 1)[0] for row in home.look().replies.values() if hasattr(row, "version")}
    assert versions == {"3.5", "3.6"} and start_of(home, 3)


def test_with_auth_on(machine: Machine, target: Cluster) -> None:
    secret = Secret("s3cret-pass")
    plain = target.access.channel(target.endpoints[0])
    auth.add_user(plain, "root", secret, timeout=5)
    auth.add_role(plain, "root", timeout=5)
    auth.grant_role(plain, "root", "root", timeout=5)
    auth.enable(plain, timeout=5)
    with Access(certificates.client_tls(machine.home.layout), Login("root", secret)) as access:
        owner = Cluster(access, target.endpoints, policy=JoinPolicy(20))
        owner.add("m9", machine.peer_url, start=machine.start)
        assert {member.name for member in owner.status().voters} == {"m1", "m9"}
        owner.remove("m9")
    with Access(certificates.client_tls(machine.home.layout), Login("root", Secret("wrong"))) as stranger:
        with pytest.raises(EtcdError) as refused:
            Cluster(stranger, target.endpoints).add("m8", machine.peer_url, start=machine.start)
        assert "s3cret" not in str(refused.value) and "wrong" not in str(refused.value)


@pytest.mark.parametrize("count", [2, 5])
def test_joins_started_at_once_all_get_there(home: Home, etcd36: str, cli: RunCli, tmp_path: Path, count: int) -> None:
    """Each from its own host, none knowing of the others: they queue."""
    from real.test_runtimes import Host

    cluster.up(home, 1, etcd36)
    hosts = [Host(home, tmp_path / f"host{number}", etcd36, f"h{number}") for number in range(count)]
    done: dict[str, subprocess.CompletedProcess[str]] = {}

    def join(host: Host) -> None:
        done[host.name] = cli(*host.arguments("process"), "--timeout=60")

    threads = [threading.Thread(target=join, args=(host,)) for host in hosts]
    try:
        with writing(home):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert [one.stderr for one in done.values() if one.returncode] == []
        assert start_of(home, count + 1)
        # Of two, one may be done before the other asks, on a busy machine.
        assert count == 2 or any("waiting for the join of" in one.stderr for one in done.values())
    finally:
        for host in hosts:
            host.end_process()


# -- the tool itself dies ----------------------------------------------------------------------------------------------

CRASH = """
import os, sys
from quorate.cli.main import run_with
from quorate.etcd.client import channel as module

METHODS = {"MemberAdd", "MemberPromote", "MemberRemove", "Put", "DeleteRange", "LeaseGrant", "LeaseRevoke"}
number, when, every = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "every"
unary = module.Channel._unary
seen = 0

def crash(self, method, *rest):
    global seen
    counts = every or method.name.rpartition("/")[2] in METHODS or method.path.rpartition("/")[2] in METHODS
    seen += counts
    if counts and seen == number and when == "before":
        os._exit(137)
    try:
        return unary(self, method, *rest)
    finally:
        if counts and seen == number and when == "after":
            os._exit(137)

module.Channel._unary = crash
sys.exit(run_with(sys.argv[4:]))
"""


def crash_at(number: int, when: str, which: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CRASH, str(number), when, which, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 8))
def test_killed_at_every_writing_call_of_a_local_join(home: Home, etcd36: str, number: int, when: str) -> None:
    """The add, both writes of the proof, the promotion, the deletion of the record."""
    cluster.up(home, 2, etcd36)
    fill(home)
    with writing(home):
        crashed = crash_at(number, when, "writing", "local", "join", "m3", "--dir", str(home.layout.root))
        assert crashed.returncode == 137 or (number > 5 and crashed.returncode == 0), crashed.stderr
        assert len(cluster.up(home, 3).view.voters) == 3
    assert start_of(home, 3)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 13))
def test_killed_at_every_writing_call_of_an_add(home: Home, etcd36: str, tmp_path: Path, number: int, when: str) -> None:
    """The place in the queue, the record, the add, the proof, the promotion, what is tidied up; then the same command."""
    from real.test_runtimes import Host

    cluster.up(home, 2, etcd36)
    fill(home)
    host = Host(home, tmp_path / "host", etcd36)
    try:
        with writing(home):
            crashed = crash_at(number, when, "writing", *host.arguments("process"))
            assert crashed.returncode == 137 or (number > 9 and crashed.returncode == 0), crashed.stderr
            again = crash_at(0, "never", "writing", *host.arguments("process"))
            assert again.returncode == 0, again.stderr
        assert start_of(home, 3)
        with home.access() as access:
            left = [row.key for row in kv.get_prefix(access.channel(home.seeds()[0]), b"/quorate/joins/", timeout=5)]
        assert left == []
    finally:
        host.end_process()


@pytest.mark.chaos
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 60))
def test_killed_at_every_call_of_a_local_join(home: Home, etcd36: str, number: int, when: str) -> None:
    cluster.up(home, 2, etcd36)
    fill(home)
    with writing(home):
        crash_at(number, when, "every", "local", "join", "m3", "--dir", str(home.layout.root))
        assert len(cluster.up(home, 3).view.voters) == 3
    assert start_of(home, 3)


# -- the legacy join, for EtcdLearnerMode: false -----------------------------------------------------------------------


class NeverStarts(PlainProcess):
    """As a machine whose image is missing."""

    def start(self, initial_cluster: object) -> None:
        """Nothing happens."""


def never_starting(runtime: PlainProcess) -> Runtime:
    return NeverStarts(**{one.name: getattr(runtime, one.name) for one in fields(runtime)})


def as_it_is(runtime: PlainProcess) -> Runtime:
    return runtime


def legacy(
    home: Home, name: str, *, stall_seconds: float = 30.0, runtime: Callable[[PlainProcess], Runtime] = as_it_is
) -> Join:
    joiner = grow.prepare(home, name, None)
    spec = grow.spec_of(home, joiner)
    policy = JoinPolicy(stall_seconds, voter_join=True)
    access, limits = home.access(), limits_of(policy, home.look().cluster_id)

    def note(_kind: str, _fields: dict[str, object]) -> None:
        """No journal."""

    return Join(access, home.clock, home.seeds(), [(spec, runtime(home.runtime(name)))], limits, policy, home.report, note)


def test_a_legacy_join_works_and_says_what_it_costs(home: Home, any_etcd: str) -> None:
    cluster.up(home, 1, any_etcd)
    fill(home)
    home.report = told = Recorder()
    join = legacy(home, "m2")
    with join.access:
        (result,) = join.run()
    assert "VOTER at once" in " ".join(message.text for message in told.messages)
    assert result.timings["serving"] > 0 and start_of(home, 2)


def test_a_legacy_join_that_never_starts_is_reported_and_not_undone(make_home: MakeHome, etcd36: str) -> None:
    """From the add on its vote counts: only forward, or by hand."""
    home = make_home()
    cluster.up(home, 3, etcd36)
    join = legacy(home, "m4", stall_seconds=8.0, runtime=never_starting)
    with join.access, writing(home), pytest.raises(QuorateError) as failed:
        join.run()
    assert outcomes(failed.value) == ["kept"]
    assert len(home.look().voters) == 4


def test_flags_of_a_cluster_are_accepted(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    assert cli("etcd", "add", "m9", "--peer-urls=https://127.0.0.1:9", "--dry-run", *flags_of(home)).returncode == 0
