"""Whose a data directory is: empty, a member's, or somebody's; and that only the data that was looked at is deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kubeadm_cases import context_of, setup_of
from member_data import write_log

from hostile.test_reset import MANIFEST, Node
from quorate.core.membership import ClusterView
from quorate.deadline import SystemClock
from quorate.errors import HostError, Refused
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.host import ports
from quorate.host.etcd_data import has_log
from quorate.host.etcd_identity import SEAL, UNREADABLE, DataIdentity, UnknownOwner, data_identity, data_owner, member_of
from quorate.host.member_data import look_at, of_member, settle, take_data
from quorate.local.layout import Layout
from quorate.local.runtime import LocalFiles
from quorate.local.state import LocalMember
from quorate.member import join_here
from quorate.member.data_dir import DataDir
from quorate.member.join_here import Host
from quorate.member.process import process_of
from quorate.member.spec import EtcdSpec
from quorate.member.static_pod import StaticPod
from quorate.phases import doctor
from quorate.phases.base.context import Context
from quorate.phases.node import left_note, local_etcd
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.reset import etcd as reset_etcd
from quorate.phases.reset import mounts
from quorate.phases.reset.state import ResetRun
from quorate.report import Message, Notice
from quorate.tree import RealTree

OLD = DataIdentity(0xA1, 0xC)


def made(folder: Path, *names: str, text: str = "x") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def new_etcd(data: Path) -> None:
    """What an etcd makes that could not join."""
    for name in ("snap", "wal.tmp"):
        (data / "member" / name).mkdir(parents=True, exist_ok=True)
    (data / "member/snap/db").touch()


def moved(data: Path, to: str) -> None:
    write_log(data, OLD)
    (data / to).parent.mkdir(parents=True, exist_ok=True)
    (data / "member").rename(data / to)


def no_log(data: Path, *names: str) -> None:
    made(data / "member", *names)


def dead_link(data: Path) -> None:
    (data / "member").symlink_to("/nowhere/at/all")


SOMEBODYS: dict[str, Callable[[Path], None]] = {
    "a member moved aside": lambda data: moved(data, "member.saved"),
    "a copy of a member": lambda data: moved(data, "member.bak"),
    "a data directory in it": lambda data: moved(data, "X/member"),
    "a snapshot": lambda data: made(data, "before-the-change.db"),
    "a member without its log": lambda data: no_log(data, "wal.bak/0.wal", "snap/db.bak"),
    "a snapshot that was received": lambda data: no_log(data, "snap/0000000000000004.snap.db"),
    "a log that was broken": lambda data: no_log(data, "wal/0-0.wal.broken", "snap/db"),
    "only raft's snapshots": lambda data: no_log(data, "snap/0000000000000001-0000000000000002.snap"),
    "a link that leads nowhere": dead_link,
    "a log that was begun and damaged": lambda data: no_log(data, "wal.tmp/0-0.wal"),
    "a file of that name": lambda data: made(data, "member"),
    "taken away by a killed run": lambda data: moved(data, f"{TAKEN}/member.saved"),
}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return context_of(setup_of(), tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("what", SOMEBODYS)
def test_what_is_not_recognised_is_somebodys(data: Path, what: str) -> None:
    """Each was "there is no data", and was deleted by the undo of a join, and by a reset."""
    SOMEBODYS[what](data)
    if what == "a log that was broken":
        (data / "member/snap/db").write_bytes(b"")
    before = everything(data)
    assert data_owner(data) == UNREADABLE
    with pytest.raises(UnknownOwner):
        data_identity(data)
    for owner in (OLD.member_id, 0):
        with suppress(HostError):
            # No error where there is no `member`.
            take_data(data, of_member(owner))
        assert everything(data) == sorted(name.removeprefix(f"{TAKEN}/") for name in before)
    seen = look_at(data)
    assert not seen.is_meant(data) or seen.folders[0] is not None


def test_what_may_not_be_read_is_somebodys(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "It may not be looked at" was "it is not there"."""
    no_log(data, "snap/db")
    real = os.lstat

    def refused(path: Any, *words: Any, **named: Any) -> os.stat_result:
        if str(path).endswith("snap/db") or str(path).endswith("member/wal"):
            raise PermissionError(13, "Permission denied")
        return real(path, *words, **named)

    monkeypatch.setattr(os, "lstat", refused)
    monkeypatch.setattr(Path, "lstat", refused)
    assert data_owner(data) == UNREADABLE and has_log(data)


