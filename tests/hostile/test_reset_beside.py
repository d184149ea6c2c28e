"""A reset beside another program, or on a copy of another host: what came since it looked is never deleted, and a member of
another host is never removed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from member_data import write_log

from hostile.test_reset import MANIFEST, Node
from quorate.core.membership import ClusterView, Member
from quorate.errors import HostError, Refused
from quorate.foreign import aside, kernel
from quorate.foreign.aside import remove_if
from quorate.foreign.places import Stamp, stamp_at
from quorate.host import addresses
from quorate.host.etcd_identity import DataIdentity, data_identity
from quorate.host.kubelet import Kubelet
from quorate.host.member_data import look_at
from quorate.phases.base.this_node import HERE
from quorate.phases.node import left_note, local_etcd
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.local_etcd import delete_data, refuse_data_without_manifest
from quorate.phases.reset import cleanup, etcd
from quorate.phases.reset.state import ResetRun
from quorate.tree import RealTree

DATA, MANIFESTS = "var/lib/etcd", "etc/kubernetes/manifests"
TEXT = MANIFEST.format(host="/var/lib/etcd", below="")
OLD, NEW = DataIdentity(0xA1, 0xC), DataIdentity(0xB2, 0xC)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path / "root")
    (made.root / "var/lib/kubelet").mkdir(parents=True)
    return made


def join_again(node: Node) -> None:
    """What kubeadm makes on the node while this run is suspended."""
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT + "# new\n")
    node.write("etc/kubernetes/pki/etcd/peer.key")
    write_log(node.root / DATA, NEW)


def assert_new_member_stays(node: Node) -> None:
    assert (node.root / MANIFESTS / "etcd.yaml").read_text().endswith("# new\n")
    assert (node.root / "etc/kubernetes/pki/etcd/peer.key").exists()
    assert data_identity(node.root / DATA) == NEW


class Suspending(Kubelet):
    """A kubelet whose stop takes as long as another program needs to join the node."""

    __slots__ = ("_meanwhile", "_words")

    def __init__(self, meanwhile: Callable[[], None], words: list[str]) -> None:
        super().__init__()
        object.__setattr__(self, "_meanwhile", meanwhile)
        object.__setattr__(self, "_words", words)

    def stop(self) -> None:
        self._words.append("stop")  # type: ignore[attr-defined]
        self._meanwhile()  # type: ignore[attr-defined]

    def start(self) -> None:
        self._words.append("start")  # type: ignore[attr-defined]


def reset(node: Node, kubelet: Kubelet | None = None) -> ResetRun:
    run = node.reset(force=True, ignore_preflight_errors=["all"])
    run.kubelet = kubelet or Kubelet()
    return run


def test_a_node_that_was_joined_while_its_kubelet_was_stopped_stays(node: Node) -> None:
    """A reset had said "There is no etcd manifest", and then deleted the new voter: exit code 0."""
    words: list[str] = []
    run = reset(node, Suspending(lambda: join_again(node), words))
    etcd.remove_member(run)
    with pytest.raises(HostError, match=r"etcd\.yaml was written by another program since this run looked"):
        cleanup.clean_up(run)
    assert_new_member_stays(node)
    assert words == ["stop", "start"], "its kubelet runs again"


def test_a_node_that_was_joined_between_the_two_phases_stays(node: Node) -> None:
    run = reset(node)
    etcd.remove_member(run)
    join_again(node)
    with pytest.raises(HostError, match="since this run looked"):
        cleanup.clean_up(run)
    assert_new_member_stays(node)


@pytest.mark.parametrize("step", ["unlink", "list"])
def test_a_manifest_that_comes_while_the_folder_is_emptied_stays(
    node: Node, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    node.write(f"{MANIFESTS}/kube-scheduler.yaml", "{spec: {containers: [{command: [kube-scheduler]}]}}")
    run = reset(node)
    etcd.remove_member(run)
    real = RealTree.take

    def taken(tree: RealTree, path: str, is_meant: Callable[[Path], bool], **keep: object) -> bool:
        if path == f"/{MANIFESTS}" and step == "list":
            join_again(node)
        done = real(tree, path, is_meant, **keep)  # type: ignore[arg-type]
        if path == f"/{MANIFESTS}" and step == "unlink":
            join_again(node)
        return done

    monkeypatch.setattr(RealTree, "take", taken)
    with pytest.raises(HostError):
        cleanup.clean_up(run)
    assert_new_member_stays(node)


@pytest.fixture
def found(node: Node) -> LocalEtcd:
    """The etcd of the node, whose data is that of the member OLD."""
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT)
    write_log(node.root / DATA, OLD)
    etcd_here = local_etcd.local_etcd(RealTree(node.root))
    assert etcd_here is not None
    return etcd_here


def test_data_of_a_new_member_is_not_deleted_as_that_of_the_old(node: Node, found: LocalEtcd) -> None:
    """A reset that was suspended after its member had left deleted the data of the voter that had joined here since."""
    tree, seen = RealTree(node.root), look_at(node.root / DATA)
    write_log(node.root / DATA, NEW)
    for _ in range(2):
        with pytest.raises(HostError, match="is of another etcd member than when this run looked"):
            delete_data(tree, found, seen)
        assert data_identity(node.root / DATA) == NEW
    delete_data(tree, found, look_at(node.root / DATA))
    assert list((node.root / DATA).iterdir()) == []


def test_data_that_was_moved_away_when_the_run_was_killed_is_looked_at_again(node: Node, found: LocalEtcd) -> None:
    seen = look_at(node.root / DATA)
    write_log(node.root / DATA, NEW)
    (node.root / DATA / ".quorate-taken").mkdir()
    (node.root / DATA / "member").rename(node.root / DATA / ".quorate-taken/member")
    with pytest.raises(HostError, match="another etcd member"):
        delete_data(RealTree(node.root), found, seen)
    assert data_identity(node.root / DATA) == NEW


def test_a_reset_that_was_killed_while_it_deleted_goes_on(node: Node, found: LocalEtcd) -> None:
    """What it had taken away is its own: the same command ends, and does not call it another program's."""
    (node.root / MANIFESTS / "etcd.yaml").unlink()
    for path in (f"{MANIFESTS}/kube-scheduler.yaml", "etc/kubernetes/pki/etcd/ca.crt", "var/lib/kubelet/config.yaml"):
        text = "{spec: {containers: [{command: [kube-scheduler]}]}}"
        folder, _, name = path.rpartition("/")
        node.write(f"{folder.removesuffix('/etcd')}/.quorate-taken/{'etcd/' if '/etcd/' in path else ''}{name}", text)
    (node.root / DATA / ".quorate-taken").mkdir()
    (node.root / DATA / "member").rename(node.root / DATA / ".quorate-taken/member")
    assert data_identity(node.root / DATA) == OLD
    cleanup.clean_up(reset(node))
    assert not list((node.root / "etc/kubernetes").rglob("*.*")) and not list((node.root / "var/lib/kubelet").iterdir())
    delete_data(RealTree(node.root), found, look_at(node.root / DATA))
    assert list((node.root / DATA).iterdir()) == []


