"""Cases of the stored output of real kubeadms, and contexts of phases for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conftest import ROOT

from quorate.config.defaults import Facts
from quorate.config.load import load, loads
from quorate.config.resolve import InitSetup, resolve_init
from quorate.phases.base.context import Context, HostFacts
from quorate.phases.node import certs, kubeconfigs, kubelet_files, static_pods
from quorate.report import PhaseReport, silent
from quorate.tree import RealTree, Tree

GOLDEN = ROOT / "tests" / "golden"
CASES = sorted(path.name for path in GOLDEN.glob("v1.*"))
CA_FOLDERS = ("/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
FACTS = Facts("cp1", "10.77.0.11", "unix:///var/run/containerd/containerd.sock", "v1.34.4", "abcdef.0123456789abcdef")
MINIMAL = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.77.0.11}
nodeRegistration: {name: cp1}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.34.4
encryptionAlgorithm: ECDSA-P256
"""


@dataclass(frozen=True)
class Case:
    """A folder of golden data."""

    folder: Path

    @property
    def setup(self) -> InitSetup:
        return resolve_init(load(self.folder / "config.yaml"), FACTS)

    @property
    def pki(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / "pki.json").read_text())
        return data


def setup_of(text: str = MINIMAL) -> InitSetup:
    return resolve_init(loads(text.encode(), "test.yaml"), FACTS)


def context_of(setup: InitSetup, tree: Tree | Path, report: PhaseReport = silent, now: datetime | None = None) -> Context:
    """On a host named vm that has Debian's folders of CA certificates."""
    assert setup.init.timeouts is not None
    return Context(
        setup.cluster,
        setup.init.node_registration,
        setup.init.local_api_endpoint,
        HostFacts("vm", CA_FOLDERS),
        RealTree(tree) if isinstance(tree, Path) else tree,
        now or datetime.now(UTC),
        setup.init.timeouts,
        setup.components,
        patches=setup.init.patches.directory if setup.init.patches else "",
        report=report,
    )


def everything(context: Context) -> None:
    """All files of a first node."""
    certs.ensure_all(context)
    kubeconfigs.ensure_all(context)
    static_pods.write_etcd(context)
    static_pods.write_control_plane()(context)
    kubelet_files.write_all(context)
