"""Backups of real clusters: whole, through the quorum, found damaged when they are, and never half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import schemas
from conftest import RunCli, engine

from quorate.backup.catalog import blob_of, catalog, find
from quorate.backup.claims import claim
from quorate.backup.content import Opener
from quorate.backup.copy import copy
from quorate.backup.folder import FolderStore
from quorate.backup.manifest import Manifest
from quorate.backup.save import Wish, save
from quorate.backup.verify import verify
from quorate.deadline import SystemClock
from quorate.errors import HostError, Refused
from quorate.etcd.cluster import Cluster
from quorate.foreign.writing import write_all
from quorate.local import cluster
from quorate.local.home import Home
from real.machines import flags_of
from real.rows.processes import until

pytestmark = pytest.mark.real
CLOCK = SystemClock()
OPENER = Opener(None, Path("/var/tmp"))


@pytest.fixture
def three(home: Home, etcd36: str) -> Home:
    cluster.up(home, 3, etcd36)
    put(home, 20)
    return home


def put(home: Home, count: int) -> None:
    with home.access() as access:
        from quorate.etcd.client import kv

        channel = access.channel(home.seeds()[0])
        for number in range(count):
            kv.put(channel, f"key{number}".encode(), b"v" * 100, timeout=5)


def saved(home: Home, store: FolderStore, wish: Wish | None = None) -> str:
    with home.access() as access:
        return save(Cluster(access, home.seeds()), store, wish or Wish()).id


def manifest_of(home: Home, store: FolderStore, wish: Wish | None = None) -> Manifest:
    made = saved(home, store, wish)
    return find(catalog(store), made)


def test_what_was_acknowledged_before_is_in_it_and_etcdutl_restores_it(three: Home, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "backups")
    manifest = manifest_of(three, store)
    assert (manifest.keys, manifest.through_quorum, manifest.member.role) == (20, True, "voter")
    assert manifest.member.name != "m1", "the leader is asked last"
    path = store.path(blob_of(manifest))
    assert path.stat().st_mode & 0o777 == 0o600 and store.root.stat().st_mode & 0o777 == 0o700
    restore = [engine("etcdutl"), "snapshot", "restore", str(path), "--data-dir", str(tmp_path / "restored")]
    subprocess.run(restore, check=True, capture_output=True)
    assert [one.name for one in sorted(path.parent.iterdir())] == [path.name, f"{path.stem}.json"]


def test_a_standby_is_asked_before_a_voter(home: Home, etcd36: str, tmp_path: Path, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    put(home, 5)
    folder = str(home.layout.root)
    assert cli("local", "join", "s1", "--standby", "--dir", folder).returncode == 0
    store = FolderStore(tmp_path / "backups")
    manifest = manifest_of(home, store)
    assert (manifest.member.name, manifest.member.role, manifest.keys) == ("s1", "standby", 6)


@pytest.mark.parametrize("damage", ["a byte", "its end", "all of it", "another file"])
def test_a_file_that_was_damaged_is_named_and_is_never_copied(three: Home, tmp_path: Path, damage: str) -> None:
    store, other = FolderStore(tmp_path / "backups"), FolderStore(tmp_path / "other")
    manifest = manifest_of(three, store)
    path = store.path(blob_of(manifest))
    content = bytearray(path.read_bytes())
    if damage == "a byte":
        content[len(content) // 2] ^= 1
    elif damage == "another file":
        content[:] = os.urandom(len(content))
    path.write_bytes(content[:-1000] if damage == "its end" else b"" if damage == "all of it" else content)
    if damage in ("its end", "all of it"):
        found = catalog(store)
        assert not found.backups and "instead of" in found.problems[0]
    else:
        assert verify(store, manifest, OPENER, CLOCK).problems
    with pytest.raises(Refused, match="is not what its manifest says"):
        copy(manifest, store, other, CLOCK)
    assert other.stored() == []


def test_a_whole_one_is_copied_once_and_says_when_it_was_verified(three: Home, tmp_path: Path) -> None:
    store, other = FolderStore(tmp_path / "backups"), FolderStore(tmp_path / "other")
    manifest = manifest_of(three, store)
    assert copy(manifest, store, other, CLOCK) and not copy(manifest, store, other, CLOCK)
    checked = verify(other, find(catalog(other), "latest"), OPENER, CLOCK)
    assert not checked.problems and [one.how for one in find(catalog(other), "latest").verified] == ["walk"]


def test_without_a_quorum_it_is_refused_and_else_says_so(three: Home, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "backups")
    cluster.kill(three, "m2")
    cluster.kill(three, "m3")
    with pytest.raises(Refused, match="no quorum answers"):
        saved(three, store)
    assert store.stored() == []
    manifest = manifest_of(three, store, Wish(allow_no_quorum=True))
    assert not manifest.through_quorum and manifest.member.name == "m1"


def test_a_save_that_is_killed_leaves_no_backup_and_the_next_one_cleans_up(home: Home, etcd36: str, tmp_path: Path) -> None:
    cluster.up(home, 1, etcd36)
    with home.access() as access:
        from quorate.etcd.client import kv

        for number in range(60):
            kv.put(access.channel(home.seeds()[0]), f"k{number}".encode(), os.urandom(1 << 20), timeout=10)
    store = FolderStore(tmp_path / "backups")
    words = [sys.executable, "-m", "quorate", "etcd", "backup", "save", str(store.root), *flags_of(home)]
    run = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: [one for one in store.root.rglob(".incoming*") if one.stat().st_size > 1 << 20] or run.poll() is not None)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not catalog(store).backups and list(store.root.rglob(".incoming*"))
    saved(home, store)
    assert len(catalog(store).backups) == 1 and not list(store.root.rglob(".incoming*"))


def test_a_member_that_hangs_in_the_middle_ends_the_save(
    home: Home, etcd36: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suspended member keeps its connection: nothing but silence shows it."""
    from quorate.etcd.client import channel, kv, maintenance

    monkeypatch.setattr(channel, "_SILENCE_SECONDS", 1.0)
    cluster.up(home, 1, etcd36)
    with home.access() as access:
        for number in range(60):
            kv.put(access.channel(home.seeds()[0]), f"k{number}".encode(), os.urandom(1 << 20), timeout=10)
        stopped: list[float] = []
        made = write_all

        def write(fd: int, piece: bytes | memoryview) -> None:
            if not stopped:
                cluster.pause(home, "m1")
                stopped.append(time.monotonic())
            made(fd, piece)

        monkeypatch.setattr(maintenance, "write_all", write)
        store = FolderStore(tmp_path / "backups")
        try:
            with pytest.raises(Exception, match="sent nothing for 1 s"):
                save(Cluster(access, home.seeds()), store, Wish())
        finally:
            cluster.resume(home, "m1")
        assert store.stored() == [] and time.monotonic() - stopped[0] < 20


