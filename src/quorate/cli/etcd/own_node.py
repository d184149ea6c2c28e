"""The cluster of a command that names none: on a control-plane node it is the one of the node's own etcd."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.errors import ConfigError, QuorateError
from quorate.tree import RealTree

if TYPE_CHECKING:
    from quorate.phases.node.own_etcd import OwnEtcd

ROOT = Path("/")
"""The files of this host."""


def find(rootfs: str) -> OwnEtcd | None:
    """Returns how the etcd of the node at `rootfs` (empty: this one) is reached; None where it runs none. Raises `ConfigError`
    when that is not known, and for a --rootfs without an etcd: nothing else may be asked instead."""
    from quorate.phases.node.own_etcd import MANIFEST, own_etcd

    try:
        found = own_etcd(RealTree(Path(rootfs).absolute() if rootfs else ROOT))
    except QuorateError as error:
        who = "" if os.geteuid() == 0 else "run this as root, or "
        raise ConfigError(
            f"this node's etcd cannot be asked: {error.what}",
            state="nothing was sent",
            advice=f"{who}name a cluster with --endpoints, --cacert, --cert and --key",
        ) from error
    if found is None and rootfs:
        raise ConfigError(f"--rootfs: there is no {MANIFEST} below {rootfs}", state="nothing was sent")
    return found