def test_what_is_ours_by_name_and_what_a_new_etcd_makes_is_nothing(data: Path) -> None:
    assert data_owner(data / "missing") is None
    made(data, SEAL, f".{SEAL}.quorate-0123abcd", f"{JUDGED}/member/db")
    (data / "lost+found").mkdir()
    (data / TAKEN).mkdir()
    assert data_owner(data) is None and member_of(data) == 0
    new_etcd(data)
    assert data_owner(data) is None and member_of(data) == 0
    # Only room is made until it writes its ids; the next start deletes that.
    (data / "member/wal.tmp/0.wal").write_bytes(bytes(4096))
    assert data_owner(data) is None
    take_data(data, of_member(0xA1))
    assert not (data / "member").exists() and (data / SEAL).exists()
    made(data, "lost+found/inode")
    assert data_owner(data) == UNREADABLE


def test_the_log_that_is_being_begun_tells_its_member(data: Path) -> None:
    write_log(data, OLD)
    (data / "member/wal").rename(data / "member/wal.tmp")
    assert data_owner(data) == OLD


def test_what_lies_beside_a_member_stays(data: Path) -> None:
    """An operator had saved a snapshot there before the change: the undo of a join deleted it with the learner's data."""
    write_log(data, OLD)
    made(data, "before-the-change.db", "member.bak/db")
    assert data_owner(data) == OLD
    take_data(data, of_member(OLD.member_id))
    assert everything(data) == ["before-the-change.db", "member.bak/db"]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made_node = Node(tmp_path / "root")
    made_node.write("etc/kubernetes/manifests/etcd.yaml", MANIFEST.format(host="/var/lib/etcd", below=""))
    write_log(made_node.root / "var/lib/etcd", OLD)
    return made_node


def restore(data: Path) -> None:
    """A snapshot restored with the same name, URLs and token: the same ids."""
    shutil.rmtree(data / "member")
    write_log(data, OLD)


def restore_within(data: Path) -> None:
    """The same, with `member` itself kept: it was emptied and filled."""
    shutil.rmtree(data / "member/wal")
    write_log(data, OLD)


def reset(node: Node) -> tuple[ResetRun, LocalEtcd]:
    run = node.reset(force=True, ignore_preflight_errors=["all"])
    found = local_etcd.local_etcd(run.tree)
    assert found is not None
    return run, found


@pytest.mark.parametrize("restored", [restore, restore_within])
def test_data_that_was_restored_with_the_same_ids_is_anothers(node: Node, restored: Callable[[Path], None]) -> None:
    """The only copy of what a cluster of one had acknowledged was deleted."""
    run, found = reset(node)
    data = node.root / "var/lib/etcd"
    reset_etcd._note_owner(run, found)
    restored(data)
    assert look_at(data).owner == OLD
    with pytest.raises(HostError, match="or was restored since"):
        run.refuse_changed()
    with pytest.raises(HostError, match="or was restored since"):
        local_etcd.delete_data(run.tree, found, run.data)
    assert data_identity(data) == OLD


@pytest.mark.parametrize("restored", [restore, restore_within])
def test_the_seal_of_a_member_that_has_left_is_not_of_data_that_was_restored(
    node: Node, restored: Callable[[Path], None]
) -> None:
    run, found = reset(node)
    data = node.root / "var/lib/etcd"
    left_note.note_left(run.tree, found, look_at(data), "left", "/etc/kubernetes/pki")
    (node.root / "etc/kubernetes/manifests/etcd.yaml").unlink()
    assert left_note.has_left(run.tree) is not None
    (data / "member").rename(data / "moved")
    (data / TAKEN).mkdir()
    (data / "moved").rename(data / TAKEN / "member")
    assert left_note.has_left(run.tree) is not None, "a rename keeps it"
    (data / TAKEN / "member").rename(data / "member")
    restored(data)
    assert left_note.has_left(run.tree) is None


