"""What a tired operator runs into: each of these once left a cluster worse than it found it, or said the wrong thing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import RunCli
from outcomes import outcomes

from quorate.cli.local.opening import opened
from quorate.errors import ConfigError, HostError, Interrupted, PartlyDone, Refused
from quorate.etcd.cluster import Cluster
from quorate.local import cluster, growth
from quorate.local.home import Home
from quorate.report import Event, Message, Recorder

pytestmark = pytest.mark.real


def test_one_member_without_data_does_not_keep_the_others_down(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    cluster.down(home)
    shutil.rmtree(home.layout.member("m2").data)
    with pytest.raises(HostError, match="m2 has no data") as failed:
        cluster.up(home)
    assert "quorate local leave m2" in failed.value.advice
    assert home.daemon("m3").identity() is not None
    cluster.leave(home, "m2")
    assert len(cluster.up(home, 3).view.voters) == 3


@pytest.mark.parametrize("phase", ["leaving", "joining"])
def test_no_phase_lets_an_empty_member_start(home: Home, etcd36: str, phase: str) -> None:
    cluster.up(home, 3, etcd36)
    cluster.stop(home, "m3")
    shutil.rmtree(home.layout.member("m3").data)
    saved = json.loads(home.layout.state.read_text())
    saved["members"][2]["phase"] = phase
    home.layout.state.write_text(json.dumps(saved))
    with pytest.raises(HostError, match="has no data"):
        cluster.start(home, "m3")
    assert home.daemon("m3").identity() is None


def test_all_data_gone_names_the_way_out(home: Home, etcd36: str) -> None:
    cluster.up(home, 1, etcd36)
    cluster.down(home)
    shutil.rmtree(home.layout.member("m1").data)
    with pytest.raises(HostError) as failed:
        cluster.up(home)
    assert "down --purge" in failed.value.advice


KILLED_BEHIND_THE_PROMOTION = """
import os, sys
from pathlib import Path
from quorate import journal
from quorate.local import cluster, growth
from quorate.local.home import Home
from quorate.local.layout import Layout

write = journal.Journal.write

def crash(self, record):
    write(self, record)
    if record.fields.get("do") == "promote" and record.fields.get("result") == "applied":
        os._exit(137)

