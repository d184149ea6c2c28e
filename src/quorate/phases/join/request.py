"""What a join is asked to do, before anything is known of the cluster; and the account of what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from quorate.config import types as v4
from quorate.config.defaults import Facts
from quorate.core.finding import Finding
from quorate.phases.base.context import Context
from quorate.phases.node import kubeconfigs

Mode: TypeAlias = Literal["whole", "without-etcd", "phase"]
"""whole: every phase, and the control plane's manifests wait for etcd; without-etcd: every phase but etcd-join; phase: one
phase, by its own command."""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """`context`: of this node, with an empty cluster of the kubelet's version where that of the cluster is not known yet."""

    context: Context
    config: v4.JoinConfiguration
    facts: Facts
    mode: Mode = "phase"
    keep_on_failure: bool = False

    @property
    def control_plane(self) -> bool:
        return self.config.control_plane is not None

    @property
    def admin(self) -> str:
        return kubeconfigs.path_of(self.context, "admin")


@dataclass(slots=True)
class JoinAccount:
    """What a join has done so far. `joined_etcd`: it made a member; `finished`: every phase of a whole join ran; `etcd_urls`:
    where the cluster's etcds were found."""

    findings: list[Finding] = field(default_factory=list[Finding])
    joined_etcd: bool = False
    finished: bool = False
    etcd_urls: tuple[str, ...] = ()
