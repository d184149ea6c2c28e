"""A link that leads nowhere is neither a file that is there nor one that is not: its disk may not be mounted."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubeadm_cases import context_of, everything, setup_of

from quorate.errors import HostError
from quorate.foreign.inside import LeadsNowhere
from quorate.phases.node import certs, renewal
from quorate.phases.node.local_etcd import local_etcd
from quorate.phases.node.own_etcd import own_etcd
from quorate.tree import RealTree

FOLDERS = ("/etc", "/etc/kubernetes", "/etc/kubernetes/manifests")


def moved_away(root: Path, folder: str, target: str) -> Path:
    """A root whose `folder` is a link to where its content was before its disk went away."""
    place = root / folder.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(root / "away")
    place.symlink_to(target)
    return place


@pytest.mark.parametrize("target", ["/disk/x", "../disk", "/disk"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_whether_an_etcd_runs_here_is_not_known(tmp_path: Path, folder: str, target: str) -> None:
    """A reset once took it for "no etcd": it wiped the node, and its member stayed in the list."""
    moved_away(tmp_path, folder, target)
    tree = RealTree(tmp_path)
    for ask in (
        lambda: local_etcd(tree),
        lambda: own_etcd(tree),
        lambda: tree.read("/etc/kubernetes/manifests/etcd.yaml"),
        lambda: tree.names("/etc/kubernetes/manifests"),
        lambda: tree.is_file("/etc/kubernetes/manifests/etcd.yaml"),
        lambda: tree.mode("/etc/kubernetes/manifests/etcd.yaml"),
        lambda: tree.at("/etc/kubernetes/manifests/etcd.yaml"),
        lambda: tree.remove("/etc/kubernetes/manifests/etcd.yaml"),
        lambda: tree.take("/etc/kubernetes/manifests", lambda _: True),
    ):
        with pytest.raises(LeadsNowhere, match=f"{folder} leads to {target}, where nothing is"):
            ask()


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_no_folder_holds_no_answer(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")
    for ask in (local_etcd, own_etcd):
        with pytest.raises(HostError, match="Not a directory"):
            ask(RealTree(tmp_path))


def test_a_link_behind_which_the_name_alone_is_missing_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    moved_away(tmp_path, "/etc/kubernetes/manifests", "/disk")
    tree = RealTree(tmp_path)
    assert local_etcd(tree) is None and own_etcd(tree) is None
    assert tree.names("/etc/kubernetes/manifests") == []
    tree.write("/etc/kubernetes/manifests/below/etcd.yaml", b"x", mode=0o600)
    assert (tmp_path / "disk/below/etcd.yaml").read_bytes() == b"x"


def test_nothing_is_made_where_a_link_leads_to(tmp_path: Path) -> None:
    """A second CA was made on the root's own disk, and everything was renewed under it."""
    context = context_of(setup_of(), tmp_path)
    everything(context)
    moved_away(tmp_path, "/etc/kubernetes/pki", "/disk/pki")
    for act in (certs.ensure_all, renewal.renew_all):
        with pytest.raises(HostError, match="/etc/kubernetes/pki leads to /disk/pki, where nothing is"):
            act(context)
    with pytest.raises(LeadsNowhere):
        context.tree.write("/etc/kubernetes/pki/ca.crt", b"", mode=0o600)
    with pytest.raises(LeadsNowhere):
        context.tree.folder("/etc/kubernetes/pki/etcd", mode=0o755)
    assert not (tmp_path / "disk").exists()


def test_a_link_at_the_name_itself_is_replaced_by_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to("/nowhere")
    RealTree(tmp_path).write("/file", b"x", mode=0o600)
    assert not (tmp_path / "file").is_symlink()
