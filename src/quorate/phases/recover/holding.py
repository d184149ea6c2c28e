"""Holds the static pods of a control-plane node whose etcd is made anew: their manifests get names that the kubelet ignores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from quorate.deadline import DeadlineExceeded, SystemClock
from quorate.errors import HostError, QuorateError, Refused
from quorate.host.cri import CriError, Runtime
from quorate.host.kubelet import Kubelet
from quorate.phases.base.node_files import runtime_socket
from quorate.phases.node.static_pods import MANIFEST_MODE, manifest_path, staged_path
from quorate.report import Notice, Report
from quorate.tree import Tree

HELD = ("etcd", "kube-apiserver")
"""The API server crashes without its etcd, and would come back with the delay that its crashes have earned it."""


@dataclass(frozen=True, slots=True)
class HeldNode:
    """A node whose pods are held. `cri_socket`: of its container runtime, as on the node."""

    tree: Tree
    clock: SystemClock
    report: Report
    cri_socket: str
    kubelet: Kubelet

    def say(self, text: str) -> None:
        self.report(Notice(text))


def refuse_without_kubelet(node: HeldNode) -> None:
    """Raises `Refused` where the kubelet does not run: what was made would wait for it, held."""
    if not node.kubelet.may_run():
        raise Refused(
            "the kubelet of this node does not run: it starts etcd on what is made",
            state="nothing was changed",
            advice="systemctl start kubelet; then run the same command again",
        )


def restart_kubelet(node: HeldNode) -> None:
    """Restarts the kubelet, so that it knows nothing of the pods that were held. One that was started without an API server
    unmounts no volume until it has read its node from one: a static pod that ends never ends for it, and another one of its
    name is never started. Raises `HostError`."""
    if node.kubelet.managed:
        node.say("Restarting the kubelet")
        node.kubelet.start()


def hold(node: HeldNode, names: Sequence[str]) -> None:
    """Lets the kubelet end these static pods, and waits until they have ended. Where one does not, those that this run holds
    get their manifests back; raises `HostError`."""
    held: list[str] = []
    for name in names:
        if node.tree.is_file(manifest_path(name)):
            held.append(name)
            _hold(node, name, held)


def _hold(node: HeldNode, name: str, held: Sequence[str]) -> None:
    node.say(f"Holding the static pod of {name}")
    hold_in(node.tree, name)
    try:
        with Runtime.connect(runtime_socket(node.tree, node.cri_socket), node.clock.cancel) as runtime:
            runtime.see_static_pod_gone(
                name,
                node.clock,
                kubelet_runs=node.kubelet.may_run(),
                advice="'crictl pods' shows it; see why it does not end, then run the same command again",
                refuse=lambda: _refuse_returned(node, name),
            )
    except (CriError, DeadlineExceeded, HostError) as error:
        why = HostError(
            f"the pod of {name} could not be ended: {error.what}",
            state="its manifest is in its place again; nothing was recovered",
            advice=error.own_advice or "start the container runtime, then run the same command again",
        )
        for one in held:
            try:
                give_back(node.tree, one)
            except HostError as second:
                why.state = f"{second.what}; nothing was recovered"
        raise why from error


def _refuse_returned(node: HeldNode, name: str) -> None:
    if node.tree.is_file(manifest_path(name)):
        raise HostError(f"somebody has written {manifest_path(name)} meanwhile")


def hold_in(tree: Tree, name: str) -> None:
    """Holds a manifest that the kubelet runs. Killed in between, both are there, and are the same. Raises `HostError`, with
    nothing changed, where both are there and differ: one of the two is somebody's work."""
    seen = tree.stamp(manifest_path(name))
    content = tree.read(manifest_path(name))
    if seen is None or content is None:
        return
    if not _is_twin(tree, staged_path(name), content, manifest_path(name)):
        tree.create(staged_path(name), content, mode=MANIFEST_MODE)
    tree.remove_if(manifest_path(name), seen)


def give_back(tree: Tree, name: str) -> None:
    """Gives a held manifest its name back: the kubelet starts the pod. Raises as `hold_in`."""
    seen = tree.stamp(staged_path(name))
    content = tree.read(staged_path(name))
    if seen is None or content is None:
        return
    if not _is_twin(tree, manifest_path(name), content, staged_path(name)):
        tree.create(manifest_path(name), content, mode=MANIFEST_MODE)
    tree.remove_if(staged_path(name), seen)


def _is_twin(tree: Tree, path: str, content: bytes, beside: str) -> bool:
    """Returns whether the manifest under its other name is there, too. Raises `HostError` where it is another one."""
    there = tree.read(path)
    if there is not None and there != content:
        raise HostError(
            f"{path} and {beside} are both there, and differ",
            state="nothing was changed",
            advice="see which of the two is right, and move the other one away; then run the same command again",
        )
    return there is not None


@contextmanager
def said_held() -> Iterator[None]:
    """Says of an error in the block that the static pods are held."""
    try:
        yield
    except QuorateError as error:
        held = " and ".join(staged_path(name) for name in HELD)
        error.state = "; ".join(filter(None, [error.state, f"the manifests are held as {held}: the kubelet ignores them"]))
        raise