def test_a_note_that_a_member_has_left_is_of_that_member(node: Node, found: LocalEtcd) -> None:
    """An operator had made a new member in its place, and moved its manifest away for now: its data was deleted unasked."""
    tree = RealTree(node.root)
    left_note.note_left(tree, found, look_at(node.root / DATA), "left", "/etc/kubernetes/pki")
    (node.root / MANIFESTS / "etcd.yaml").unlink()
    assert left_note.has_left(tree) is not None
    write_log(node.root / DATA, NEW)
    assert left_note.has_left(tree) is None
    (node.root / DATA / "member/wal").rename(node.root / DATA / "member/old")
    (node.root / DATA / "member/snap").mkdir()
    (node.root / DATA / "member/snap/db").write_text("x")
    assert left_note.has_left(tree) is None, "it cannot be read whose data it is"


def test_only_the_manifest_that_was_read_is_deleted(node: Node) -> None:
    path = node.write(f"{MANIFESTS}/etcd.yaml", TEXT)
    tree = RealTree(node.root)
    seen = tree.stamp(f"/{MANIFESTS}/etcd.yaml")
    assert seen is not None
    path.unlink()
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT)
    with pytest.raises(HostError, match="was written by another program since this run looked"):
        # kubeadm writes the same again for the next member.
        tree.remove_if(f"/{MANIFESTS}/etcd.yaml", seen)
    assert path.read_text() == TEXT and [one.name for one in path.parent.iterdir()] == ["etcd.yaml"]
    seen = tree.stamp(f"/{MANIFESTS}/etcd.yaml")
    assert seen is not None
    tree.remove_if(f"/{MANIFESTS}/etcd.yaml", seen)
    tree.remove_if(f"/{MANIFESTS}/etcd.yaml", seen)
    assert list(path.parent.iterdir()) == []


def test_data_whose_manifest_was_moved_away_is_a_member(node: Node) -> None:
    """To move it is the usual way to stop etcd."""
    write_log(node.root / DATA, OLD)
    etcd.remove_member(reset(node))  # an etcd that is no pod, with certificates of its own
    node.write("etc/kubernetes/pki/etcd/peer.key")
    with pytest.raises(Refused, match="holds data of member a1 of cluster c") as refused:
        etcd.remove_member(reset(node))
    assert "--abandon-etcd-member" in refused.value.advice
    run = reset(node)
    run.abandon = True
    etcd.remove_member(run)
    assert any("its data stays" in text for text in node.warnings)
    with pytest.raises(Refused):
        refuse_data_without_manifest(RealTree(node.root), "/etc/kubernetes/pki")