def test_one_host_saves_in_each_period(three: Home, tmp_path: Path) -> None:
    store, now = FolderStore(tmp_path / "backups"), time.time()
    with three.access() as access:
        cluster_id = Cluster(access, three.seeds()).look().cluster_id
    day = 86_400.0
    assert claim(store, cluster_id, day, now, "a") == ""
    assert claim(store, cluster_id, day, now, "b") == "a"
    assert claim(store, cluster_id, day, now, "a") == "", "its run failed, and is repeated"
    noon = now - now % day + day / 2 + 9 * day
    assert claim(store, cluster_id, day, noon, "c") == "" and claim(store, cluster_id, day, noon + 60, "b") == "c"
    assert claim(store, cluster_id, day, noon + 1801, "b") == "", "the host that took it made none"
    made = saved(three, store)
    assert claim(store, cluster_id, day, time.time(), "b") == made
    assert claim(store, cluster_id, day, time.time() - 5 * day, "b") == "", "a backup of the future is of no period before"


def test_what_others_can_write_to_takes_no_backup(three: Home, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(HostError, match="others may write"):
        saved(three, FolderStore(folder))


def test_the_commands_on_a_real_cluster(three: Home, tmp_path: Path, cli: RunCli) -> None:
    place, at = str(tmp_path / "backups"), flags_of(three)
    made = cli("etcd", "backup", "save", place, *at, "-o", "json")
    assert schemas.checked(made.stdout) == ["EtcdBackup"], made.stderr
    again = cli("etcd", "backup", "save", place, "--every", "24h", *at, "-o", "json")
    assert (
        schemas.checked(again.stdout) == ["EtcdBackup"]
        and json.loads(again.stdout)["claimedBy"] == json.loads(made.stdout)["id"]
    )
    for words, kind in (
        (("list", place), "EtcdBackupList"),
        (("show", place), "EtcdBackup"),
        (("verify", place), "EtcdBackupCheck"),
        (("status", place), "EtcdBackupStatus"),
        (("copy", place, str(tmp_path / "other")), "EtcdBackup"),
        (("prune", place, "--dry-run"), "EtcdBackupPruning"),
    ):
        done = cli("etcd", "backup", *words, "-o", "json")
        assert done.returncode == 0 and schemas.checked(done.stdout) == [kind], done.stderr
    old = cli("etcd", "backup", "status", place, "--max-age", "1ms")
    assert old.returncode == 1 and "older than 0.001 s" in old.stdout
    (tmp_path / "backups" / json.loads(made.stdout)["clusterId"] / "junk.json").write_text("{")
    broken = cli("etcd", "backup", "list", place)
    assert broken.returncode == 1 and "junk.json is no manifest" in broken.stdout


def test_a_prune_deletes_what_no_rule_keeps_and_nothing_of_another_cluster(three: Home, tmp_path: Path, cli: RunCli) -> None:
    store = FolderStore(tmp_path / "backups")
    manifest = manifest_of(three, store)

    for days in (1, 2):
        older = replace(manifest, taken_at=manifest.taken_at - timedelta(days=days))
        older = replace(older, blob=replace(older.blob, name=f"{older.taken_at:%Y%m%dT%H%M%SZ}-1.db"))
        store.path(blob_of(older)).write_bytes(store.path(blob_of(manifest)).read_bytes())
        assert store.create(f"{older.id}.json", older.as_bytes())
    assert len(catalog(store).backups) == 3
    done = cli("etcd", "backup", "prune", str(store.root), "--keep", "2", "-o", "json")
    assert len(json.loads(done.stdout)["deleted"]) == 1 and len(catalog(store).backups) == 2
    assert not catalog(store).unfinished and not catalog(store).problems


def aged(manifest: Manifest, store: FolderStore, days: int) -> Manifest:
    """Puts the same backup into the store once more, as if it were taken that many days ago."""
    older = replace(manifest, taken_at=manifest.taken_at - timedelta(days=days))
    older = replace(older, blob=replace(older.blob, name=f"{older.taken_at:%Y%m%dT%H%M%SZ}-{older.revision}.db"))
    store.path(blob_of(older)).write_bytes(store.path(blob_of(manifest)).read_bytes())
    assert store.create(f"{older.id}.json", older.as_bytes())
    return older


def damaged(store: FolderStore, manifest: Manifest) -> None:
    with store.path(blob_of(manifest)).open("r+b") as file:
        file.seek(manifest.blob.size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("is_seen_before", [True, False])
def test_a_damaged_backup_eats_no_good_one(three: Home, tmp_path: Path, cli: RunCli, is_seen_before: bool) -> None:
    """The newest one was verified when it was saved, and damaged since: a prune kept it, and deleted the one that was whole."""
    store = FolderStore(tmp_path / "backups")
    newest = manifest_of(three, store)
    good, oldest = aged(newest, store, 1), aged(newest, store, 2)
    damaged(store, newest)
    if is_seen_before:
        seen = cli("etcd", "backup", "verify", str(store.root), newest.id)
        assert seen.returncode == 1 and "DAMAGED, seen" in cli("etcd", "backup", "list", str(store.root)).stdout
        assert good.id in cli("etcd", "backup", "status", str(store.root), "--max-age", "48h").stdout
    planned = cli("etcd", "backup", "prune", str(store.root), "--keep", "1", "--dry-run", "-o", "json")
    done = cli("etcd", "backup", "prune", str(store.root), "--keep", "1", "-o", "json")
    kept = {row["id"]: row["keptAs"] for row in json.loads(done.stdout)["clusters"][0]["backups"]}
    assert json.loads(planned.stdout)["clusters"] == json.loads(done.stdout)["clusters"]
    assert json.loads(done.stdout)["deleted"] == [oldest.id] and kept[good.id] == ["newest verified", "newest"]
    assert kept[newest.id] == ["damaged, and none that is newer is verified"]
    assert find(catalog(store), "latest").id == good.id


def test_a_file_of_somebody_and_one_whose_manifest_is_broken_stay(three: Home, tmp_path: Path, cli: RunCli) -> None:
    store = FolderStore(tmp_path / "backups")
    newest = manifest_of(three, store)
    older = aged(newest, store, 2)
    folder = store.path(blob_of(newest)).parent
    store.replace(f"{older.id}.json", older.as_bytes()[:40])
    (folder / "mine.db").write_bytes(b"x")
    left = folder / "20260101T000000Z-7.db"
    left.write_bytes(b"half")
    alices = store.root / "saved-by-alice" / left.name
    alices.parent.mkdir()
    alices.write_bytes(b"x")
    for path in (alices, folder / "mine.db", left, store.path(blob_of(older))):
        os.utime(path, (1.0, 1.0))
    done = cli("etcd", "backup", "prune", str(store.root), "-o", "json")
    assert json.loads(done.stdout)["unfinished"] == [f"{folder.name}/{left.name}"] and not left.exists()
    assert alices.exists() and (folder / "mine.db").exists() and store.path(blob_of(older)).exists()


@pytest.mark.parametrize(
    ("place", "says"),
    [("data", "is the data directory of a member"), ("one", "holds the backups of one cluster"), ("none", "is no directory")],
)
def test_what_is_no_store_is_said_to_be_none(tmp_path: Path, cli: RunCli, place: str, says: str) -> None:
    (tmp_path / "data" / "member").mkdir(parents=True)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "20260101T000000Z-7.db").touch()
    for words in (("backup", "list"), ("backup", "show"), ("backup", "prune"), ("backup", "verify"), ("backup", "status")):
        done = cli("etcd", *words, str(tmp_path / place))
        assert done.returncode == 3 and says in done.stderr, done.stderr


def test_a_backup_is_restored_and_served_for_a_while(three: Home, tmp_path: Path, cli: RunCli) -> None:
    """That it can be restored is found out before it is needed; a killed test leaves every secret of the cluster."""
    place, work = tmp_path / "b", tmp_path / "work"
    work.mkdir()
    assert cli("etcd", "backup", "save", str(place), *flags_of(three)).returncode == 0
    (work / ".quorate-restore-test-0a1b2c3d").mkdir()
    words = ("etcd", "backup", "verify", str(place), "--restore-test", "--work", str(work), "--etcd", engine("etcd-3.6"))
    done = cli(*words, "--etcdutl", engine("etcdutl"), "-o", "json")
    assert done.returncode == 0, done.stderr
    schemas.checked(done.stdout)
    assert [one["how"] for one in json.loads(done.stdout)["verified"]] == ["walk", "restore-test"]
    assert not list(work.iterdir()) and "restored and served" in cli("etcd", "backup", "list", str(place)).stdout
    never = tmp_path / "etcd"
    never.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "etcd Version: 3.6.5" || exit 1\n')
    never.chmod(0o755)
    failed = cli(*words[:-1], str(never), "--etcdutl", engine("etcdutl"))
    assert failed.returncode == 1 and "what was restored is not served" in failed.stderr, failed.stderr
    assert "DAMAGED" not in cli("etcd", "backup", "list", str(place)).stdout and not list(work.iterdir())


def test_a_run_without_an_end_saves_once_a_period_and_goes_on_where_a_round_fails(
    home: Home, etcd36: str, tmp_path: Path
) -> None:
    cluster.up(home, 1, etcd36)
    put(home, 5)
    store, out, log = FolderStore(tmp_path / "backups"), tmp_path / "out", tmp_path / "log"
    words = [sys.executable, "-m", "quorate", "etcd", "backup", "run", str(store.root), "--every", "1h", "-o", "json"]

    def shown_until_stopped() -> dict[str, object]:
        with out.open("wb") as stdout, log.open("wb") as stderr:
            run = subprocess.Popen([*words, *flags_of(home)], stdout=stdout, stderr=stderr)
        until(lambda: b"\n" in out.read_bytes() or run.poll() is not None, 40)
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 130, log.read_text()
        assert "stopped: no backup is saved from here any more" in log.read_text()
        assert schemas.checked(out.read_text()) == ["EtcdBackupRound"]
        row: dict[str, object] = json.loads(out.read_text())
        return row

    for round_ends in ("saved", "claimedBy", "error"):
        if round_ends == "error":
            cluster.pause(home, "m1")
        row = shown_until_stopped()
        assert [key for key in ("saved", "claimedBy", "error") if row[key] is not None] == [round_ends], log.read_text()
    cluster.resume(home, "m1")
    assert len(catalog(store).backups) == 1 and "tried again in 900 s" in log.read_text()
