"""quorate: bootstrap and grow Kubernetes control planes and etcd clusters without putting the quorum at risk.

The names below are the public library; importing the package imports none of them until they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.deadline import Cancel
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.connect import connect
    from quorate.report import Event, Notice

__version__ = "0.1.0"

_HOMES = {
    "Cancel": "quorate.deadline",
    "Cluster": "quorate.etcd.cluster",
    "Event": "quorate.report",
    "Notice": "quorate.report",
    "connect": "quorate.etcd.connect",
}
__all__ = ["Cancel", "Cluster", "Event", "Notice", "__version__", "connect"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: `quorate --version` must not pay for gRPC."""
    if name not in _HOMES:
        raise AttributeError(f"module 'quorate' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
