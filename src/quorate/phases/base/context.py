"""The context of every phase: the cluster's configuration, this node's part of it, the files, the clock, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from quorate.config import types as v4
from quorate.config.versions import parse_version
from quorate.deadline import SystemClock
from quorate.foreign.paths import prefix
from quorate.host.kubelet import Kubelet
from quorate.phases.base.node_files import runtime_socket
from quorate.phases.base.this_node import HERE, ThisNode
from quorate.pki.keys import KeyPool
from quorate.pki.table import Node
from quorate.report import PhaseLine, PhaseReport, silent
from quorate.tree import Tree

CONFIG_FOLDER = "/etc/kubernetes"
MANIFESTS_FOLDER = f"{CONFIG_FOLDER}/manifests"
KUBELET_FOLDER = "/var/lib/kubelet"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The facts of a host that manifests and kubelet files depend on: its name, its folders of CA certificates, its proxy
    variables, and the resolv.conf of systemd-resolved where that runs."""

    hostname: str
    ca_folders: Sequence[str] = ()
    proxy_env: Mapping[str, str] = field(default_factory=dict[str, str])
    resolv_conf: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one run. `config_folder`: where kubeconfig files are written. `control_plane`: this node is one.
    `dry_run`: nothing outside the tree may be changed. `this_node`: makes the commands that errors advise for it."""

    cluster: v4.ClusterConfiguration
    registration: v4.NodeRegistration
    endpoint: v4.APIEndpoint
    host: HostFacts
    tree: Tree
    now: datetime
    timeouts: v4.Timeouts
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    patches: str = ""
    control_plane: bool = True
    dry_run: bool = False
    config_folder: str = CONFIG_FOLDER
    kubelet: Kubelet = field(default_factory=Kubelet)
    clock: SystemClock = field(default_factory=SystemClock)
    keys: KeyPool = field(default_factory=KeyPool)
    report: PhaseReport = silent
    this_node: ThisNode = HERE

    @property
    def node(self) -> Node:
        return Node(self.registration.name, self.endpoint.advertise_address)

    @property
    def minor(self) -> int:
        return parse_version(self.cluster.kubernetes_version).minor

    def pki(self, name: str) -> str:
        """Returns the path of a file below the certificates' folder."""
        return f"{prefix(self.cluster.certificates_dir)}/{name}"

    @property
    def cri_socket(self) -> str:
        """The endpoint of this node's container runtime."""
        return runtime_socket(self.tree, self.registration.cri_socket)

    def say(self, phase: str, text: str, *more: str) -> None:
        self.report(PhaseLine(phase, text, more))
