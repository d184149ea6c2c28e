"""A backup becomes one voter of a new cluster, which old members cannot take over and clients notice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import schemas
from conftest import RunCli, engine

from quorate.core.decide_restore import Wish
from quorate.deadline import Cancel, SystemClock
from quorate.errors import Interrupted, Refused
from quorate.etcd.client import kv
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.cluster import Cluster
from quorate.host import ports
from quorate.host.etcd_binary import read_version
from quorate.local import cluster
from quorate.local.home import Home
from quorate.offline.look import look
from quorate.recovery import restore as recovery
from quorate.recovery.restore import Job, RestoreFailed, judge, restore
from quorate.report import silent
from real.machines import flags_of
from real.rows.processes import until

pytestmark = pytest.mark.real
CLOCK = SystemClock()


@pytest.fixture
def snapshot(home: Home, any_etcd: str, tmp_path: Path, cli: RunCli) -> Path:
    cluster.up(home, 3, any_etcd)
    with home.access() as access:
        for number in range(30):
            kv.put(access.channel(home.seeds()[0]), f"k{number}".encode(), b"v", timeout=5)
    done = cli("etcd", "backup", "save", str(tmp_path / "backups"), *flags_of(home), "-o", "json")
    told = json.loads(done.stdout)
    return tmp_path / "backups" / str(told["clusterId"]) / str(told["blob"]["name"])


def job_of(snapshot: Path, data: Path, peer: str, etcd: str) -> Job:
    wish = Wish(read_version(Path(etcd)), 2 << 30, peer, set_aside=False)
    return Job(snapshot, data, "m1", peer, Path(engine("etcdutl")), wish)


@contextmanager
def running(etcd: str, data: Path, client: int, peer: int) -> Iterator[Endpoint]:
    words = [etcd, "--name=m1", f"--data-dir={data}"]
    for flag, port in (("client", client), ("peer", peer)):
        words.append(f"--listen-{flag}-urls=http://127.0.0.1:{port}")
    words += [f"--advertise-client-urls=http://127.0.0.1:{client}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    where = Endpoint.parse(f"http://127.0.0.1:{client}")
    try:
        yield where
    finally:
        process.terminate()
        process.wait()


def test_the_restored_cluster_serves_what_was_saved_with_a_jump(snapshot: Path, tmp_path: Path, any_etcd: str) -> None:
    client, peer = ports.reserve(2, tmp_path)
    data = tmp_path / "data"
    done = restore(job_of(snapshot, data, f"http://127.0.0.1:{peer}", any_etcd), CLOCK, silent)
    assert done.keys == 30 and done.kept is None and done.revision > 1_000_000_000
    with running(any_etcd, data, client, peer) as where, Access() as access:
        target = Cluster(access, [where])

        def serves() -> bool:
            try:
                return target.look().linearizable
            except Exception:
                return False

        until(serves, 20)
        view = target.look()
        assert view.cluster_id == done.cluster_id and [one.id for one in view.voters] == [done.member_id]
        assert len(kv.get_prefix(access.channel(where), b"k", timeout=5)) == 30
        assert kv.put(access.channel(where), b"new", b"x", timeout=5).revision > done.revision


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
def test_what_is_there_is_kept_and_nothing_is_overwritten(snapshot: Path, tmp_path: Path, home: Home, any_etcd: str) -> None:
    cluster.stop(home, "m1")
    data = home.layout.member("m1").data
    before = look(data)
    job = job_of(snapshot, data, "http://127.0.0.1:1", any_etcd)
    with pytest.raises(Refused, match="holds the data of a member"):
        restore(job, CLOCK, silent)
    assert look(data).last == before.last
    done = restore(replace(job, wish=replace(job.wish, set_aside=True)), CLOCK, silent)
    assert done.kept is not None and look(done.kept).last == before.last
    assert look(data).cluster_id == done.cluster_id != before.cluster_id
    assert sorted(one.name for one in data.parent.iterdir() if "quorate-new" in one.name) == []


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
def test_a_directory_that_an_etcd_has_open_is_refused(snapshot: Path, home: Home, any_etcd: str) -> None:
    job = job_of(snapshot, home.layout.member("m1").data, "http://127.0.0.1:1", any_etcd)
    with pytest.raises(Refused, match=r"an etcd runs on .* \(pid [0-9]+\)"):
        restore(replace(job, wish=replace(job.wish, set_aside=True)), CLOCK, silent)


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
@pytest.mark.parametrize("damage", ["a byte", "its digest"])
def test_a_damaged_file_makes_nothing(snapshot: Path, tmp_path: Path, any_etcd: str, damage: str) -> None:
    content = bytearray(snapshot.read_bytes())
    if damage == "a byte":
        content[len(content) // 2] ^= 1
    snapshot.write_bytes(content if damage == "a byte" else content[:-32])
    with pytest.raises(Refused, match="nothing shows that it is whole"):
        restore(job_of(snapshot, tmp_path / "data", "http://127.0.0.1:1", any_etcd), CLOCK, silent)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
def test_a_program_that_builds_something_else_is_noticed(snapshot: Path, tmp_path: Path, any_etcd: str) -> None:
    """One that leaves a member out, or the jump: the result is looked at before it gets its name."""
    program = tmp_path / "etcdutl"
    without = 'for one; do case $one in --bump-revision*|--mark-compacted) ;; *) set -- "$@" "$one";; esac; shift; done'
    program.write_text(f'#!/bin/sh\n{without}\nexec {engine("etcdutl")} "$@"\n')
    program.chmod(0o755)
    job = replace(job_of(snapshot, tmp_path / "data", "http://127.0.0.1:1", any_etcd), etcdutl=program)
    with pytest.raises(RestoreFailed, match="its revision is"):
        restore(job, CLOCK, silent)
    assert not (tmp_path / "data").exists() and not list(tmp_path.glob("*quorate-new*"))


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
@pytest.mark.parametrize("set_aside", [True, False])
def test_an_etcd_that_starts_there_meanwhile_keeps_its_directory(
    snapshot: Path, tmp_path: Path, home: Home, any_etcd: str, set_aside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was judged before the building is judged again before the rename."""
    data = home.layout.member("m1").data
    place = tmp_path / "place"
    made = recovery._sync

    def meanwhile(folder: Path) -> None:
        made(folder)
        place.symlink_to(data)

    monkeypatch.setattr(recovery, "_sync", meanwhile)
    job = job_of(snapshot, place, "http://127.0.0.1:1", any_etcd)
    with pytest.raises(Refused, match="an etcd runs on "):
        restore(replace(job, wish=replace(job.wish, set_aside=set_aside)), CLOCK, silent)
    assert place.is_symlink() and not list(tmp_path.glob("*quorate-*"))


