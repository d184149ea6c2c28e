"""The autopilot on real etcd: what it promotes, what it replaces, and what it leaves alone."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemas
from conftest import MakeHome, RunCli

from quorate.core.autopilot.policy import Policy
from quorate.deadline import Deadline
from quorate.errors import HostError
from quorate.etcd.autopilot import act
from quorate.etcd.autopilot.loop import Autopilot, Round
from quorate.etcd.client import auth
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.endpoint import Login
from quorate.etcd.client.errors import PermissionDenied
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination import autopilot_records as records
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.etcd.coordination.autopilot_store import ActingKey, AutopilotStore
from quorate.foreign.values import mapping_of, rows_of
from quorate.local import certificates, standby
from quorate.local import cluster as local
from quorate.local.home import Home
from quorate.local.standby import join_as_standby
from quorate.secret import Secret

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
FAST = Policy(voters=3, standbys=1, aligned_for=0.5, after=3.0, per=60.0)
"""Limits that no policy file may have: a drill must not take ten minutes."""


@contextmanager
def piloted(home: Home, policy: Policy = FAST) -> Iterator[Autopilot]:
    with home.access() as access:
        pilot = Autopilot(Cluster(access, home.seeds(), home.clock, home.report), policy=policy)
        try:
            yield pilot
        finally:
            pilot.leave()


def until(pilot: Autopilot, holds: Callable[[Round], bool], seconds: float = 30.0) -> Round:
    """Rounds, one after the other, until one is as `holds` says."""
    clock = pilot.cluster.clock
    deadline = Deadline(clock, seconds, "a round")
    while True:
        found = pilot.round()
        if holds(found):
            return found
        assert not deadline.expired, found
        clock.sleep(0.3)


def told_of(entry: records.Entry) -> dict[str, object]:
    """The members of an entry, by the words for what was done to them, or only begun."""
    words = ("removing", "promoting", "removed", "promoted")
    return {word: mapping_of(entry.fields[word])["name"] for word in words if word in entry.fields}


def read(found: Round) -> Orders:
    """The records of a round that read them."""
    assert found.orders is not None and found.read_ago == 0.0
    return found.orders


def roles(home: Home) -> dict[str, str]:
    return {member.name: "learner" if member.is_learner else "voter" for member in home.look().members}


@pytest.fixture
def three(make_home: MakeHome, etcd36: str) -> Home:
    home = make_home()
    local.up(home, 3, etcd36)
    join_as_standby(home, "s1", etcd36)
    return home


def test_a_standby_that_was_cut_off_before_its_mark_is_continued(
    make_home: MakeHome, etcd36: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home()
    local.up(home, 1, etcd36)

    def ended(*_: object) -> None:
        raise HostError("ended here", advice="run it again")

    with monkeypatch.context() as patched:
        patched.setattr(standby, "mark", ended)
        with pytest.raises(HostError, match="ended here"):
            standby.join_as_standby(home, "s1", etcd36)
    assert roles(home) == {"m1": "voter", "s1": "learner"}
    result = standby.join_as_standby(home, "s1", etcd36)
    assert roles(home) == {"m1": "voter", "s1": "learner"}
    assert home.load().member("s1").phase == "standby"
    with piloted(home) as pilot:
        assert list(read(pilot.round()).standbys) == [result.member_id]


def test_a_lost_voter_is_replaced_by_the_standby(three: Home) -> None:
    assert roles(three) == {"m1": "voter", "m2": "voter", "m3": "voter", "s1": "learner"}
    with piloted(three) as pilot:
        assert pilot.round().next.rule == "nothing"
        local.kill(three, "m2")
        done = until(pilot, lambda one: one.next.rule == "replace")
        assert not done.failed and done.acts
        assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}
        after = pilot.round()
        assert (after.next.rule, len(read(after).replaced())) == ("too-few-standbys", 1)
        assert [(entry.did, told_of(entry)) for entry in read(after).log] == [
            ("replace", {"removing": "m2", "promoting": "s1"}),
            ("done", {"removed": "m2", "promoted": "s1"}),
        ]
        assert read(after).standbys == {}


def test_a_pause_that_is_shorter_than_the_limit_changes_nothing(three: Home) -> None:
    """Nor does one that follows it: each begins at nothing."""
    with piloted(three) as pilot:
        for _ in range(2):
            local.pause(three, "m2")
            until(pilot, lambda one: one.silent_seconds().get(_id(one, "m2"), 0) > FAST.window / 2)
            local.resume(three, "m2")
            until(pilot, lambda one: one.next.rule == "nothing")
        assert read(pilot.round()).log == ()
    assert roles(three)["m2"] == "voter"


def test_a_replacement_that_was_cut_off_between_its_steps_is_finished(
    three: Home, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another instance, too: there are fewer voters than wanted then, and the standby is there."""

    def cut(*_: object) -> None:
        raise HostError("cut off")

    with piloted(three) as pilot:
        local.kill(three, "m2")
        with monkeypatch.context() as patched:
            patched.setattr(act, "_promote", cut)
            assert until(pilot, lambda one: one.next.rule == "replace").failed == "cut off"
        assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "learner"}
    with piloted(three) as other:
        done = until(other, lambda one: one.next.rule == "grow")
        assert done.acts and not done.failed
        log = read(other.round()).log
        assert [entry.did for entry in log] == ["replace", "failed", "promote", "done"]
        assert told_of(log[1]) == {"removed": "m2", "promoting": "s1"}
        assert [(one["name"], one["is"]) for one in rows_of(log[1].fields["found"])] == [("m2", "no member"), ("s1", "learner")]
        rows = cli("autopilot", "history", "--dir", str(three.layout.root)).stdout.splitlines()
        assert "removed m2; promoting s1; cut off; after it m2 was no member, s1 was a learner" in rows[2]
        assert "promoting s1" in rows[3] and "promoted s1" not in rows[3] and "promoted s1" in rows[4]
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


