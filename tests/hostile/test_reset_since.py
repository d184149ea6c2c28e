"""What comes into the folders that a reset empties after it has looked: it stays, is named, and ends the reset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pods import Pods, serving

from hostile.test_reset import Node, as_root, node
from quorate.errors import HostError
from quorate.foreign import content
from quorate.host.kubelet import Kubelet
from quorate.phases.reset import cleanup, mounts
from quorate.phases.reset.state import ResetRun
from quorate.tree import RealTree

__all__ = ["node"]

MANIFESTS, PKI, KUBELET = "etc/kubernetes/manifests", "etc/kubernetes/pki", "var/lib/kubelet"
POD = "{kind: Pod, spec: {containers: [{command: [kube-vip]}]}}"
CAME = [f"{MANIFESTS}/kube-vip.yaml", f"{PKI}/backup/ca.key", f"{PKI}/etcd/old-ca.key"]


def looked(node: Node) -> ResetRun:
    """Returns a reset that has looked at a node with a static pod of its own and certificates."""
    for path in (f"{MANIFESTS}/kube-scheduler.yaml", f"{PKI}/ca.crt", f"{PKI}/etcd/ca.crt", f"{KUBELET}/config.yaml"):
        node.write(path, POD if "manifests" in path else "kind: x")
    run = node.reset()
    run.look()
    return run


@pytest.mark.parametrize("path", CAME)
def test_what_comes_after_the_look_stays_and_ends_the_reset(node: Node, path: str) -> None:
    """Deleted without a word: the manifest of kube-vip, and a copy of a CA's key that was just made."""
    run = looked(node)
    came = node.write(path, "precious")
    with pytest.raises(HostError, match=f"/{path}.* came since this run looked") as error:
        cleanup.clean_up(run)
    assert came.read_text() == "precious" and "move away what is to be kept" in error.value.advice
    assert (node.root / PKI / "ca.crt").exists(), "nothing was deleted yet"
    came.rename(node.root / "kept")
    cleanup.clean_up(node.reset())
    assert list((node.root / PKI).iterdir()) == list((node.root / MANIFESTS).iterdir()) == []


@pytest.mark.parametrize("path", CAME)
def test_what_comes_between_the_last_look_and_the_deletion_stays(
    node: Node, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looked(node)
    real = RealTree.take

    def taken(tree: RealTree, folder: str, is_meant: Callable[[Path], bool], **keep: object) -> bool:
        if f"/{path}".startswith(folder):
            node.write(path, "precious")
        return real(tree, folder, is_meant, **keep)  # type: ignore[arg-type]

    monkeypatch.setattr(RealTree, "take", taken)
    with pytest.raises(HostError, match=f"/{path}.* came since this run looked"):
        cleanup.clean_up(run)
    assert (node.root / path).read_text() == "precious"


def test_what_an_earlier_run_took_away_did_not_come_since(node: Node) -> None:
    node.write(f"{PKI}/.quorate-taken/front-proxy-ca.crt")
    run = looked(node)
    run.refuse_changed()
    cleanup.clean_up(run)
    assert list((node.root / PKI).iterdir()) == []


def test_what_the_kubelet_makes_until_it_is_stopped_is_no_obstacle_and_what_comes_then_is(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looked(node)
    systemctl = tmp_path / "systemctl"
    state = node.root / KUBELET / "cpu_manager_state"
    systemctl.write_text(f'#!/bin/sh\n[ "$2" = is-active ] && exit 3\necho "$2" > {state}\n')
    systemctl.chmod(0o755)
    run.kubelet = Kubelet(str(systemctl))
    real = RealTree.take

    def taken(tree: RealTree, folder: str, is_meant: Callable[[Path], bool], **keep: object) -> bool:
        if folder == f"/{KUBELET}":
            node.write(f"{KUBELET}/pods/live/volumes/x", "precious")
        return real(tree, folder, is_meant, **keep)  # type: ignore[arg-type]

    monkeypatch.setattr(RealTree, "take", taken)
    with serving(node.root / "run/containerd/containerd.sock", Pods()), pytest.raises(HostError) as error:
        cleanup.clean_up(run)
    assert f"/{KUBELET}/pods" in error.value.what and state.read_text() == "stop\n"
    assert (node.root / KUBELET / "pods/live/volumes/x").read_text() == "precious"
    monkeypatch.undo()
    with serving(node.root / "run/containerd/containerd.sock", Pods()):
        again = node.reset()
        again.kubelet = run.kubelet
        cleanup.clean_up(again)
    assert list((node.root / KUBELET).iterdir()) == []


@as_root
def test_only_mounts_that_were_seen_are_unmounted(node: Node) -> None:
    """The kubelet of a node that was joined again had mounted the volume of a live pod: it was unmounted under the pod."""
    place = f"{KUBELET}/pods/uid/volumes/nfs/v"
    node.mount(place)
    run = node.reset()
    seen = mounts.volumes(run)
    assert [one.place for one in seen] == [node.root / place]
    live = [node.mount(f"{KUBELET}/pods/live/volumes/nfs/v"), node.mount(place)]
    mounts.unmount(run, seen)
    assert len(mounts.volumes(run)) == 3, "at its place there is another one now"
    mounts.unmount(run, mounts.volumes(run))
    assert not any(path.is_mount() for path in live)


@as_root
def test_a_mount_is_not_entered(node: Node) -> None:
    node.write("folder/a")
    node.mount("folder/share")
    assert [name for name, _ in content.content_of(node.root / "folder")] == ["a"]
