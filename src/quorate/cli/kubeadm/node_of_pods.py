"""The control-plane node on which a recovery works: what holds its pods, and the lock against other commands of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.completion import files

if TYPE_CHECKING:
    from quorate.deadline import Cancel
    from quorate.phases.recover.holding import HeldNode
    from quorate.report import Report, RunMessage


cri_socket_option = click.option(
    "--cri-socket",
    default="",
    metavar="SOCKET",
    shell_complete=files,
    help="Socket of the container runtime.  [default: that of this host]",
)


def held_node(root: Path, cri_socket: str, report: Report, cancel: Cancel) -> HeldNode:
    from quorate.cli.kubeadm.setup import the_runtime
    from quorate.deadline import SystemClock
    from quorate.host.kubelet import Kubelet
    from quorate.phases.recover.holding import HeldNode
    from quorate.tree import RealTree

    return HeldNode(RealTree(root), SystemClock(cancel), report, cri_socket or the_runtime(root), Kubelet.of(root))


@contextmanager
def while_changing(node: HeldNode, root: Path, command: str) -> Iterator[None]:
    """Lets no other command of this tool change the node during the block."""
    from quorate.host import node_lock
    from quorate.report import Event, Notice

    def shown(message: RunMessage) -> None:
        if isinstance(message, Event | Notice):
            node.report(message)

    with node_lock.changing_node(root, command, node.clock, shown):
        yield
