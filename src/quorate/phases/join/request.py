"""The request of a join, before the cluster is known, and the account of what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from quorate.config import types as v4
from quorate.config.defaults import Facts
from quorate.core.finding import Finding
from quorate.phases.base.context import Context
from quorate.phases.node import kubeconfigs

Mode: TypeAlias = Literal["whole", "without-etcd", "phase"]
"""whole: every phase, and the control plane's manifests are held back until etcd serves; without-etcd: every phase but
etcd-join; phase: one phase, by its own command."""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A join as requested. `context`: of this node; until the cluster is known, with an empty one of the kubelet's version.
    `ends_as`: "standby" keeps the node's etcd as a learner and its components held back, until the autopilot needs them."""

    context: Context
    config: v4.JoinConfiguration
    facts: Facts
    mode: Mode = "phase"
    keep_on_failure: bool = False
    ends_as: Literal["voter", "standby"] = "voter"

    @property
    def control_plane(self) -> bool:
        return self.config.control_plane is not None

    @property
    def is_standby(self) -> bool:
        return self.ends_as == "standby"

    @property
    def admin(self) -> str:
        return kubeconfigs.path_of(self.context, "admin")


@dataclass(slots=True)
class JoinAccount:
    """The account of what a join has done so far. `joined_etcd`: it added an etcd member; `finished`: every phase of a whole
    join ran; `etcd_urls`: client URLs of the cluster's etcd members."""

    findings: list[Finding] = field(default_factory=list[Finding])
    joined_etcd: bool = False
    finished: bool = False
    etcd_urls: tuple[str, ...] = ()
