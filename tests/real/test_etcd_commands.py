"""`quorate etcd …` on a cluster it did not start, whose new member's process is somebody else's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import RunCli
from outcomes import data_of, outcomes

from quorate.core.membership import Member
from quorate.deadline import DeadlineExceeded
from quorate.errors import ConfigError, PreflightFailed, Refused
from quorate.etcd.client import kv, maintenance
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, NoSpace
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership import member_rpc
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.host import ports
from quorate.local import cluster
from quorate.local.home import Home
from quorate.pki import etcd as pki
from quorate.pki.certificates import make_ca, make_leaf
from quorate.pki.store import write_pair
from quorate.report import Recorder
from real.machines import Machine, flags_of, killed_while_starting, until

pytestmark = pytest.mark.real


def test_add_waits_for_a_process_that_is_not_ours(machine: Machine, target: Cluster) -> None:
    result = target.add("m9", machine.peer_url, start=machine.start)
    assert {"added", "started", "aligned", "promoted", "serving"} <= set(result.timings)
    view = target.status()
    assert [member.name for member in view.voters if member.id == result.member_id] == ["m9"]
    assert target.add("m9", machine.peer_url).member_id == result.member_id, "again: nothing to do"


def test_a_writer_goes_on_while_a_member_joins(machine: Machine, target: Cluster) -> None:
    """No acknowledged write is lost, and writes are acknowledged while the new member is on the list and does not run: its etcd
    is not started before there were some. A voter that does not run would stop them here, and with them this join."""
    acknowledged: list[int] = []
    over = threading.Event()

    def write() -> None:
        with machine.home.access() as access:
            channel = access.channel(machine.home.seeds()[0])
            while not over.is_set():
                kv.put(channel, f"w/{len(acknowledged)}".encode(), b"v" * 200, timeout=10)
                acknowledged.append(len(acknowledged))

    def start(name: str, rows: object) -> None:
        before = len(acknowledged)
        until(lambda: len(acknowledged) > before + 20)
        machine.start(name, rows)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        target.add("m9", machine.peer_url, start=start)
    finally:
        over.set()
        writer.join()
    with machine.home.access() as access:
        found = kv.get_prefix(access.channel(machine.home.seeds()[0]), b"w/", timeout=10)
    assert {row.key for row in found} >= {f"w/{number}".encode() for number in acknowledged}


def test_a_member_that_never_starts_is_taken_off_the_list_again(machine: Machine, target: Cluster) -> None:
    target = replace(target, policy=JoinPolicy(1.0))
    with pytest.raises(DeadlineExceeded) as failed:
        target.add("m9", machine.peer_url)
    assert outcomes(failed.value) == ["undone"]
    assert data_of(failed.value) == ["elsewhere"], "data on another machine is never said to be deleted"
    assert [member.name for member in target.status().members] == ["m1"]


def test_somebody_elses_unstarted_learner_is_neither_taken_nor_removed(machine: Machine, target: Cluster) -> None:
    access = target.access
    foreign = member_rpc.add_learner(access.channel(machine.home.seeds()[0]), ["https://127.0.0.1:1"], timeout=5).member_id
    target = replace(target, policy=JoinPolicy(1.0))
    with pytest.raises(DeadlineExceeded, match=f"{foreign:x}"):
        target.add("m9", machine.peer_url, start=machine.start)
    assert [member.id for member in target.status().learners] == [foreign]


def test_promote_refuses_a_learner_that_is_dead_and_leaves_it(machine: Machine, target: Cluster) -> None:
    """etcd would promote it: this is the case that stops clusters."""
    channel = target.access.channel(machine.home.seeds()[0])
    learner = member_rpc.add_learner(channel, [machine.peer_url], timeout=5).member_id
    machine.start("m9", [("m1", machine.home.load().members[0].peer_url), ("m9", machine.peer_url)])
    until(lambda: any(member.name == "m9" for member in target.status().members))
    machine.end()
    target = replace(target, policy=JoinPolicy(1.5))
    with pytest.raises(DeadlineExceeded):
        target.promote("m9")
    assert [member.id for member in target.status().learners] == [learner]
    machine.start("m9", [])
    target = replace(target, policy=JoinPolicy(20))
    assert target.promote(f"{learner:x}") is not None
    assert target.promote("m9") is None, "a voter already"


def test_replace_a_live_member(machine: Machine, home: Home) -> None:
    cluster.up(home, 3)
    with home.access() as access:
        target = Cluster(access, home.seeds(), policy=JoinPolicy(30))
        before = target.status()
        result = target.replace("m1", "m9", machine.peer_url, start=machine.start)
        after = target.status()
    assert {member.name for member in after.voters} == {"m2", "m3", "m9"} and after.learners == ()
    assert result.member_id not in {member.id for member in before.members}


def test_replace_a_dead_member_removes_it_first(machine: Machine, home: Home) -> None:
    cluster.up(home, 3)
    cluster.kill(home, "m3")
    with home.access() as access:
        target = Cluster(access, home.seeds(), policy=JoinPolicy(30))
        target.replace("m3", "m9", machine.peer_url, start=machine.start)
        assert {member.name for member in target.status().voters} == {"m1", "m2", "m9"}


def test_remove_and_move_leader(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    with home.access() as access:
        target = Cluster(access, home.seeds())
        assert target.move_leader("m2").name == "m2"
        assert target.move_leader("m2").name == "m2"
        with pytest.raises(Refused, match="0 voters could fail then") as refused:
            target.remove("m2")
        assert "accept_reduced_tolerance=True" in refused.value.advice
        gone = target.remove("m2", accept_reduced_tolerance=True)
        assert isinstance(gone, Member)
        assert {member.name for member in target.status().members} == {"m1", "m3"}
        for wrong in ("m2", "", "zz", "123"):
            with pytest.raises(ConfigError, match="is not a member"):
                target.member(wrong)


def test_health_tells_learners_and_dead_ones_apart(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 3, etcd36)
    with home.access() as access:
        assert all(one.healthy for one in Cluster(access, home.seeds()).health(write=True))
    cluster.kill(home, "m2")
    done = cli("etcd", "health", *flags_of(home), "-o", "json")
    found = {row["name"]: row["healthy"] for row in json.loads(done.stdout)["members"]}
    took = {row["name"]: row["seconds"] for row in json.loads(done.stdout)["members"]}
    assert all((took[name] is not None) == healthy for name, healthy in found.items()), "no time of who did not answer"
    assert done.returncode == 1 and found == {"m1": True, "m2": False, "m3": True}


def test_the_commands_and_their_dry_runs(home: Home, etcd36: str, cli: RunCli, tmp_path: Path) -> None:
    cluster.up(home, 3, etcd36)
    flags = [*flags_of(home), "-o", "json"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return cli("etcd", *arguments, *flags, XDG_STATE_HOME=str(tmp_path / "state"))

    before = json.loads(run("status").stdout)
    assert before["margin"] == {"voters": 3, "reachable": 3, "quorum": 2, "margin": 1, "lowestMargin": 0}
    assert run("add", "m9", "--peer-urls=https://127.0.0.1:1", "--dry-run").returncode == 0
    assert run("remove", "m3", "--dry-run").returncode == 4
    assert run("remove", "m3", "--dry-run", "--accept-reduced-tolerance").returncode == 0
    assert run("promote", "m3").returncode == 0
    assert run("add", "m9", "--peer-urls=nonsense").returncode == 3
    assert json.loads(run("status").stdout)["members"][0]["id"] == before["members"][0]["id"]
    removed = run("remove", "m3", "--accept-reduced-tolerance")
    assert removed.returncode == 0, removed.stderr
    assert len(json.loads(removed.stdout)["members"]) == 2
    journaled = (tmp_path / "state" / "quorate" / "journal").read_text()
    assert '"do": "remove"' in journaled and "applied" in journaled


def test_a_killed_add_is_continued_by_the_same_command(machine: Machine, target: Cluster, cli: RunCli, tmp_path: Path) -> None:
    """The tool dies right behind the MemberAdd; the next run takes up the learner at its peer URL."""
    arguments = ["etcd", "add", "m9", f"--peer-urls={machine.peer_url}", *flags_of(machine.home)]
    state = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    command = subprocess.Popen([sys.executable, "-m", "quorate", *arguments], stderr=subprocess.PIPE, text=True, env=state)
    assert command.stderr is not None
    for line in command.stderr:
        if "start the etcd of m9 with" in line:
            break
    command.send_signal(signal.SIGKILL)
    command.communicate()
    assert len(target.status().learners) == 1
    result = target.add("m9", machine.peer_url, start=machine.start)
    assert [member.id for member in target.status().voters if member.name == "m9"] == [result.member_id]


def test_a_stall_is_named_as_what_it_is(machine: Machine, target: Cluster, tmp_path: Path) -> None:
    """Not started, a certificate of another CA, and the data of another cluster: three stalls, three names."""
    target = replace(target, policy=JoinPolicy(1.5))
    with pytest.raises(DeadlineExceeded, match="nothing listens") as not_started:
        target.add("m9", machine.peer_url)
    assert "start it" in not_started.value.advice

    now = datetime.now(UTC)
    foreign = make_ca("etcd-ca", now=now, kind="ECDSA-P256")
    for base in ("server", "peer"):
        write_pair(tmp_path / base, make_leaf(pki.node_certificates("m9", (), "ECDSA-P256")[base], foreign, now=now))
    # A joiner that is refused ends at once; one that has data goes on listening with the wrong certificate.
    rows = [("m9", machine.peer_url)]
    machine.start("m9", rows, tmp_path, state="new")
    until(lambda: not ports.is_free(machine.peer_port))
    with pytest.raises(DeadlineExceeded, match="TLS with") as refused:
        target.add("m9", machine.peer_url)
    assert "signed by the cluster's CA" in refused.value.advice
    machine.end()
    shutil.rmtree(machine.folder / "data", ignore_errors=True)

    def start_with_old_data(name: str, _rows: object) -> None:
        machine.start(name, rows, state="new")
        with machine.home.access() as access:
            channel = access.channel(Endpoint("127.0.0.1", machine.client_port, "on"))
            until(lambda: _answers(channel))

    with pytest.raises(DeadlineExceeded, match="belongs to cluster") as other:
        target.add("m9", machine.peer_url, start=start_with_old_data)
    assert "belongs to another cluster" in other.value.advice
    with pytest.raises(PreflightFailed, match="belongs to cluster") as early:
        target.add("m9", machine.peer_url)
    assert "move its data directory away" in early.value.advice
    assert target.status().learners == ()


def _answers(channel: Channel) -> bool:
    try:
        maintenance.status(channel, timeout=0.5)
    except EtcdError:
        return False
    return True


def test_a_cluster_with_an_alarm_is_not_grown(machine: Machine, target: Cluster) -> None:
    """A real NOSPACE: the member runs with a tiny quota and is filled."""
    home = machine.home
    cluster.stop(home, "m1")
    script = machine.folder / "etcd"
    lines = ("#!/bin/sh", f'[ "$1" = --version ] && exec {machine.etcd} --version')
    script.write_text("\n".join([*lines, f'exec {machine.etcd} --quota-backend-bytes=65536 "$@"', ""]))
    script.chmod(0o755)
    saved = home.load()
    home.save(saved.with_member(replace(saved.member("m1"), etcd=str(script))))
    cluster.up(home, 1)
    channel = target.access.channel(home.seeds()[0])
    with contextlib.suppress(NoSpace):
        for number in range(1000):
            kv.put(channel, f"fill/{number}".encode(), b"x" * 4096, timeout=5)
    until(lambda: bool(target.status().alarms))
    with pytest.raises(PreflightFailed, match="NOSPACE") as refused:
        target.add("m9", machine.peer_url, start=machine.start)
    assert refused.value.exit_code == 2
    assert target.status().learners == ()
    assert all(one.healthy for one in target.health()), "reads go on under NOSPACE"
    assert not all(one.healthy for one in target.health(write=True))


def keys_of_ours(target: Cluster, machine: Machine) -> list[bytes]:
    rows = kv.get_prefix(target.access.channel(machine.home.seeds()[0]), b"/quorate/", timeout=5)
    return [row.key for row in rows]


def test_the_same_command_takes_up_its_own_learner_and_may_take_it_back(machine: Machine, target: Cluster) -> None:
    """Killed behind the MemberAdd, run again, and this time the member never starts: the record says whose it is."""
    killed_while_starting(machine, "m9")
    assert len(target.status().learners) == 1
    told = Recorder()
    again = Cluster(target.access, target.endpoints, report=told, policy=JoinPolicy(1.0))
    with pytest.raises(DeadlineExceeded) as failed:
        again.add("m9", machine.peer_url)
    assert any("resuming the join" in message.text for message in told.messages)
    assert outcomes(failed.value) == ["undone"]
    assert target.status().learners == ()


def test_a_learner_of_somebody_else_at_our_url_is_used_but_never_taken_back(machine: Machine, target: Cluster) -> None:
    channel = target.access.channel(machine.home.seeds()[0])
    foreign = member_rpc.add_learner(channel, [machine.peer_url], timeout=5).member_id
    target = replace(target, policy=JoinPolicy(1.0))
    with pytest.raises(DeadlineExceeded):
        target.add("m9", machine.peer_url)
    assert [member.id for member in target.status().learners] == [foreign]
    target = replace(target, policy=JoinPolicy(20))
    assert target.add("m9", machine.peer_url, start=machine.start).member_id == foreign


def test_a_second_join_waits_for_the_first_and_says_for_whom(machine: Machine, target: Cluster) -> None:
    told, first_is_in, go_on = Recorder(), threading.Event(), threading.Event()

    def slowly(name: str, rows: object) -> None:
        first_is_in.set()
        go_on.wait(20)
        machine.start(name, rows)

    with machine.home.access() as access:
        first = Cluster(access, target.endpoints, policy=JoinPolicy(30))
        runner = threading.Thread(target=lambda: first.add("m9", machine.peer_url, start=slowly))
        runner.start()
        assert first_is_in.wait(20)
        second = Cluster(target.access, target.endpoints, report=told, policy=JoinPolicy(1.0))
        waiter = threading.Thread(target=lambda: _ignoring(lambda: second.add("m8", "https://127.0.0.1:1")))
        waiter.start()
        until(lambda: any("waiting for the join of 'm9'" in message.text for message in told.messages))
        assert len(target.status().learners) == 1
        go_on.set()
        runner.join(60)
        waiter.join(60)
    assert [member.name for member in target.status().voters if member.name == "m9"] == ["m9"]
    assert target.status().learners == ()
    assert [key for key in keys_of_ours(target, machine) if b"seat" in key] == []


def _ignoring(call: Callable[[], object]) -> None:
    with contextlib.suppress(DeadlineExceeded):
        call()


def test_nothing_of_ours_stays_in_the_cluster_after_a_join(machine: Machine, target: Cluster) -> None:
    target.add("m9", machine.peer_url, start=machine.start)
    assert keys_of_ours(target, machine) == []


def test_without_a_quorum_changes_are_refused_and_said(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    for name in ("m2", "m3"):
        cluster.kill(home, name)
    with home.access() as access:
        target = Cluster(access, home.seeds(), timeout=1.0)
        with pytest.raises((Refused, EtcdError)):
            target.remove("m2")
