"""quorate: bootstrap and grow Kubernetes control planes and etcd clusters without putting the quorum at risk.

The names below are the public library. Each is imported when it is first used, not with the package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.core.absence import Absence
    from quorate.core.decide_converge import ConvergeGoal, NextStep, Wanted
    from quorate.core.finding import Finding
    from quorate.core.membership import ClusterView, Member, MemberStatus, NoResponse
    from quorate.deadline import Cancel
    from quorate.errors import (
        ConfigError,
        HostError,
        Interrupted,
        JoinFailed,
        OutcomeUnknown,
        PartlyDone,
        PreflightFailed,
        QuorateError,
        Refused,
    )
    from quorate.etcd.client.endpoint import Endpoint
    from quorate.etcd.client.errors import EtcdError
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.connect import connect
    from quorate.etcd.coordination.pending_joins import HeldLock, PendingJoin
    from quorate.etcd.membership.join_state import JoinPolicy, JoinResult
    from quorate.etcd.membership.runtime import JoinSpec, Runtime
    from quorate.etcd.observation.detail import Detail
    from quorate.etcd.observation.health import Health
    from quorate.etcd.observation.write_probe import WriteProbe
    from quorate.report import Event, Notice

__version__ = "0.2.0"

_HOMES = {
    "Absence": "quorate.core.absence",
    "MemberStatus": "quorate.core.membership",
    "Cancel": "quorate.deadline",
    "Cluster": "quorate.etcd.cluster",
    "ClusterView": "quorate.core.membership",
    "ConfigError": "quorate.errors",
    "ConvergeGoal": "quorate.core.decide_converge",
    "Detail": "quorate.etcd.observation.detail",
    "Endpoint": "quorate.etcd.client.endpoint",
    "EtcdError": "quorate.etcd.client.errors",
    "Event": "quorate.report",
    "Finding": "quorate.core.finding",
    "Health": "quorate.etcd.observation.health",
    "HeldLock": "quorate.etcd.coordination.pending_joins",
    "HostError": "quorate.errors",
    "Interrupted": "quorate.errors",
    "JoinFailed": "quorate.errors",
    "JoinPolicy": "quorate.etcd.membership.join_state",
    "JoinResult": "quorate.etcd.membership.join_state",
    "JoinSpec": "quorate.etcd.membership.runtime",
    "PendingJoin": "quorate.etcd.coordination.pending_joins",
    "Member": "quorate.core.membership",
    "NextStep": "quorate.core.decide_converge",
    "Notice": "quorate.report",
    "OutcomeUnknown": "quorate.errors",
    "PartlyDone": "quorate.errors",
    "PreflightFailed": "quorate.errors",
    "QuorateError": "quorate.errors",
    "Refused": "quorate.errors",
    "Runtime": "quorate.etcd.membership.runtime",
    "NoResponse": "quorate.core.membership",
    "Wanted": "quorate.core.decide_converge",
    "WriteProbe": "quorate.etcd.observation.write_probe",
    "connect": "quorate.etcd.connect",
}
__all__ = [
    "Absence",
    "Cancel",
    "Cluster",
    "ClusterView",
    "ConfigError",
    "ConvergeGoal",
    "Detail",
    "Endpoint",
    "EtcdError",
    "Event",
    "Finding",
    "Health",
    "HeldLock",
    "HostError",
    "Interrupted",
    "JoinFailed",
    "JoinPolicy",
    "JoinResult",
    "JoinSpec",
    "Member",
    "MemberStatus",
    "NextStep",
    "NoResponse",
    "Notice",
    "OutcomeUnknown",
    "PartlyDone",
    "PendingJoin",
    "PreflightFailed",
    "QuorateError",
    "Refused",
    "Runtime",
    "Wanted",
    "WriteProbe",
    "__version__",
    "connect",
]


def __getattr__(name: str) -> object:
    """Imports a public name when it is first used: `quorate --version` must not pay for gRPC."""
    if name not in _HOMES:
        raise AttributeError(f"module 'quorate' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
