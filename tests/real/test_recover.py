"""A cluster that lost its majority is made anew from a survivor: no write is lost that it had, and no two clusters serve."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, RunCli, engine

from quorate.core.decide_recovery import RecoveryWish
from quorate.deadline import SystemClock
from quorate.errors import HostError, PreflightFailed, Refused
from quorate.etcd.client import kv, maintenance, rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.cluster import Cluster
from quorate.etcd.keys import RECOVERED, SEATS
from quorate.host import ports
from quorate.host.etcd_binary import EtcdBinary, read_version
from quorate.local import cluster
from quorate.local.home import Home
from quorate.offline import bolt
from quorate.offline.look import look
from quorate.recovery import distil
from quorate.recovery.fence import spot_of
from quorate.recovery.judge_recovery import RecoveryJob, judge_recovery
from quorate.recovery.progress import folder_of, member_in
from quorate.recovery.recover import recover as recovered
from quorate.report import silent
from real.rows.processes import until
from real.test_distil import kill_all, writers
from real.test_restore import running

pytestmark = pytest.mark.real
CLOCK = SystemClock()
NAMES = ("m1", "m2", "m3")
ONE_ETCD = pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)


def lost(home: Home, etcd: str, seconds: float = 0.5) -> tuple[dict[bytes, int], list[str]]:
    """Makes a cluster, writes to it, and kills all at once. Returns what was acknowledged, and the names, newest log first."""
    cluster.up(home, 3, etcd)
    with writers(home, 4) as done:
        CLOCK.sleep(seconds)
        kill_all(home)
    return done, sorted(NAMES, key=lambda name: look(data_of(home, name)).last, reverse=True)


def data_of(home: Home, name: str) -> Path:
    return home.layout.member(name).data


def job_of(home: Home, etcd: str, name: str, *gone: str) -> RecoveryJob:
    program = EtcdBinary(Path(etcd), read_version(Path(etcd)))
    own = member_in(data_of(home, name))
    return RecoveryJob(data_of(home, name), program, Path(engine("etcdutl")), name, own.peer_url, 2 << 30, gone=gone)


def test_all_that_the_survivor_had_is_in_the_new_cluster(home: Home, any_etcd: str, tmp_path: Path) -> None:
    done, (best, *others) = lost(home, any_etcd)
    old = look(data_of(home, best))
    for name in others:
        shutil.rmtree(data_of(home, name))
    job = job_of(home, any_etcd, best, *others)
    made = recovered(job, CLOCK, silent)
    assert recovered(job, CLOCK, silent) == made, "the same command says the same, and does nothing"
    assert made.old_cluster == old.cluster_id != made.cluster_id and made.revision > 1_000_000_000
    client, peer = ports.reserve(2, tmp_path)
    with running(any_etcd, data_of(home, best), client, peer) as where, Access() as access:
        target = Cluster(access, [where])

        def serves() -> bool:
            with suppress(Exception):
                return target.look().linearizable
            return False

        until(serves, 20)
        rows = {row.key: row.mod_revision for row in kv.get_prefix(access.channel(where), b"w", timeout=10)}
        assert done and {key: rows.get(key) for key in done} == done
        assert [one.id for one in target.look().members] == [made.member_id]
    # What was before is as it was.
    assert [look(Path(one)).last for one in made.kept] == [old.last]
    with pytest.raises(Refused, match=r"was recovered before \(run [0-9a-f]{8}\), and is in use since"):
        recovered(job, CLOCK, silent)


@ONE_ETCD
def test_what_the_old_cluster_left_is_cleaned(home: Home, any_etcd: str, tmp_path: Path, cli: RunCli) -> None:
    """NOSPACE of a member that is none any more stops every write; a seat of a run that died blocks the first join."""
    cluster.up(home, 3, any_etcd)
    with home.access() as access:
        channel = access.channel(home.seeds()[0])
        kv.put(channel, SEATS + b"1-m9", b"{}", timeout=5)
        kv.put(channel, RECOVERED + b"-else", b"stays", timeout=5)
        (member,) = (one for one in Cluster(access, home.seeds()).look().members if one.name == "m2")
        channel.call(rpc.ALARM, wire.AlarmRequest(action=wire.AlarmRequest.ACTIVATE, memberID=member.id, alarm=wire.NOSPACE), 5)
    kill_all(home)
    best, *others = sorted(NAMES, key=lambda name: look(data_of(home, name)).last, reverse=True)
    job = job_of(home, any_etcd, best, *others)
    assert cli("etcd", "recovered", str(job.data_dir)).returncode == 2
    recovered(job, CLOCK, silent)
    client, peer = ports.reserve(2, tmp_path)
    with running(any_etcd, job.data_dir, client, peer) as where, Access() as access:
        flags = ("--endpoints", f"http://127.0.0.1:{client}", "-o", "json")
        until(lambda: cli("etcd", "recovered", str(job.data_dir), *flags).returncode == 0, 20)
        told = json.loads(cli("etcd", "recovered", str(job.data_dir), *flags).stdout)
        assert told["disarmed"] == [] and told["deleted"] == 0, "the first has done all of it"
        channel = access.channel(where)
        assert not kv.get_prefix(channel, SEATS, timeout=5) and kv.get(channel, RECOVERED + b"-else", timeout=5)
        assert kv.put(channel, b"a", b"b", timeout=5).revision > 1_000_000_000
        assert json.loads((kv.get(channel, RECOVERED, timeout=5) or kv.KeyValue(b"", b"{}", 0, 0, 0)).value)["gone"]
        shown = json.loads(cli("autopilot", "status", *flags).stdout)
        assert "an operator paused it" in json.dumps(shown)


@ONE_ETCD
def test_nothing_is_done_without_the_proof(home: Home, any_etcd: str) -> None:
    _, (best, second, third) = lost(home, any_etcd)
    data = data_of(home, best)
    with pytest.raises(PreflightFailed, match="the cluster may live elsewhere, or be newer there: nothing is known") as asked:
        judge_recovery(job_of(home, any_etcd, best))
    assert asked.value.advice.count("--gone") == 2
    with pytest.raises(PreflightFailed, match="no survivor knows a member 'm9'"):
        judge_recovery(job_of(home, any_etcd, best, "m9"))
    with pytest.raises(PreflightFailed, match=f"nothing is known of {third}"):
        # Its log may be the newest; and it may be one of a healthy cluster whose others came since.
        judge_recovery(job_of(home, any_etcd, best, second))
    assert set(judge_recovery(job_of(home, any_etcd, best, second, third)).gone) == {second, third}
    cluster.start(home, third)
    with pytest.raises(Refused, match=f"{third} was said to be gone for good, and answers"):
        recovered(job_of(home, any_etcd, best, second, third), CLOCK, silent)
    with pytest.raises(Refused, match=f"the etcd of {third} runs, and may find others"):
        judge_recovery(job_of(home, any_etcd, best, second))
    assert data.is_dir() and not folder_of(spot_of(data)).exists()


@ONE_ETCD
def test_a_cluster_that_has_a_quorum_is_not_recovered(home: Home, any_etcd: str) -> None:
    cluster.up(home, 3, any_etcd)
    cluster.kill(home, "m1")
    with pytest.raises(Refused, match="the cluster is not lost: m2, m3 answer, and are a quorum"):
        recovered(job_of(home, any_etcd, "m1", "m2", "m3"), CLOCK, silent)
    with pytest.raises(Refused, match=r"an etcd runs on .* \(pid [0-9]+\)"):
        recovered(job_of(home, any_etcd, "m2", "m1"), CLOCK, silent)
    assert data_of(home, "m1").is_dir() and data_of(home, "m2").is_dir()


@ONE_ETCD
def test_a_fenced_member_counts_as_held_and_its_log_is_compared(home: Home, any_etcd: str, cli: RunCli, tmp_path: Path) -> None:
    _, (best, second, third) = lost(home, any_etcd)
    told = json.loads(cli("etcd", "fence", str(data_of(home, second)), "-o", "json").stdout)
    assert not data_of(home, second).exists() and Path(told["kept"]).is_dir() and told["member"] == second
    shutil.rmtree(data_of(home, third))
    planned = cli(
        "etcd", "recover", str(data_of(home, best)), "--fenced", told["file"], "--gone", third, "--dry-run", "--etcd", any_etcd
    )
    assert f"with all that {best} has" in planned.stdout and data_of(home, best).is_dir()
    # The other way round: what is older here is refused.
    record = json.loads(Path(told["file"]).read_text())
    record |= {"lastTerm": record["lastTerm"] + 1}
    newer = tmp_path / "newer.json"
    newer.write_text(json.dumps(record))
    refused = cli("etcd", "recover", str(data_of(home, best)), "--fenced", str(newer), "--gone", third, "--etcd", any_etcd)
    assert refused.returncode == 4 and f"{second} has the newest log" in refused.stderr
    back = cli("etcd", "unfence", str(data_of(home, second)), "--not-recovered")
    assert data_of(home, second).is_dir() and not Path(told["file"]).exists() and "again" in back.stdout


@ONE_ETCD
@pytest.mark.parametrize("last", ["move-leader", "nothing deleted", "a failed transaction"])
def test_a_last_entry_that_changes_nothing_is_applied_too(home: Home, any_etcd: str, last: str, etcdctl: str) -> None:
    """The database does not name it: its index is that of the last change."""
    cluster.up(home, 3, any_etcd)
    view = home.look()
    with home.access() as access:
        assert view.leader is not None
        channel = access.channel(Endpoint.parse(view.leader.client_urls[0]))
        kv.put(channel, b"a", b"b", timeout=5)
        if last == "move-leader":
            target = next(one.id for one in view.voters if one.id != view.leader.id)
            maintenance.move_leader(channel, target, timeout=5)
        elif last == "nothing deleted":
            kv.delete(channel, b"none", timeout=5)
        else:
            assert not kv.create(channel, b"a", b"c", timeout=5)
    CLOCK.sleep(0.5)
    kill_all(home)
    best, *others = sorted(NAMES, key=lambda name: look(data_of(home, name)).last, reverse=True)
    assert recovered(job_of(home, any_etcd, best, *others), CLOCK, silent).keys >= 1


@ONE_ETCD
def test_a_live_cluster_is_not_recovered_from_copies(home: Home, any_etcd: str, tmp_path: Path) -> None:
    """Copies of two of three are no proof: two clusters took writes."""
    cluster.up(home, 3, any_etcd)
    for name in ("m1", "m3"):
        shutil.copytree(data_of(home, name), tmp_path / name)
    job = replace(job_of(home, any_etcd, "m1"), data_dir=tmp_path / "m3", beside=(tmp_path / "m1",), name="m3")
    with pytest.raises(Refused, match="the data of m1, m3 is said to be held, and something takes connections"):
        recovered(job, CLOCK, silent)
    assert not folder_of(spot_of(tmp_path / "m3")).exists()


@ONE_ETCD
def test_a_cluster_that_lived_on_is_recovered_anew(home: Home, any_etcd: str, cli: RunCli) -> None:
    """The snapshot of a recovery that was cut off lacked everything that was written since its data had its name back."""
    _, (best, *others) = lost(home, any_etcd, 0.2)
    job = job_of(home, any_etcd, best, *others)
    words = [str(job.data_dir), any_etcd, str(job.etcdutl), job.name, job.peer_url, ",".join(others), "4", "before"]
    subprocess.run([sys.executable, "-c", KILLED, str(ROOT), *words], check=False, capture_output=True)
    # Killed behind the rename: what was made there goes, as an operator would have it.
    shutil.rmtree(job.data_dir, ignore_errors=True)
    assert cli("etcd", "unfence", str(job.data_dir), "--not-recovered").returncode == 0
    for name in NAMES:
        cluster.start(home, name)
    with home.access() as access:
        until(lambda: kv.put(access.channel(home.seeds()[0]), b"since", b"x", timeout=2).revision > 0, 20)
    kill_all(home)
    best, *others = sorted(NAMES, key=lambda name: look(data_of(home, name)).last, reverse=True)
    recovered(job_of(home, any_etcd, best, *others), CLOCK, silent)
    with bolt.opened(folder_of(spot_of(data_of(home, best))) / "survivor.db") as made:
        assert any(b"since" in bytes(row) for _, row in made.bucket(b"key"))


@ONE_ETCD
def test_what_would_end_the_last_step_is_said_before_the_first(home: Home, any_etcd: str, tmp_path: Path) -> None:
    _, (best, *others) = lost(home, any_etcd, 0.2)
    job = job_of(home, any_etcd, best, *others)
    with pytest.raises(Refused, match="quota"):
        recovered(replace(job, quota=1000), CLOCK, silent)
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(job.data_dir / "member" / "wal")], check=True)
    try:
        with pytest.raises(Refused, match="is a mount in the data"):
            recovered(job, CLOCK, silent)
    finally:
        subprocess.run(["umount", str(job.data_dir / "member" / "wal")], check=True)
    assert job.data_dir.is_dir() and recovered(job, CLOCK, silent).keys


@ONE_ETCD
@pytest.mark.parametrize("how", ["tmpfs", "bind"])
def test_a_data_directory_that_is_a_mount_point_stays_one(home: Home, any_etcd: str, tmp_path: Path, how: str) -> None:
    done, (best, *others) = lost(home, any_etcd, 0.3)
    job = job_of(home, any_etcd, best, *others)
    mounted = tmp_path / "mounted"
    for folder in (mounted, tmp_path / "other"):
        folder.mkdir(mode=0o700)
    how_to = ["-t", "tmpfs", "-o", "mode=700", "none"] if how == "tmpfs" else ["--bind", str(tmp_path / "other")]
    subprocess.run(["mount", *how_to, str(mounted)], check=True)
    try:
        shutil.copytree(job.data_dir / "member", mounted / "member")
        made = recovered(replace(job, data_dir=mounted), CLOCK, silent)
        assert made.keys >= len(done) and look(mounted).cluster_id == made.cluster_id
        assert [look(Path(one)).cluster_id for one in made.kept] == [made.old_cluster]
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


@ONE_ETCD
def test_the_new_data_is_of_the_user_whose_etcd_ran_there(home: Home, any_etcd: str) -> None:
    _, (best, *others) = lost(home, any_etcd, 0.2)
    job = job_of(home, any_etcd, best, *others)
    for path in (job.data_dir, *job.data_dir.rglob("*")):
        os.chown(path, 1234, 1234)
    recovered(job, CLOCK, silent)
    assert {path.stat().st_uid for path in (job.data_dir, *job.data_dir.rglob("*"))} == {1234}


@ONE_ETCD
def test_a_fence_that_was_killed_is_ended_by_the_same_command(home: Home, any_etcd: str, cli: RunCli) -> None:
    _, (best, *_) = lost(home, any_etcd, 0.2)
    data = data_of(home, best)
    data.rename(data.with_name("data.quorate-kept-0a1b2c3d"))
    told = json.loads(cli("etcd", "fence", str(data), "-o", "json").stdout)
    assert told["kept"].endswith("kept-0a1b2c3d") and Path(told["file"]).is_file()


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1] + "/tests")
from pathlib import Path
from quorate import journal
from quorate.deadline import SystemClock
from quorate.host.etcd_binary import EtcdBinary, read_version
from quorate.recovery import judge_recovery, recover
from quorate.report import silent

_, _, data, etcd, etcdutl, name, peer, gone, number, when = sys.argv
write, seen = journal.Journal.write, [0]

def counted(book, record):
    seen[0] += 1
    if when == "before" and seen[0] == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    write(book, record)
    if when == "behind" and seen[0] == int(number):
        os.kill(os.getpid(), signal.SIGKILL)

journal.Journal.write = counted
program = EtcdBinary(Path(etcd), read_version(Path(etcd)))
job = judge_recovery.RecoveryJob(Path(data), program, Path(etcdutl), name, peer, 2 << 30, gone=tuple(gone.split(",")))
recover.recover(job, SystemClock(), silent)
"""