def test_the_command_and_its_dry_run(snapshot: Path, tmp_path: Path, cli: RunCli, any_etcd: str) -> None:
    words = ["etcd", "restore", str(tmp_path / "backups"), "--data-dir", str(tmp_path / "data"), "--name", "m1"]
    words += ["--peer-url", "http://127.0.0.1:1", "--etcd", any_etcd, "--etcdutl", engine("etcdutl"), "-o", "json"]
    planned = cli(*words, "--dry-run")
    assert schemas.checked(planned.stdout) == ["EtcdRestorePlan"] and not (tmp_path / "data").exists(), planned.stderr
    done = cli(*words)
    assert schemas.checked(done.stdout) == ["EtcdRestore"] and (tmp_path / "data" / "member").is_dir(), done.stderr
    again = cli(*words)
    assert again.returncode == 4 and "holds the data of a member" in again.stderr


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
def test_what_a_killed_restore_has_built_is_deleted_by_the_next_one(snapshot: Path, tmp_path: Path, any_etcd: str) -> None:
    """It is a copy of every secret of a cluster. One that is still built, and what only has a name like it, stay."""
    left, lives, other = (tmp_path / f"data.quorate-new-{end}" for end in ("0123abcd", "4567cdef", "mine"))
    for one in (left, lives, other):
        (one / "built").mkdir(parents=True)
    held = os.open(lives, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        restore(job_of(snapshot, tmp_path / "data", "http://127.0.0.1:1", any_etcd), CLOCK, silent)
    finally:
        os.close(held)
    assert not left.exists() and lives.exists() and other.exists() and (tmp_path / "data" / "member").is_dir()


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
def test_ctrl_c_in_a_restore_is_an_interrupt(snapshot: Path, tmp_path: Path, any_etcd: str) -> None:
    """On a terminal it ends etcdutl, too: that was said to have failed."""
    cancel = Cancel()
    program = tmp_path / "etcdutl"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    cancel.request("SIGINT")
    job = replace(job_of(snapshot, tmp_path / "data", "http://127.0.0.1:1", any_etcd), etcdutl=program)
    with pytest.raises(Interrupted):
        restore(job, SystemClock(cancel), silent)
    assert not list(tmp_path.glob("*quorate-new*")) and not (tmp_path / "data").exists()


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
def test_a_new_file_system_is_empty(snapshot: Path, tmp_path: Path, any_etcd: str) -> None:
    data = tmp_path / "data"
    (data / "lost+found").mkdir(parents=True)
    assert judge(job_of(snapshot, data, "http://127.0.0.1:1", any_etcd), silent).keys == 30


def test_what_cannot_be_restored_is_said_in_words(snapshot: Path, tmp_path: Path, cli: RunCli, any_etcd: str) -> None:
    (tmp_path / "members.yaml").write_text("a: 1\n")
    words = ["--data-dir", str(tmp_path / "data"), "--peer-url", "http://127.0.0.1:1", "--etcd", any_etcd]
    words += ["--etcdutl", engine("etcdutl")]
    done = cli("etcd", "restore", str(tmp_path / "members.yaml"), "--name", "m1", *words)
    assert done.returncode == 4 and "it is no snapshot of etcd" in done.stderr
    unnamed = cli("etcd", "restore", str(snapshot), "--name", "", *words)
    assert unnamed.returncode == 3 and "cannot be a member name" in unnamed.stderr
    (tmp_path / "member" / "snap").mkdir(parents=True)
    inside = cli("etcd", "restore", str(tmp_path), "--name", "m1", *words)
    assert inside.returncode == 3 and "is the data directory of a member" in inside.stderr


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
def test_a_backup_that_is_not_what_its_manifest_says_is_refused(
    snapshot: Path, tmp_path: Path, cli: RunCli, any_etcd: str
) -> None:
    """Its digest of etcd's was right: another file had its name."""
    words = ["--data-dir", str(tmp_path / "data"), "--name", "m1", "--peer-url", "http://127.0.0.1:1", "--etcd", any_etcd]
    words += ["--etcdutl", engine("etcdutl"), "--dry-run"]
    store, content = str(tmp_path / "backups"), snapshot.read_bytes()
    assert cli("etcd", "restore", store, *words).returncode == 0
    other = bytearray(content[:-32])
    other[-1] ^= 1  # in a page that nothing uses
    snapshot.write_bytes(bytes(other) + hashlib.sha256(other).digest())
    changed = cli("etcd", "restore", store, *words)
    assert changed.returncode == 4 and "is not what its manifest says" in changed.stderr
    assert cli("etcd", "backup", "verify", store).returncode == 1
    damaged = cli("etcd", "restore", store, *words)
    assert damaged.returncode == 4 and "was found damaged on" in damaged.stderr and not (tmp_path / "data").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
def test_what_is_restored_is_of_whose_the_place_is(snapshot: Path, tmp_path: Path, any_etcd: str) -> None:
    data = tmp_path / "data"
    data.mkdir(0o700)
    os.chown(data, 12345, 12345)
    restore(job_of(snapshot, data, "http://127.0.0.1:1", any_etcd), CLOCK, silent)
    assert {path.stat().st_uid for path in (data, data / "member/snap/db", data / "member/wal")} == {12345}


@pytest.mark.parametrize("any_etcd", ["3.6"], indirect=True)
@pytest.mark.parametrize("what", ["a link", "a dangling link", "a file"])
def test_a_place_that_is_no_folder_is_said_before_anything_is_built(
    snapshot: Path, tmp_path: Path, any_etcd: str, what: str
) -> None:
    data = tmp_path / "data"
    if what == "a file":
        data.write_text("x")
    else:
        data.symlink_to(tmp_path / "real")
    if what == "a link":
        (tmp_path / "real").mkdir()
    with pytest.raises(Refused, match="is no folder" if what == "a file" else "is a link"):
        judge(job_of(snapshot, data, "http://127.0.0.1:1", any_etcd), silent)
