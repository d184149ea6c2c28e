"""A control-plane node that is a standby: its etcd is a learner, and its components are held back until that is a voter
(decision 28).

An API server asks the etcd of its own node only, and a learner serves it nothing: started before, it would only crash.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quorate.deadline import SystemClock
from quorate.errors import QuorateError
from quorate.host.etcd_identity import UNREADABLE, DataIdentity, member_owner
from quorate.phases.base import api_access
from quorate.phases.base.context import CONFIG_FOLDER
from quorate.phases.base.node_files import real_path
from quorate.phases.base.this_node import HERE, ThisNode
from quorate.phases.node import static_pods
from quorate.phases.node.local_etcd import local_etcd
from quorate.phases.start import staged_start
from quorate.phases.start.wait_healthy import API_SERVER
from quorate.tree import Tree

_ADMIN, _CLIENT = f"{CONFIG_FOLDER}/admin.conf", f"{CONFIG_FOLDER}/controller-manager.conf"
"""admin.conf may read the controller manager's role; the other one names the API server that it will ask."""
_LONGEST_WAIT = 120.0
"""Seconds after the API server was started; then the others are started without an answer of it, as kubeadm does."""


@dataclass(slots=True)
class StandbyNode:
    """The node whose files are below `tree`."""

    tree: Tree
    clock: SystemClock
    this_node: ThisNode = HERE
    _since: float | None = field(default=None)

    def member(self) -> DataIdentity | None:
        """Returns whose etcd data is on this node; None where there is none, or it cannot be told. Raises `QuorateError`."""
        etcd = local_etcd(self.tree)
        owner = member_owner(real_path(self.tree, etcd.data_dir)) if etcd is not None and etcd.data_dir else None
        return owner if owner != UNREADABLE else None

    def is_waiting(self) -> bool:
        """Returns whether a component is held back."""
        return any(self.tree.is_file(static_pods.staged_path(name)) for name in (API_SERVER, *staged_start.NAMES))

    def release(self) -> tuple[str, ...]:
        """Starts what may be started now that this node's etcd is a voter; returns the names of it. The API server comes first:
        the others are its clients. To be called again while something is held back."""
        if self.tree.is_file(static_pods.staged_path(API_SERVER)):
            static_pods.publish_in(self.tree, (API_SERVER,))
            self._since = self.clock.now()
            return (API_SERVER,)
        # An earlier run may have started it.
        self._since = self._since if self._since is not None else self.clock.now()
        if not self._is_let_in() and self.clock.now() - self._since < _LONGEST_WAIT:
            return ()
        static_pods.publish_in(self.tree, staged_start.NAMES)
        return staged_start.NAMES

    def _is_let_in(self) -> bool:
        try:
            admin, client = (api_access.read(self.tree, path, self.this_node) for path in (_ADMIN, _CLIENT))
            return staged_start.lets_in(api_access.server_of(admin, client.server), self.clock)
        except QuorateError:
            return False
