"""What an operator has beside add and remove: plans, the queue and what dead runs left, a closer look, a live one."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli
from outcomes import outcomes

from quorate.core.decide_converge import JoinNext, RemoveNext, Wanted
from quorate.core.membership import ClusterView, Member
from quorate.deadline import DeadlineExceeded, SystemClock
from quorate.errors import ConfigError, QuorateError, Refused
from quorate.etcd.client import kv
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import NoAnswer
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.removal_lock import removal_lock
from quorate.etcd.keys import CHANGE, proof_key
from quorate.etcd.membership import member_rpc, removal_judge
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.etcd.observation.detail import differ
from quorate.etcd.observation.look import observe
from quorate.etcd.observation.member_list_check import Comparison
from quorate.local import cluster
from quorate.local.home import Home
from quorate.report import Recorder
from real.machines import Machine, flags_of, killed_while_starting, until

pytestmark = pytest.mark.real


@contextmanager
def free_port() -> Iterator[int]:
    """A port where nothing listens, bound so that nobody else takes it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def cut_off(target: Cluster, machine: Machine) -> None:
    """Leave what a run leaves that was killed behind its MemberAdd; its place in the queue has ended."""
    killed_while_starting(machine, "m9")
    until(lambda: all(row.place is None for row in target.leftovers()))


def test_a_plan_turns_the_members_into_those_wanted(machine: Machine, home: Home) -> None:
    cluster.up(home, 3)
    with home.access() as access:
        target = Cluster(access, home.seeds(), policy=JoinPolicy(30))
        kept = [row for row in target.status().members if row.name != "m1"]
        wanted = [*(Wanted(row.name, row.peer_urls[0]) for row in kept), Wanted("m9", machine.peer_url)]
        taken = target.converge(wanted, start=machine.start)
        assert [type(step) for step in taken] == [JoinNext, RemoveNext]
        assert {row.name for row in target.status().voters} == {"m2", "m3", "m9"}
        assert target.converge(wanted) == [], "again: nothing to do"
        with pytest.raises(Refused, match="0 voters could fail then, instead of 1"):
            target.converge(wanted[1:])


def test_the_plan_command_shows_first_and_changes_only_when_told(
    machine: Machine, home: Home, cli: RunCli, tmp_path: Path
) -> None:
    want = tmp_path / "want.yaml"
    flags = flags_of(home)
    want.write_text(cli("etcd", "members", *flags, "-o", "yaml").stdout)
    assert "nothing to do" in cli("etcd", "plan", "--want", str(want), *flags).stdout
    want.write_text(want.read_text() + f"- {{name: m9, peerURL: '{machine.peer_url}'}}\n")
    piped = run_with_input(want.read_text(), "etcd", "plan", "--want", "-", *flags)
    assert "join m9" in piped.stdout and "--apply carries the plan out" in piped.stdout
    shown = cli("etcd", "plan", "--want", str(want), *flags, "-o", "json")
    (step,) = json.loads(shown.stdout)["steps"]
    assert (step["action"], step["name"], step["margin"]) == ("join", "m9", 0) and shown.returncode == 0
    assert len(json.loads(cli("etcd", "members", *flags, "-o", "json").stdout)["members"]) == 1


def run_with_input(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quorate", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("members: {}", "no list"),
        ("[]", "is not one mapping"),
        ("members: [1]", "is not a member"),
        ("members: [{name: a}]", "needs exactly one peerURL"),
        ("members: [{peerURL: 'https://h:1'}]", "no name"),
        ("members: [{name: a, peerURL: nonsense}]", "not a URL"),
        ("members: [{name: a, peerURL: 'https://h:1'}, {name: a, peerURL: 'https://h:2'}]", "twice"),
        ("members: [{name: a, peerURL: 'https://h:1', votr: false}]", "unknown key 'votr'"),
        ("members: [{name: a, peerURLS: ['https://h:1']}]", "did you mean peerURL"),
        ("member: []", "did you mean members?"),
        ("members: [{name: a, peerURL: 'https://h:1', peerURLs: ['https://h:1']}]", "give one of them"),
        ("a: [", "neither YAML nor JSON"),
        ("\x00", "neither YAML nor JSON"),
    ],
)
def test_a_wrong_want_file_is_3(text: str, why: str, cli: RunCli, tmp_path: Path) -> None:
    want = tmp_path / "want.yaml"
    want.write_text(text)
    done = cli("etcd", "plan", "--want", str(want))
    assert done.returncode == 3 and why in done.stderr and "Traceback" not in done.stderr


