"""What every phase is given: the cluster's configuration, this node's part in it, the files, the time, and somebody to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from quorate.config import types as v4
from quorate.config.versions import parse_version
from quorate.deadline import SystemClock
from quorate.host.kubelet import Kubelet
from quorate.phases.base.node_files import runtime_socket
from quorate.pki.keys import KeyPool
from quorate.pki.table import Node
from quorate.report import PhaseLine, PhaseReport, silent
from quorate.tree import Tree

CONFIG_FOLDER = "/etc/kubernetes"
MANIFESTS_FOLDER = f"{CONFIG_FOLDER}/manifests"
KUBELET_FOLDER = "/var/lib/kubelet"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What manifests and kubelet files depend on: the host's own name, the folders of CA certificates that it has, its proxy
    variables, and the resolv.conf of systemd-resolved where that runs."""

    hostname: str
    ca_folders: Sequence[str] = ()
    proxy_env: Mapping[str, str] = field(default_factory=dict[str, str])
    resolv_conf: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """`config_folder`: where kubeconfig files go. `control_plane`: whether this node is one. `dry_run`: nothing may be
    changed outside the tree."""

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

    @property
    def node(self) -> Node:
        return Node(self.registration.name, self.endpoint.advertise_address)

    @property
    def minor(self) -> int:
        return parse_version(self.cluster.kubernetes_version).minor

    def pki(self, name: str) -> str:
        """The path of a file below the certificates' folder."""
        return f"{self.cluster.certificates_dir}/{name}"

    @property
    def cri_socket(self) -> str:
        """Where the container runtime of this node is asked."""
        return runtime_socket(self.tree, self.registration.cri_socket)

    def say(self, phase: str, text: str, *more: str) -> None:
        self.report(PhaseLine(phase, text, more))