journal.Journal.write = crash
cluster.up(Home(Layout(Path(sys.argv[1]))), 2)
"""


def test_a_joiner_that_got_its_vote_and_stopped_is_brought_back(home: Home, etcd36: str) -> None:
    cluster.up(home, 1, etcd36)
    killed = subprocess.run([sys.executable, "-c", KILLED_BEHIND_THE_PROMOTION, str(home.layout.root)], check=False)
    assert killed.returncode == 137
    for name in ("m1", "m2"):
        home.runtime(name).stop()
    assert home.load().member("m2").phase == "joining"
    assert len(cluster.up(home, 2).view.voters) == 2
    assert home.load().member("m2").phase == "member"


def test_a_lost_ca_key_is_not_replaced_by_another_ca(home: Home, etcd36: str) -> None:
    cluster.up(home, 1, etcd36)
    before = (home.layout.pki / "ca.crt").read_bytes()
    for lost in ("ca.key", "ca.crt"):
        (home.layout.pki / lost).unlink()
        with pytest.raises(ConfigError, match=f"{lost} missing from|ca.crt and ca.key"):
            cluster.up(home)
    assert (home.layout.member("m1").pki / "ca.crt").read_bytes() == before


def test_a_stopped_leave_says_whether_the_member_is_gone(home: Home, etcd36: str) -> None:
    leader = cluster.up(home, 3, etcd36).view.leader
    assert leader is not None

    def stop(message: Message) -> None:
        if isinstance(message, Event) and "moving leadership" in message.text:
            home.clock.cancel.request("SIGINT")

    home.report = stop
    with pytest.raises(Interrupted) as stopped:
        cluster.leave(home, leader.name, accept_reduced_tolerance=True)
    assert outcomes(stopped.value) == ["unchanged"]
    assert len(home.look().members) == 3
    assert home.load().member(leader.name).phase == "member"


def test_up_without_a_number_keeps_the_size(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 3, etcd36)
    cluster.join(home, None)
    cluster.kill(home, "m2")
    done = cli("local", "up", "--dir", str(home.layout.root), "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["restarted"] == ["m2"]
    cluster.kill(home, "m2")
    with pytest.raises(Refused, match="more than the 3 asked for") as refused:
        cluster.up(home, 3)
    assert "--members 4" in refused.value.advice and "nothing was changed" in refused.value.state
    assert home.daemon("m2").identity() is None, "nothing was started"
    assert cluster.up(home).restarted == ("m2",), "the size that was refused is not tried again"


@pytest.mark.parametrize("down", [False, True])
def test_a_size_that_was_refused_is_not_recorded(home: Home, etcd36: str, down: bool) -> None:
    """Every later `up` without a number was refused with it, and a size of an older record."""
    cluster.up(home, 3, etcd36)
    if down:
        cluster.down(home)
    with pytest.raises(Refused, match="more than the 2 asked for"):
        cluster.up(home, 2)
    assert not home.layout.wanted.exists()
    growth.begin(home.layout, 2)
    assert len(cluster.up(home).view.voters) == 3
    assert not home.layout.wanted.exists()


def test_a_size_that_is_refused_late_says_what_was_started(home: Home, etcd36: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.up(home, 3, etcd36)
    cluster.kill(home, "m2")
    monkeypatch.setattr(cluster, "voters_before", lambda _home: [])
    with pytest.raises(PartlyDone, match="more than the 2 asked for") as refused:
        cluster.up(home, 2)
    assert refused.value.state == "no member was added or removed; started: m2"
    assert not home.layout.wanted.exists()


def test_a_start_that_fails_is_not_called_a_success(home: Home, etcd36: str) -> None:
    cluster.up(home, 1, etcd36)
    cluster.stop(home, "m1")
    shutil.rmtree(home.layout.member("m1").data / "member" / "snap")
    (home.layout.member("m1").data / "member" / "snap").write_text("in the way")
    with pytest.raises(HostError, match="the etcd of m1 ended"):
        cluster.start(home, "m1")


def test_status_of_a_stopped_cluster_names_the_processes(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    cluster.down(home)
    done = cli("local", "status", "--dir", str(home.layout.root))
    assert done.returncode == 1
    assert "m1 stopped" in done.stderr and "quorate local up" in done.stderr


def test_leave_without_a_quorum_gives_that_reason(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    for name in ("m2", "m3"):
        cluster.kill(home, name)
    with pytest.raises(Refused, match="there is no quorum"):
        cluster.leave(home, "m2", accept_reduced_tolerance=True)
    assert len(cluster.up(home, 3).view.voters) == 3


def test_somebody_elses_lock_file_stays(tmp_path: Path, cli: RunCli) -> None:
    (tmp_path / "lock").write_text("precious")
    for arguments in (["up"], ["down", "--purge"]):
        assert cli("local", *arguments, "--dir", str(tmp_path)).returncode == 3
        assert (tmp_path / "lock").read_text() == "precious"


def test_a_symlinked_member_is_noticed_before_it_is_removed(home: Home, etcd36: str, tmp_path: Path) -> None:
    cluster.up(home, 3, etcd36)
    cluster.stop(home, "m3")
    folder = home.layout.member("m3").folder
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="symlink"):
        cluster.leave(home, "m3")
    assert len(home.look().members) == 3
    folder.unlink()
    (tmp_path / "elsewhere").rename(folder)


@pytest.mark.parametrize("arguments", [["down"], ["leave", "m1"], ["join"], ["up", "--etcd", "/nonexistent"]])
def test_nothing_is_created_for_a_cluster_that_is_not_there(arguments: list[str], cli: RunCli, tmp_path: Path) -> None:
    assert cli("local", *arguments, "--dir", str(tmp_path / "none")).returncode == 3
    assert not (tmp_path / "none").exists()


def test_a_state_of_wrong_types_is_named(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    good = home.layout.state.read_text()
    for wrong in ({"peer_port": "a"}, {"client_port": -5}, {"phase": "x"}, {"name": "../x"}, {"etcd": 7}):
        saved = json.loads(good)
        saved["members"][0].update(wrong)
        home.layout.state.write_text(json.dumps(saved))
        done = cli("local", "up", "--dir", str(home.layout.root))
        assert done.returncode == 3 and "Traceback" not in done.stderr, wrong
        assert "pgrep" in done.stderr or "member name" in done.stderr
    home.layout.state.write_text(good)


def test_a_client_without_a_certificate_is_told_so(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    done = cli("etcd", "member", "list", f"--endpoints={home.seeds()[0]}", f"--cacert={home.layout.pki}/ca.crt")
    assert done.returncode == 1 and "certificate" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--endpoints", "[::1"],
        ["--endpoints", "[127.0.0.1]:2379"],
        ["--endpoints", "http://user:pw@127.0.0.1:1"],
        ["--endpoints", "127.0.0.1:1?x=1"],
    ],
)
def test_endpoints_that_are_none(arguments: list[str], cli: RunCli) -> None:
    done = cli("etcd", "member", "list", *arguments)
    assert done.returncode == 3 and "Traceback" not in done.stderr and "pw" not in done.stderr


def test_a_password_file_that_is_no_text(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xff\xfe")
    done = cli("etcd", "member", "list", "--user=root", f"--password-file={tmp_path}/password")
    assert done.returncode == 3 and "not UTF-8 text" in done.stderr


def test_a_short_flag_with_an_equals_sign(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    pki = home.layout.pki
    files = [f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key"]
    done = cli("etcd", "member", "list", f"--endpoints={home.seeds()[0]}", *files, "-w=json")
    assert done.returncode == 0 and json.loads(done.stdout)["members"][0]["name"] == "m1"
    assert cli("local", "logs", "m1", "-n", "0", "--dir", str(home.layout.root)).returncode == 3


def test_an_up_after_a_member_was_removed_by_etcd_remove_adds_nobody(home: Home, etcd36: str) -> None:
    """The saved state still has its name: counting it, each `up` added one voter."""
    cluster.up(home, 3, etcd36)
    with home.access() as access:
        Cluster(access, home.seeds()).remove("m3", accept_reduced_tolerance=True)
    home.report = told = Recorder()
    for _ in range(2):
        cluster.up(home, None)
        assert sorted(row.name for row in home.look().members) == ["m1", "m2"]
    assert "quorate local leave m3" in " ".join(message.text for message in told.messages)
    cluster.leave(home, "m3", accept_reduced_tolerance=True)
    assert [row.name for row in home.load().members] == ["m1", "m2"]


@pytest.mark.parametrize("verb", ["up", "down"])
def test_ctrl_c_says_which_members_run(home: Home, etcd36: str, verb: str) -> None:
    """It said "interrupted by SIGINT" and nothing of the members."""
    cluster.up(home, 3, etcd36)
    if verb == "up":
        cluster.down(home)

    def interrupted() -> None:
        with opened(home.layout.root) as here:
            here.report = lambda message: stop(here, message)
            (cluster.up if verb == "up" else cluster.down)(here)

    def stop(here: Home, message: Message) -> None:
        if isinstance(message, Event) and message.member == "m2":
            here.clock.cancel.request("SIGINT")

    with pytest.raises(Interrupted) as ended:
        interrupted()
    # Members are all started before any is waited for, and stopped one after the other.
    assert f"m1 {'running' if verb == 'up' else 'stopped'}" in ended.value.state and "m3 running" in ended.value.state
    assert ended.value.next_step == "run the same command again"