@pytest.mark.parametrize(
    "moved",
    [
        "etc/kubernetes/etcd.yaml.off",
        "etc/kubernetes/stopped/etcd.yaml",
        "etc/kubernetes/tmp/backup/etcd.yaml",
        "etc/kubernetes/off/1/etcd.yaml",
        "etc/kubernetes/manifests/off/etcd.yaml",
    ],
)
def test_the_manifest_that_was_moved_shows_where_the_data_is(node: Node, moved: str) -> None:
    """Where it is not in /var/lib/etcd, a reset said that there was no member to remove."""
    node.write("etc/kubernetes/pki/etcd/peer.key")
    node.write("etc/kubernetes/admin.conf")
    node.write("etc/kubernetes/old-etcd.yaml", "a: [")
    node.write(moved, MANIFEST.format(host="/srv/data", below=""))
    etcd.remove_member(reset(node))
    assert any("may be the key of an etcd member" in text for text in node.warnings)
    write_log(node.root / "srv/data", OLD)
    with pytest.raises(Refused, match="/srv/data holds data of member a1") as refused:
        etcd.remove_member(reset(node))
    assert f"move /{moved} back to /etc/kubernetes/manifests/etcd.yaml" in refused.value.advice


MEMBER = Member(0xA1, "n1", ("https://192.0.2.77:2380",), ("https://192.0.2.77:2379",), is_learner=False)


def view_of(*members: Member) -> ClusterView:
    return ClusterView(0xC, members, {}, 0.0, linearizable=True)


def test_a_member_of_another_host_is_not_removed_for_a_copy_of_its_files(node: Node) -> None:
    """A clone of a disk: the reset removed the live leader on the other host."""
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT.replace("https://127.0.0.1:2379", "https://192.0.2.77:2379"))
    found = local_etcd.local_etcd(RealTree(node.root))
    assert found is not None
    with pytest.raises(Refused, match="may be a copy of another host's"):
        etcd._refuse_elsewhere(found, Mock(), MEMBER, HERE)


def test_a_name_alone_chooses_no_member(node: Node) -> None:
    node.write(f"{MANIFESTS}/etcd.yaml", TEXT)
    found = local_etcd.local_etcd(RealTree(node.root))
    assert found is not None
    with pytest.raises(Refused, match="no member has the peer URL"):
        etcd._member(reset(node), found, view_of(MEMBER))
    assert etcd._member(reset(node), found, view_of()) is None


def test_a_name_that_leads_to_loopback_is_no_address_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """/etc/hosts is part of a clone: a reset there removed the live original, whose peer URL names it."""
    monkeypatch.setattr(addresses, "resolve", lambda _host, _port: [Mock(host="127.0.1.1")])
    assert not addresses.is_of_this_host("cp3")
    monkeypatch.setattr(addresses, "resolve", lambda _host, _port: [Mock(host=str(one)) for one in addresses.of_interfaces()])
    assert addresses.is_of_this_host("cp3") == any(not one.is_loopback for one in addresses.of_interfaces())


def test_addresses_of_this_host() -> None:
    assert (
        addresses.is_of_this_host("127.0.0.1") and addresses.is_of_this_host("::1") and addresses.is_of_this_host("localhost")
    )
    assert not addresses.is_of_this_host("192.0.2.77") and not addresses.is_of_this_host("")
    assert all(addresses.is_of_this_host(str(one)) for one in addresses.of_interfaces())


@pytest.mark.parametrize("has", ["renameat2", "links", "neither"])
def test_a_manifest_that_came_between_look_and_deletion_gets_its_name_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: str
) -> None:
    """Also on a file system without that rename, and without links: the kubelet reads no name that begins with a dot."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    if has != "renameat2":
        monkeypatch.setattr(kernel, "_libc", object)
    if has == "neither":
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "etcd.yaml"
    path.write_text("old")
    seen = stamp_at(path)
    assert seen is not None
    real = kernel.rename_new

    def replaced(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if source == path.name:
            path.unlink()
            path.write_text("new")
        real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(aside, "rename_new", replaced)
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert not remove_if(folder, path.name, seen)
    finally:
        os.close(folder)
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["etcd.yaml"]


def test_what_is_seen_to_be_anothers_is_not_even_moved(node: Node, found: LocalEtcd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its etcd runs: for the time of a look it would have lost its folder, and a kill then would have left it there."""
    tree, seen = RealTree(node.root), look_at(node.root / DATA)
    write_log(node.root / DATA, NEW)
    left_note.note_left(tree, found, seen, "left", "/etc/kubernetes/pki")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is moved")

    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(aside, "rename_new", refuse)
    with pytest.raises(HostError, match="another etcd member"):
        delete_data(tree, found, seen)
    with pytest.raises(HostError, match="was written by another program"):
        tree.remove_if(f"/{MANIFESTS}/etcd.yaml", Stamp(0, 1, 2, 3))