def test_what_is_restored_between_the_note_and_the_look_is_not_what_the_note_is_of(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, found = reset(node)
    data = node.root / "var/lib/etcd"
    left_note.note_left(run.tree, found, look_at(data), "left", "/etc/kubernetes/pki")
    (node.root / "etc/kubernetes/manifests/etcd.yaml").unlink()
    monkeypatch.setattr(mounts, "refuse", lambda *_: restore(data))
    with pytest.raises(HostError, match="or was restored since"):
        reset_etcd.remove_member(run)
    assert data_identity(data) == OLD


def test_a_seal_that_names_no_folder_is_of_no_data(node: Node) -> None:
    """As 0.2 wrote it."""
    run, found = reset(node)
    left_note.note_left(run.tree, found, look_at(node.root / "var/lib/etcd"), "left", "/etc/kubernetes/pki")
    node.write(f"var/lib/etcd/{SEAL}", "a1 c\n")
    (node.root / "etc/kubernetes/manifests/etcd.yaml").unlink()
    assert left_note.has_left(run.tree) is None


def test_of_data_that_cannot_be_read_only_the_one_that_was_seen_is_abandoned(node: Node) -> None:
    """Both were "unreadable", so equal: the data that an operator had put there was deleted."""
    run, found = reset(node)
    data = node.root / "var/lib/etcd"
    write_log(data, OLD).write_bytes(b"damaged")
    with pytest.raises(UnknownOwner, match="cannot read which member"):
        reset_etcd._note_owner(run, found)
    run.abandon = True
    reset_etcd._note_owner(run, found)
    run.refuse_changed()
    shutil.rmtree(data / "member")
    no_log(data, "wal/other.wal")
    with pytest.raises(HostError, match="it cannot be read of which etcd member"):
        run.refuse_changed()
    with pytest.raises(HostError, match="it cannot be read of which etcd member"):
        local_etcd.delete_data(run.tree, found, run.data)
    run.data = look_at(data)
    local_etcd.delete_data(run.tree, found, run.data)
    assert everything(data) == []


def test_what_is_no_member_is_not_abandoned_either(node: Node) -> None:
    run, found = reset(node)
    data = node.root / "var/lib/etcd"
    (data / "member").rename(data / "member.saved")
    run.abandon = True
    with pytest.raises(UnknownOwner, match=r"holds member\.saved, which is not what an etcd makes there"):
        reset_etcd._note_owner(run, found)


def test_a_reset_deletes_what_it_saw_beside_the_data_and_nothing_that_came_since(node: Node) -> None:
    run, found = reset(node)
    data = node.root / "var/lib/etcd"
    made(data, "old.db")
    seen = look_at(data)
    made(data, "new.db")
    local_etcd.delete_data(run.tree, found, seen)
    assert everything(data) == ["new.db"]


def test_the_data_of_a_second_deletion_is_found_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The etcd made new data until its kubelet was stopped. Killed while it deleted that, a reset left it for ever."""
    run, found = reset(node)
    data = node.root / "var/lib/etcd"
    seen = look_at(data)
    left_note.note_left(run.tree, found, seen, "left", "/etc/kubernetes/pki")
    (node.root / "etc/kubernetes/manifests/etcd.yaml").unlink()
    local_etcd.delete_data(run.tree, found, seen)
    new_etcd(data)

    rename = os.rename

    def killed(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if source == "member":
            raise KeyboardInterrupt
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            local_etcd.delete_data(run.tree, found, seen)
    left = left_note.has_left(run.tree)
    assert left is not None and everything(data) != []
    local_etcd.delete_data(run.tree, left.etcd, look_at(data))
    assert everything(data) == []


def spec(tmp_path: Path) -> EtcdSpec:
    return EtcdSpec("d", tmp_path / "etcd", tmp_path / "data", "http://127.0.0.1:1", "http://127.0.0.1:2")


@pytest.mark.parametrize("what", [*SOMEBODYS, "taken away"])
def test_a_join_does_not_resume_over_data_of_somebody(tmp_path: Path, data: Path, what: str) -> None:
    """The folder next to it is of a join that was cut off: the data was "ours", and went with the next rollback."""
    one = spec(tmp_path)
    runtime = process_of(one, SystemClock())
    one.beside.mkdir()
    host = Host(one, runtime)
    view = ClusterView(0xC, (), {}, 0.0, linearizable=True)
    assert runtime.has_leftovers() and join_here._is_resumed(host, view)
    if what == "taken away":
        moved(data, f"{TAKEN}/member")
    else:
        SOMEBODYS[what](data)
        if what == "a log that was broken":
            (data / "member/snap/db").write_bytes(b"")
    assert not join_here._is_resumed(host, view)


def test_no_etcd_starts_over_what_was_taken_away(tmp_path: Path, data: Path) -> None:
    """It would begin empty, beside the data of its member."""
    moved(data, f"{TAKEN}/member")
    started: list[object] = []
    pod = StaticPod(tmp_path / "etcd.yaml", data, "", "image", started.append, lambda _: "", SystemClock())
    for start in (DataDir(spec(tmp_path)).prepare, lambda: pod.start([])):
        with pytest.raises(HostError, match=r"\.quorate-taken holds data that a run which was cut off had taken away"):
            start()
    assert started == []
    settle(data)
    assert data_identity(data) == OLD and not (data / TAKEN).exists()


def test_only_our_files_next_to_the_data_are_deleted(tmp_path: Path, data: Path) -> None:
    """The folder went whole, with what an operator had put there."""
    data.rmdir()
    place = DataDir(spec(tmp_path))
    place.prepare()
    beside = place.spec.beside
    made(beside, "process.json", "output.log", "etcd.env", ".process.json.quorate-0123abcd", "keep.db")
    write_log(data, OLD)
    made(data, "keep.db")
    place.give_back(OLD.member_id)
    assert everything(tmp_path) == ["data.quorate/keep.db", "data/keep.db"]
    assert not place.is_begun, "or the rollback would never end"
    (beside / "keep.db").unlink()
    assert DataDir(spec(tmp_path)).is_begun, "a join that was cut off at once"
    place.give_back(OLD.member_id)
    assert everything(tmp_path) == ["data/keep.db"]


def test_a_static_pod_leaves_what_lies_beside_its_data(tmp_path: Path, data: Path) -> None:
    pod = StaticPod(tmp_path / "etcd.yaml", data, "", "image", lambda _rows: None, lambda _: "", SystemClock())
    write_log(data, OLD)
    made(data, "keep.db")
    assert pod.has_leftovers()
    pod.wipe(OLD.member_id)
    assert everything(data) == ["keep.db"] and not pod.has_leftovers()


def test_data_that_was_taken_away_is_data_of_its_node(node: Node) -> None:
    data = node.root / "var/lib/etcd"
    (data / TAKEN).mkdir()
    (data / "member").rename(data / TAKEN / "member")
    (node.root / "etc/kubernetes/manifests/etcd.yaml").unlink()
    node.write("etc/kubernetes/pki/etcd/peer.key")
    with pytest.raises(Refused, match="holds data of member a1 of cluster c"):
        local_etcd.refuse_data_without_manifest(RealTree(node.root), "/etc/kubernetes/pki")


def test_a_folder_of_a_local_member_keeps_what_others_put_there(tmp_path: Path) -> None:
    """It went whole: with the snapshot that an operator had saved beside the data, and the one restored into it meanwhile."""
    told: list[Message] = []
    layout = Layout(tmp_path)
    local = LocalFiles(LocalMember("m2", 15001, 15002, "/bin/true", "joining"), layout, told.append)
    paths = layout.member("m2")
    ours = ("pki/etcd/peer.key", "etcd.log", "etcd.log.1", "etcd-2026-01-01T00-00-00.000.log", "output.log", "process.json")
    made(paths.folder, *ours, ".process.json.quorate-0123abcd", "keep.db", "data/before.db")
    write_log(paths.data, OLD)
    assert local.is_begun
    with pytest.raises(HostError, match="is of another etcd member"):
        local.give_back(0xB2)
    local.give_back(OLD.member_id)
    assert everything(paths.folder) == ["data/before.db", "keep.db"]
    assert not LocalFiles(local.member, layout).is_begun, "or the rollback would never end"
    assert [one.text for one in told if isinstance(one, Notice)] == [
        f"{paths.folder} also holds data/before.db, keep.db: it was left as it is"
    ]
    shutil.rmtree(paths.folder)
    made(paths.folder, *ours)
    local.give_back(OLD.member_id)
    assert not paths.folder.exists()


def test_a_local_member_does_not_start_over_what_was_taken_away(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    moved(layout.member("m1").data, f"{TAKEN}/member")
    peer, client = ports.reserve(2, tmp_path)
    local = LocalFiles(LocalMember("m1", peer, client, "/bin/true", "member"), layout)
    with pytest.raises(HostError, match=r"\.quorate-taken holds data"):
        local.prepare()


def test_a_doctor_names_what_killed_runs_have_left(context: Context, tmp_path: Path) -> None:
    left = ("etc/kubernetes/.admin.conf.quorate-0123abcd", f"etc/kubernetes/manifests/{TAKEN}/etcd.yaml")
    made(tmp_path, *left, f"var/lib/etcd/{TAKEN}/member/x", f"var/lib/etcd/{JUDGED}/member/x", "etc/kubernetes/.other.0123abcd")
    assert [(one.level, one.text.partition(" ")[0]) for one in doctor.check_taken_away(context, "")] == [
        ("error", f"/var/lib/etcd/{TAKEN}"),
        ("error", f"/var/lib/etcd/{JUDGED}"),
        ("warning", "/etc/kubernetes/.admin.conf.quorate-0123abcd"),
        ("warning", f"/etc/kubernetes/manifests/{TAKEN}"),
    ]