@ONE_ETCD
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("when", ["before", "behind"])
def test_killed_at_any_record_the_same_command_goes_on(home: Home, any_etcd: str, number: int, when: str) -> None:
    done, (best, *others) = lost(home, any_etcd, 0.2)
    job = job_of(home, any_etcd, best, *others)
    words = [str(job.data_dir), any_etcd, str(job.etcdutl), job.name, job.peer_url, ",".join(others), str(number), when]
    killed = subprocess.run([sys.executable, "-c", KILLED, str(ROOT), *words], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    made = recovered(job, CLOCK, silent)
    assert made.keys >= len(done) and look(job.data_dir).cluster_id == made.cluster_id
    assert [look(Path(one)).cluster_id for one in made.kept] == [made.old_cluster]


@ONE_ETCD
def test_a_second_recovery_at_once_is_refused(home: Home, any_etcd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, (best, *others) = lost(home, any_etcd, 0.2)
    job = job_of(home, any_etcd, best, *others)
    original = distil.distil

    def meanwhile(*given: Any) -> distil.Distilled:
        with pytest.raises(HostError, match=r"another recovery of .* is at work"):
            recovered(job, CLOCK, silent)
        return original(*given)

    monkeypatch.setattr(distil, "distil", meanwhile)
    recovered(job, CLOCK, silent)


@ONE_ETCD
def test_another_cluster_than_the_one_that_was_named_is_refused(home: Home, any_etcd: str) -> None:
    _, (best, *others) = lost(home, any_etcd, 0.2)
    job = job_of(home, any_etcd, best, *others)
    with pytest.raises(Refused, match=r"the survivors are of cluster [0-9a-f]{1,16}, not of ab"):
        judge_recovery(
            RecoveryJob(**{**{name: getattr(job, name) for name in job.__slots__}, "wish": RecoveryWish(cluster_id=0xAB)})
        )
    older = EtcdBinary(Path(engine("etcd-3.5")), read_version(Path(engine("etcd-3.5"))))
    with pytest.raises(Refused, match=r"was written by etcd 3\.6"):
        judge_recovery(replace(job, etcd=older))
    assert os.listdir(job.data_dir)
