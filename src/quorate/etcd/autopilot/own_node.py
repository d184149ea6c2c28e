"""The control-plane node on which an instance of the autopilot runs: what is held back there is started when its etcd has its
vote, and a node that is out of the cluster says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.deadline import Clock
from quorate.errors import QuorateError
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.coordination.autopilot_store import AutopilotStore
from quorate.report import Notice, Report

STACKED_SECONDS = 60.0
"""For how long it counts which of the two kinds of control plane the cluster has."""
_PREPARED_SECONDS = 10.0


def is_stacked(setup: bytes | None) -> bool:
    """Returns whether each voter serves the API server of its own node. `setup`: what the cluster stores of its configuration.
    Where that cannot be understood, as when it is encrypted, it is taken for a stacked one: then nothing is replaced that
    would leave a node without an API server."""
    if setup is None:
        return False
    # It is a text inside of another encoding, and found by its lines.
    lines = iter(setup.splitlines())
    next((line for line in lines if line.startswith(b"etcd:")), None)
    inside = takewhile(lambda line: line.startswith((b" ", b"\t")), lines)
    return not any(line.strip().startswith(b"external:") for line in inside)


class Identity(Protocol):
    """Whose data is on a node."""

    @property
    def member_id(self) -> int: ...

    @property
    def cluster_id(self) -> int: ...


class ControlPlaneNode(Protocol):
    """The node of this instance."""

    def member(self) -> Identity | None:
        """Returns the member whose data is here; None where there is none, or it cannot be told. Raises `QuorateError`."""
        ...

    def is_waiting(self) -> bool:
        """Returns whether components are held back."""
        ...

    def release(self) -> Sequence[str]:
        """Starts what may be started now; returns the names of it. Raises `QuorateError`."""
        ...


@dataclass(slots=True)
class OwnNode:
    """`out`: what a node does whose member has been removed, in words."""

    node: ControlPlaneNode
    clock: Clock
    report: Report
    out: str
    _said: str = ""
    _prepared_at: float | None = None

    def attend(self, view: ClusterView, store: AutopilotStore) -> None:
        """Does what the list that was read asks of this node. Raises `EtcdError`."""
        try:
            self._attend(view, store)
        except EtcdError:
            raise
        except QuorateError as error:
            self._say(f"this node's control plane cannot be started: {error.what}")

    def _attend(self, view: ClusterView, store: AutopilotStore) -> None:
        own = self.node.member()
        if own is None:
            return
        if own.cluster_id != view.cluster_id:
            self._say(
                f"this node's etcd is of cluster {format_id(own.cluster_id)}, and this one is watched: nothing is started here"
            )
            return
        listed = view.by_id(own.member_id)
        if listed is None:
            self._say(f"this node's etcd member {format_id(own.member_id)} was removed from the cluster: {self.out}")
        elif listed.is_learner:
            self._stay_prepared(own.member_id, store)
        elif self.node.is_waiting() and (names := self.node.release()):
            self.report(Notice(f"this node's etcd is a voter: started {', '.join(names)}"))

    def _stay_prepared(self, member_id: int, store: AutopilotStore) -> None:
        now = self.clock.now()
        is_due = self._prepared_at is None or now - self._prepared_at >= _PREPARED_SECONDS
        if is_due and self.node.is_waiting():
            store.say_prepared(member_id)
            self._prepared_at = now

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.report(Notice(text, "warning"))
