"""Holds the static pods of a control-plane node whose etcd is made anew: their manifests get names that the kubelet ignores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from quorate.deadline import DeadlineExceeded, SystemClock
from quorate.errors import HostError, QuorateError, Refused
from quorate.host.cri import CriError, Runtime
from quorate.host.kubelet import Kubelet
from quorate.phases.base.node_files import runtime_socket
from quorate.phases.node.static_pods import manifest_path, staged_path
from quorate.report import Notice, Report
from quorate.tree import Tree

_AGAIN = "run the same command again"
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
    """Lets the kubelet end these static pods, and waits until they have ended, also those that a killed run holds. Raises
    `HostError` where one does not end; what is held stays so."""
    for name in names:
        if node.tree.is_file(manifest_path(name)):
            node.say(f"Holding the static pod of {name}")
            hold_in(node.tree, name)
        elif not node.tree.is_file(staged_path(name)):
            continue
        _see_ended(node, name)


def _see_ended(node: HeldNode, name: str) -> None:
    try:
        with Runtime.connect(runtime_socket(node.tree, node.cri_socket), node.clock.cancel) as runtime:
            runtime.see_static_pod_gone(
                name,
                node.clock,
                kubelet_runs=node.kubelet.may_run(),
                advice="'crictl pods' shows it; see why it does not end, then run the same command again",
                refuse=lambda: _refuse_returned(node, name),
            )
    except (CriError, DeadlineExceeded) as error:
        raise HostError(
            f"the pod of {name} could not be ended: {error.what}",
            advice=error.own_advice or "start the container runtime, then run the same command again",
        ) from error


def _refuse_returned(node: HeldNode, name: str) -> None:
    if node.tree.is_file(manifest_path(name)):
        raise HostError(
            f"somebody has written {manifest_path(name)} meanwhile; the one of before is {staged_path(name)}",
            advice=f"see which of the two is right, and move the other one away; then {_AGAIN}",
        )


def hold_in(tree: Tree, name: str) -> None:
    """Gives a manifest that the kubelet runs a name that it ignores. Raises `HostError`, with nothing changed, where there is
    another file of that name."""
    _rename(tree, manifest_path(name), staged_path(name))


def give_back(tree: Tree, name: str) -> None:
    """Gives a held manifest its name back: the kubelet starts the pod. Raises as `hold_in`."""
    _rename(tree, staged_path(name), manifest_path(name))


def _rename(tree: Tree, path: str, new: str) -> None:
    seen = tree.stamp(path)
    if seen is None or tree.rename_new(path, new.rpartition("/")[2]):
        return
    if tree.read(path) != tree.read(new):
        # One of the two is somebody's work.
        raise HostError(
            f"{path} and {new} are both there, and differ",
            state="nothing was changed",
            advice=f"see which of the two is right, and move the other one away; then {_AGAIN}",
        )
    tree.remove_if(path, seen)


@contextmanager
def said_held(node: HeldNode, may_return: Callable[[], bool]) -> Iterator[None]:
    """Gives the held manifests back where the block ends in an error and `may_return`: nothing was done yet that they must not
    start on. Says else which are held."""
    try:
        yield
    except QuorateError as error:
        with node.clock.cancel.shielded():
            returned = _all_returned(node) if may_return() else False
        held = [staged_path(name) for name in HELD if node.tree.is_file(staged_path(name))]
        if returned:
            told = "the static pods have their manifests back"
        else:
            told = f"held, so that the kubelet starts nothing: {', '.join(held)}" if held else ""
        error.state = "; ".join(filter(None, [error.state, told]))
        raise


def _all_returned(node: HeldNode) -> bool:
    try:
        for name in HELD:
            give_back(node.tree, name)
    except HostError:
        return False
    return True