def test_what_a_killed_join_left_is_shown_freed_and_adopted(machine: Machine, target: Cluster) -> None:
    cut_off(target, machine)
    (left,) = target.leftovers()
    assert (left.name, left.peer_url, left.place, left.seconds) == ("m9", machine.peer_url, None, None)
    assert left.member is not None and left.member.is_learner
    assert [row.run for row in target.unlock("m9")] == [left.run]
    assert target.leftovers() == []
    assert len(target.status().learners) == 1, "the member list stays as it is"
    with pytest.raises(ConfigError, match="has a place or a record"):
        target.unlock("m9")
    learner = target.adopt(machine.peer_url, "m9")
    (record,) = target.leftovers()
    assert (record.place, record.seconds) == (None, None)
    assert target.add("m9", machine.peer_url, start=machine.start).member_id == learner.id
    with pytest.raises(Refused, match="is a voter"):
        target.adopt("m9", "m9")
    assert target.leftovers() == []


def test_a_killed_join_is_not_called_running_while_its_place_lives(machine: Machine, target: Cluster, cli: RunCli) -> None:
    killed_while_starting(machine, "m9")
    assert [row.place for row in target.leftovers()] == [1], "the lease outlives the run"
    shown = cli("etcd", "unlock", *flags_of(machine.home)).stdout
    assert "interrupted" in shown and "running" not in shown


def test_a_join_at_work_is_shown_and_not_adopted(machine: Machine, target: Cluster, cli: RunCli) -> None:
    def look(name: str, rows: object) -> None:
        assert "running" in cli("etcd", "unlock", *flags_of(machine.home)).stdout
        (left,) = target.leftovers()
        assert left.place == 1 and left.seconds is not None and left.seconds > 0
        with pytest.raises(Refused, match="is still running"):
            target.adopt(machine.peer_url, "m9")
        machine.start(name, rows)

    target.add("m9", machine.peer_url, start=look)


def test_unlock_drops_the_keys_of_old_proofs(machine: Machine, target: Cluster) -> None:
    cut_off(target, machine)
    channel = target.access.channel(target.endpoints[0])
    kv.put(channel, proof_key(0xABC), b"1", timeout=5)
    target.unlock("m9")
    assert kv.get(channel, proof_key(0xABC), timeout=5) is None


