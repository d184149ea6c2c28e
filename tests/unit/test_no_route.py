"""A host without a default route has no address by itself: only what needs one asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.config.defaults import Facts
from quorate.config.load import load
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import resolve_any, resolve_first, resolve_init, resolve_join

FACTS = Facts("cp1", "", "unix:///run/x.sock", "v1.34.4", "abcdef.0123456789abcdef")
CLUSTER = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.34.4\n"
JOIN = (
    "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n"
    "    token: abcdef.0123456789abcdef\n    apiServerEndpoint: 10.0.0.1:6443\n    unsafeSkipCAVerification: true\n"
)


def test_a_host_without_a_default_route(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    assert resolve_any(load(path), FACTS) == ()
    assert resolve_init(load(path), FACTS).cluster.kubernetes_version == "v1.34.4"
    with pytest.raises(InvalidConfig, match="this host has no default route"):
        resolve_first(load(path), FACTS)
    path.write_text(
        f"{CLUSTER}---\nkind: InitConfiguration\n{CLUSTER.splitlines()[0]}\nlocalAPIEndpoint: {{advertiseAddress: 10.0.0.5}}\n"
    )
    assert resolve_first(load(path), FACTS).init.local_api_endpoint.advertise_address == "10.0.0.5"


def test_a_worker_joins_without_one(tmp_path: Path) -> None:
    path = tmp_path / "join.yaml"
    path.write_text(JOIN)
    assert resolve_join(load(path), FACTS)[0].control_plane is None
    path.write_text(f"{JOIN}controlPlane: {{}}\n")
    with pytest.raises(InvalidConfig, match=r"controlPlane\.localAPIEndpoint\.advertiseAddress: this host has no"):
        resolve_join(load(path), FACTS)


def test_empty_documents_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(f"# a comment\n---\n---\n{CLUSTER}---\n# the end\n")
    assert resolve_init(load(path), FACTS).cluster.kubernetes_version == "v1.34.4"