def test_two_that_act_at_once_replace_one_voter_once(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is courtesy: each step is judged on a look of its own."""
    monkeypatch.setattr(ActingKey, "is_ours", lambda _self, _said: True)
    monkeypatch.setattr(ActingKey, "is_still_ours", lambda _self: True)
    with piloted(three) as one, piloted(three) as other:
        local.kill(three, "m2")
        with ThreadPoolExecutor(2) as pool:
            over = ("replace", "grow", "too-few-standbys")
            both = [pool.submit(until, pilot, lambda found: found.next.rule in over) for pilot in (one, other)]
            for each in both:
                each.result(60)
    assert roles(three) == {"m1": "voter", "m3": "voter", "s1": "voter"}


def test_an_instance_that_does_not_act_changes_nothing_and_takes_over(three: Home) -> None:
    with piloted(three) as first:
        assert first.round().acts
        with piloted(three) as second:
            assert not second.round().acts
            first.leave()
            assert read(until(second, lambda one: one.acts)).troubles == ()


def test_what_operators_order_counts_at_the_next_look(three: Home) -> None:
    with piloted(three) as pilot:
        pilot.round()
        assert pilot._key is not None
        store = pilot._key.store
        store.pause(60, "disks")
        assert pilot.round().next.rule == "paused"
        store.resume()
        view = pilot.round().view
        assert view is not None
        member = view.by_name("m2")
        assert member is not None
        store.hold(member, 60, "its host is repaired")
        local.kill(three, "m2")
        assert read(until(pilot, lambda one: one.next.rule == "held")).holds[member.id].why == "its host is repaired"
        assert set(roles(three)) == {"m1", "m2", "m3", "s1"}


def test_a_record_of_a_newer_version_stops_it(three: Home, cli: RunCli) -> None:
    with piloted(three) as pilot:
        found = pilot.round()
        assert pilot._key is not None and found.view is not None
        pilot._key.store._put(records.PAUSE, b'{"format": 2}')
        assert pilot.round().next.rule == "bad-record"
        for command in ("status", "explain", "history"):
            shown = cli("autopilot", command, "--dir", str(three.layout.root), "-o", "json")
            told = json.loads(shown.stdout)
            # It may be a pause, for all that is known.
            assert shown.returncode == 1 and told.get("paused") is None and told.get("entries") is None


def test_the_commands(three: Home, cli: RunCli) -> None:
    where = ("--dir", str(three.layout.root))

    def told(*words: str, code: int = 0, **more: object) -> dict[str, Any]:
        done = cli("autopilot", *words, *where, "-o", "json", **more)
        assert done.returncode == code, done
        assert len(schemas.checked(done.stdout)) == 1
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    assert told("run", "--once", "--dry-run")["rule"] == "nothing"
    without = told("policy", "get")
    assert (without["generation"], without["policy"]["standbys"]) == (0, 1) and told("status")["acting"] is None
    policy = three.layout.root.parent / "policy.yaml"
    policy.write_text("{voters: 3, standbys: 1, replaceDead: {after: 1m}}")
    assert told("policy", "set", str(policy))["generation"] == 1
    policy.write_text("{voters: 1, standbys: 1, zones: {m9: a}, replaceDead: {after: 1m}}")
    (unknown,) = told("policy", "set", str(policy), code=3)["error"]["problems"]
    assert (unknown["path"], unknown["line"]) == ("zones.m9", 1)
    policy.write_text("{voters: 4, standbys: 1, zones: {m9: a},\nreplaceDead: {after: 1s}}")
    several = told("policy", "set", str(policy), code=3)["error"]["problems"]
    assert [(one["path"], one["line"]) for one in several] == [("voters", 1), ("zones.m9", 1), ("replaceDead.after", 2)]
    policy.write_text("{voters: 1, standbys: 1, replaceDead: {after: 90s}}")
    again = told("policy", "set", str(policy))
    assert [one["path"] for one in again["changed"]] == ["voters", "replaceDead.after"] and len(again["warnings"]) == 1
    policy.write_text("{voters: 3, standbys: 1, replaceDead: {after: 1m, brake: 3}}")
    assert "replaceDead.after: 1m30s -> 1m0s" in cli("autopilot", "policy", "set", str(policy), *where).stdout
    assert told("run", "--once")["acting"] is True
    assert told("pause", "--for", "1h", "--why", "disks")["seconds"] == 3600
    assert told("explain")["now"]["rule"] == "paused" and told("status")["paused"] is True
    assert cli("autopilot", "status", *where).stderr == "", "what it says is one thing"
    assert told("resume")["wasPaused"] is True and told("hold", "m2", "--for", "1h")["member"]["name"] == "m2"
    assert [entry["did"] for entry in told("history")["entries"]] == ["policy"] * 3 + ["pause", "resume", "hold"]
    assert told("hold", "m3", "--for", "0")["wasHeld"] is False and told("hold", "m2", "--for", "0")["wasHeld"] is True
    assert "m2 was not held: nothing was changed" in cli("autopilot", "hold", "m2", "--for", "0", *where).stdout
    *_, held, released = told("history")["entries"]
    assert (held["seconds"], released["seconds"], released["until"]) == (3600, 0, None) and held["until"] > held["at"]
    shown = [line.split("  ") for line in cli("autopilot", "history", *where).stdout.splitlines()[-4:]]
    words = [next(cell.strip() for cell in row[2:] if cell.strip()) for row in shown]
    assert words[0].startswith("for 1h0m0s, until 20") and words[0].endswith("; disks") and words[1] == "ended"
    assert words[2].startswith("m2; for 1h0m0s, until 20") and words[3] == "m2; ended"
    cluster = three.look()
    (marked,) = [f"{one.id:x}" for one in cluster.learners]
    with three.access() as access:
        store = AutopilotStore(access, three.seeds(), three.clock, cluster.cluster_id)
        store.mark(replace(cluster.voters[0], id=0xDEAD, name="gone"))
        now = told("status")
        assert (now["standbys"], now["staleMarks"]) == ([marked], ["dead"])
        assert "gone is marked as a standby, and is no learner" in cli("autopilot", "status", *where).stdout
        store.unmark(0xDEAD)
    members = {one["name"]: one["isStandby"] for one in told("run", "--once", "--dry-run")["cluster"]["members"]}
    assert members == {"m1": False, "m2": False, "m3": False, "s1": True}
    root = str(three.layout.root)
    for way in (("--dir", root, "policy", "get"), ("policy", "--dir", root, "get"), ("--dir", root, "history")):
        assert cli("autopilot", *way).returncode == 0
    assert "(s1)" in cli("autopilot", "status", QUORATE_LOCAL_DIR=root).stdout
    told_by_env = [line.removeprefix("export ").split("=", 1) for line in cli("local", "env", *where).stdout.splitlines()]
    both = {"QUORATE_LOCAL_DIR": root, **dict(told_by_env)}
    assert "(s1)" in cli("autopilot", "status", **both).stdout, "two variables, one cluster"
    policy.write_text("{voters: 4}")
    assert told("policy", "set", str(policy), code=3)["error"]["code"] == "config"
    assert "replaceDead.after: 1m30s -> 1m0s" in cli("autopilot", "history", *where).stdout
    assert cli("autopilot", "status", *where).stdout.splitlines()[2:4] == [
        "voters    3 listed, 3 answer; 3 wanted; 1 may fail",
        "standbys  1 listed (s1), 1 answers; 1 wanted",
    ]
    assert "s1 is a learner: until 20" in cli("autopilot", "hold", "s1", "--for", "1h", *where).stdout
    assert cli("autopilot", "hold", "m2", "--for", "1h", *where).stdout.startswith(
        "m2 is not replaced, nor its vote moved, until"
    )


def test_without_a_quorum_nothing_is_stated_that_was_not_read(three: Home, cli: RunCli, tmp_path: Path) -> None:
    where = ("--dir", str(three.layout.root))

    def told(*words: str, code: int) -> dict[str, Any]:
        done = cli("autopilot", *words, *where, "-o", "json")
        assert done.returncode == code, done
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    (tmp_path / "policy").write_text("{voters: 3, standbys: 1, replaceDead: {after: 1m}}")
    assert told("policy", "set", str(tmp_path / "policy"), code=0)["generation"] == 1
    with piloted(three) as pilot:
        assert read(pilot.round()).policy == Policy(standbys=1, after=60.0)
        local.kill(three, "m2")
        local.kill(three, "m3")
        kept = until(pilot, lambda one: one.next.rule == "no-quorum")
        assert kept.policy == FAST and kept.orders is not None and kept.read_ago > 0
    for rule in ("no-quorum", "unreachable"):
        if rule == "unreachable":
            local.kill(three, "m1")
            local.kill(three, "s1")
        shown = told("status", code=1)
        assert shown["now"]["rule"] == rule and shown["recordsRead"] is False
        unknown = ("policy", "generation", "acting", "paused", "pausedUntil", "holds", "standbys", "staleMarks")
        assert [word for word in unknown if shown[word] is not None] == []
        assert told("explain", code=1)["rules"] is None and told("history", code=1)["entries"] is None
        assert told("run", "--once", "--dry-run", code=1)["recordsSecondsAgo"] is None
        table = cli("autopilot", "status", *where)
        assert table.returncode == 1 and table.stdout.startswith(f"acting    not known: {shown['now']['why'][:20]}")
        assert "nobody" not in table.stdout and "600" not in table.stdout
    assert told("policy", "get", code=1)["error"]["code"] == "unreachable"


def test_a_run_is_a_log_with_times_and_ends_with_a_word(three: Home) -> None:
    words = (sys.executable, "-m", "quorate", "autopilot", "run", "--dir", str(three.layout.root))
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            acting, first, second = (running.stderr.readline() for _ in range(3))
            running.send_signal(signal.SIGINT)
            rest = running.stderr.read()
            running.wait(30)
        finally:
            running.kill()
    cluster_id = f"{three.look().cluster_id:x}"
    date = r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ info: "
    assert re.match(f"{date}this instance acts$", acting)
    assert re.match(
        f"{date}watching cluster {cluster_id}: voters m1, m2, m3; standbys s1; no policy is set, so: voters 3", first
    )
    assert ", standbys 1, " in first and re.match(f"{date}nothing: 3 voters and 1 standby, as wanted$", second)
    assert running.returncode == 130 and "rolling back" not in rest
    assert re.search(f"{date}stopped: this instance acts no more$", rest, re.MULTILINE)


def test_a_right_that_is_missing_ends_the_run(three: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try would be refused too, and each counts against the budget."""

    def refused(*_: object) -> None:
        raise PermissionDenied("etcdserver: permission denied")

    monkeypatch.setattr(act, "_remove", refused)
    with piloted(three) as pilot:
        local.kill(three, "m2")
        with pytest.raises(PermissionDenied):
            until(pilot, lambda one: one.next.rule == "replace")


def test_a_user_who_may_not_do_it_is_named_before_it_begins(make_home: MakeHome, any_etcd: str, cli: RunCli) -> None:
    """With auth on a lost voter would be the first to show it."""
    home = make_home()
    local.up(home, 1, any_etcd)
    secret, pki, seed = Secret("s3cret-pass"), home.layout.pki, home.seeds()[0]
    ways = (f"--endpoints={seed}", f"--cacert={pki}/ca.crt")
    files = (*ways, f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key")

    def error(*words: str, code: int = 1) -> dict[str, Any]:
        done = cli("autopilot", "run", "--once", *words, *files, "-o", "json", ETCDCTL_PASSWORD="s3cret-pass")
        assert done.returncode == code and "s3cret" not in done.stdout + done.stderr, done
        found: dict[str, Any] = json.loads(done.stdout)
        return dict(found.get("error", {}))

    with Channel(seed, certificates.client_tls(home.layout)) as plain:
        for name in ("root", "pilot"):
            auth.add_user(plain, name, secret, timeout=5)
            auth.add_role(plain, name, timeout=5)
            auth.grant_role(plain, name, name, timeout=5)
        assert error("--user=pilot", code=0) == {}, "authentication is off"
        auth.enable(plain, timeout=5)
    members = "MemberPromote, MemberRemove and MoveLeader, which need the role root"
    refused = error("--user=pilot")
    assert refused["code"] == "permission" and refused["message"].endswith(
        f"the user pilot what an autopilot does: Range below /quorate/; Put and DeleteRange below /quorate/; {members}"
    )
    assert error("--user=pilot", "--dry-run")["message"].endswith("what an autopilot does: Range below /quorate/")
    with Channel(seed, certificates.client_tls(home.layout), Login("root", secret)) as root:
        auth.allow_all(root, "pilot", b"/quorate/", b"/quorate0", timeout=5)
    assert error("--user=pilot")["message"].endswith(f"what an autopilot does: {members}")
    assert error("--user=pilot", "--dry-run", code=0) == {} and error("--user=root", code=0) == {}
    assert error()["code"] in ("permission", "login"), "of a user without a name only an RPC shows it"


def test_a_standby_of_any_cluster_keeps_the_seat_with_consent(three: Home, cli: RunCli) -> None:
    refused = cli("etcd", "add", "x", "--peer-urls=https://127.0.0.1:1", "--standby", "--endpoints=127.0.0.1:1")
    assert refused.returncode == 4 and "--occupy-the-seat" in refused.stderr
    assert cli("local", "join", "--standby", "--dir", str(three.layout.root)).returncode == 3
    assert "quorate local join x --standby" in cli("etcd", "add", "x", "--standby", "--dir", str(three.layout.root)).stderr


def _id(found: Round, name: str) -> int:
    member = found.view.by_name(name) if found.view is not None else None
    assert member is not None
    return member.id