def test_etcdctls_spelling_changes_members_too(
    machine: Machine, target: Cluster, cli: RunCli, etcdctl: str, tmp_path: Path
) -> None:
    flags, state = flags_of(machine.home), {"XDG_STATE_HOME": str(tmp_path)}
    added = cli("etcd", "member", "add", "m9", f"--peer-urls={machine.peer_url}", "--learner", *flags, **state)
    (learner,) = target.status().learners
    lines = added.stdout.splitlines()
    assert lines[0] == f"Member {learner.id:16x} added as learner to cluster {target.status().cluster_id:16x}"
    theirs = subprocess.run(
        [etcdctl, "member", "add", "m8", "--peer-urls=https://127.0.0.1:9", "--learner", *flags],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    foreign = [row for row in target.status().learners if row.id != learner.id]
    assert foreign or "too many learner" in theirs.stderr
    for row in foreign:
        variables = [line.split("=")[0] for line in theirs.stdout.splitlines()[2:]]
        assert variables == [line.split("=")[0] for line in lines[2:]]
        assert cli("etcd", "member", "remove", f"{row.id:x}", *flags, **state).returncode == 0
    machine.start("m9", [("m1", machine.home.load().members[0].peer_url), ("m9", machine.peer_url)])
    promoted = cli("etcd", "member", "promote", f"{learner.id:x}", *flags, **state)
    assert promoted.stdout.startswith(f"Member {learner.id:16x} promoted in cluster "), promoted.stderr
    again = cli("etcd", "member", "promote", f"{learner.id:x}", *flags, "-w", "json", **state)
    assert again.returncode == 0 and len(json.loads(again.stdout)["members"]) == 2
    assert cli("etcd", "member", "remove", str(learner.id), *flags, **state).returncode == 3, "decimal ids are refused"
    gone = cli("etcd", "member", "remove", f"{learner.id:x}", *flags, **state)
    assert gone.returncode == 0 and gone.stdout.startswith(f"Member {learner.id:16x} removed from cluster ")


def test_status_compares_the_data_when_asked(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 3, etcd36)
    done = cli("etcd", "status", "--hash", *flags_of(home), "-o", "json")
    shown = json.loads(done.stdout)
    assert shown["dataDiffers"] is False
    assert len({row["hash"] for row in shown["members"]}) == 1
    assert {row["lagSeconds"] for row in shown["members"]} == {0.0}
    with home.access() as access:
        target = Cluster(access, home.seeds())
        found = target.detail(target.status(), with_hash=True).hashes
    assert len(found) == 3 and not differ(found)


def test_lag_is_told_in_seconds_under_load(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    over = threading.Event()

    def write() -> None:
        with home.access() as access:
            while not over.is_set():
                kv.put(access.channel(home.seeds()[0]), b"k", b"v" * 1000, timeout=5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with home.access() as access:
            target = Cluster(access, home.seeds())
            lags = [lag for _ in range(5) for lag in target.detail(target.status()).lag_seconds.values()]
    finally:
        over.set()
        writer.join()
    assert len(lags) == 15 and all(lag is not None and 0 <= lag < 1 for lag in lags)


def test_watch_prints_a_line_a_look(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 2, etcd36)
    plain = cli("etcd", "watch", "--count", "2", "--interval", "100ms", *flags_of(home))
    assert [line.split("  ")[1] for line in plain.stdout.splitlines()] == ["m1 leads, 0 more may fail"] * 2
    cluster.kill(home, "m1")
    cluster.kill(home, "m2")
    looks = cli("etcd", "watch", "--count", "1", "-o", "json", "--command-timeout", "1s", *flags_of(home))
    look, error = map(json.loads, looks.stdout.splitlines())
    assert "problem" in look and error["error"]["exitCode"] == looks.returncode == 1


def test_a_writer_beside_a_change_tells_its_longest_gap(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    added = json.loads(cli("etcd", "add", "m2", "--dir", str(home.layout.root), "-o", "json").stdout)
    assert added["joined"][0]["name"] == "m2" and added["writer"]["writes"] > 5
    # How long depends on the machine; a pause is seen in test_a_probe_tells_an_outage.
    assert added["writer"]["longestGapSeconds"] > 0
    replaced = cli("etcd", "replace", "m1", "m3", "--dir", str(home.layout.root), "-o", "json")
    assert {row["name"] for row in json.loads(replaced.stdout)["members"]} == {"m2", "m3"}, replaced.stderr
    assert cli("etcd", "add", "m4", "--dir", str(home.layout.root), "--peer-urls=https://h:1").returncode == 3
    assert cli("etcd", "add", "m4").returncode == 3


def test_a_probe_tells_an_outage(home: Home, etcd36: str) -> None:
    cluster.up(home, 1, etcd36)
    with home.probe() as probe:
        until(lambda: probe.gap.writes > 3)
        cluster.pause(home, "m1")
        time.sleep(0.5)
        cluster.resume(home, "m1")
        seen = probe.gap.writes
        until(lambda: probe.gap.writes > seen)
    assert probe.gap.longest >= 0.5


def test_a_registered_learner_that_nobody_owns_is_not_taken_back(machine: Machine, target: Cluster) -> None:
    added, _ = target.register("m9", [machine.peer_url])
    target = replace(target, policy=JoinPolicy(1.0))
    with pytest.raises(DeadlineExceeded) as failed:
        target.add("m9", machine.peer_url)
    assert outcomes(failed.value) == ["kept"]
    assert [row.id for row in target.status().learners] == [added.id]
    member_rpc.remove(target.access.channel(target.endpoints[0]), added.id, timeout=5)


def test_removals_take_turns(home: Home, etcd36: str) -> None:
    """Two at once, each of which would leave room for one failure alone: the second is judged by what the first left."""
    cluster.up(home, 5, etcd36)
    told, outcomes = Recorder(), list[object]()

    def remove(name: str) -> None:
        with home.access() as access:
            try:
                outcomes.append(Cluster(access, home.seeds(), report=told).remove(name, accept_reduced_tolerance=True))
            except QuorateError as error:
                outcomes.append(error)

    threads = [threading.Thread(target=remove, args=(name,)) for name in ("m1", "m5")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [isinstance(one, Member) for one in outcomes] == [True, True], outcomes
    assert len(home.look().voters) == 3
    with home.access() as access:
        survivor = next(member.client for member in home.load().members if member.name == "m2")
        assert kv.get(access.channel(survivor), CHANGE, timeout=5) is None, "the lock went with the run, whoever led"


def test_the_lock_is_taken_through_who_leads_now(home: Home, etcd36: str) -> None:
    """Who led when the wait began may be the very member that the holder removes: nothing answers there any more."""
    cluster.up(home, 1, etcd36)
    with home.access() as access, free_port() as port:
        alive = access.channel(home.load().members[0].client)
        gone = Endpoint.parse(f"https://127.0.0.1:{port}")
        with removal_lock(access, [gone, alive.endpoint], "removing m9", SystemClock(), Recorder()):
            assert kv.get(alive, CHANGE, timeout=5) is not None
        assert kv.get(alive, CHANGE, timeout=5) is None


def test_members_that_disagree_about_the_members_stop_a_join(home: Home, etcd36: str) -> None:
    """The list read through the quorum against each voter's own copy; a row fewer on either side is found."""
    cluster.up(home, 3, etcd36)
    with home.access() as access:
        target = Cluster(access, home.seeds())
        view = target.status()
        assert target.preflight(view, "m9", ["https://127.0.0.1:9"]) == []
        fewer = replace(view, members=view.members[:-1])
        found = list(Comparison(access, lambda: fewer, SystemClock(), 5).disagreements(fewer))
        assert [one.level for one in found] == ["error"] * len(view.voters[:-1])


def test_voters_that_are_only_behind_stop_no_join(home: Home, etcd36: str) -> None:
    """A change by somebody else is under way: what differed once is compared again with what the list is now."""
    cluster.up(home, 3, etcd36)
    with home.access() as access:
        target = Cluster(access, home.seeds())
        view = target.status()
        old = replace(view, members=view.members[:-1])
        assert list(Comparison(access, lambda: view, SystemClock(), 5).disagreements(old)) == []


def test_a_removal_that_was_answered_needs_no_list_to_be_done(home: Home, etcd36: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """etcd answers when it has applied the removal. What comes after it, an old list or no answer, is no failure of it."""
    cluster.up(home, 3, etcd36)
    with home.access() as access:
        target = Cluster(access, home.seeds())
        before = target.status()
        leaving = next(member for member in before.voters if member != before.leader)

        def behind(*args: Any, **more: Any) -> ClusterView:
            now = observe(*args, **more)
            if now.by_id(leaving.id) is None:
                raise NoAnswer("no answer in time")
            return now

        monkeypatch.setattr(removal_judge, "observe", behind)
        target.remove(leaving.name, accept_reduced_tolerance=True)
        after = [member.id for member in observe(access, home.seeds(), SystemClock()).members]
        assert len(after) == 2 and leaving.id not in after


def test_a_learner_in_the_way_is_named_with_whose_it_is(machine: Machine, target: Cluster) -> None:
    cut_off(target, machine)
    (found,) = [one for one in target.preflight(target.status(), "m8", ["https://127.0.0.1:9"]) if one.name == "learner-there"]
    assert "of the join of 'm9'" in found.text and "interrupted" in found.text
