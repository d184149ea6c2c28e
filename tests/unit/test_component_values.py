"""KubeletConfiguration and KubeProxyConfiguration: types by minor, what is refused, what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.config.component_fields import children, fields_of
from quorate.config.component_values import given_values, zeroes
from quorate.config.components import KUBELET, PROXY, VERSIONS, kubelet_configuration
from quorate.config.defaults import default_cluster
from quorate.config.load import is_metadata, is_unknown_field, loads, noting
from quorate.config.printing import placeholders
from quorate.config.problems import InvalidConfig, Problems
from quorate.config.quantity import canonical
from quorate.config.resolve import resolve_any, resolve_init
from quorate.config.types import ClusterConfiguration
from quorate.config.versions import NEWEST, OLDEST
from quorate.foreign.documents import Mapping, read_nodes

FACTS = placeholders("v1.34.4", "cp1")
CLUSTER = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: VERSION\n---\n"


def read(text: str, kind: str = KUBELET, minor: int = 34) -> tuple[dict[str, Any], list[str]]:
    problems = Problems("f")
    (node,) = read_nodes(text.encode(), "f", problems.add)
    assert isinstance(node, Mapping)
    return given_values(node, kind, minor, problems), [f"{one.line} {one.path}: {one.text}" for one in problems.found]


def of(kind: str, body: str, version: str = "v1.34.4") -> bytes:
    head = CLUSTER.replace("VERSION", version)
    return f"{head}apiVersion: {VERSIONS[kind]}\nkind: {kind}\n{body}\n".encode()


NO_FIELD = "KubeletConfiguration has no such field in Kubernetes 1.34"
WRONG = {
    'maxPods: "110"': "maxPods: this must be a whole number: write it without quotes (110)",
    "maxPods: 1.5": "maxPods: this must be a whole number",
    "maxPods: 3000000000": "maxPods: this must be a whole number",
    "kubeReserved: {cpu: 1, memory: 256Mi}": 'kubeReserved.cpu: this must be a string: put it in quotes ("1")',
    'evictionHard: ["memory.available<100Mi"]': "evictionHard: this must be a mapping of names to values",
    "clusterDNS: 10.96.0.10": "clusterDNS: this must be a list",
    "clusterDNS: [10.96]": 'clusterDNS[0]: this must be a string: put it in quotes ("10.96")',
    'failSwapOn: "false"': "failSwapOn: this must be true or false: write it without quotes (false)",
    "failSwapOn: 0": "failSwapOn: this must be true or false",
    "streamingConnectionIdleTimeout: 5min": "streamingConnectionIdleTimeout: this must be a duration such as 4m0s",
    "syncFrequency: 60": "syncFrequency: this must be a duration such as 4m0s",
    "authentication: true": "authentication: this must be a mapping",
    "authentication: {x509: {clientCaFile: /x}}": f"authentication.x509.clientCaFile: {NO_FIELD}; did you mean clientCAFile?",
    "clusterDns: [10.96.0.10]": f"clusterDns: {NO_FIELD}; did you mean clusterDNS?",
    "memoryReservationPolicy: None": f"memoryReservationPolicy: {NO_FIELD}: it is there since 1.36",
    "featureGates: {A: yes please}": "featureGates.A: this must be true or false",
    "registerWithTaints: [{key: a, efect: NoSchedule}]": f"registerWithTaints[0].efect: {NO_FIELD}; did you mean effect?",
    "registerWithTaints: [{key: a, timeAdded: x}]": ""
    "registerWithTaints[0].timeAdded: this must be a time such as 2026-01-02T15:04:05Z",
    "reservedMemory: [{limits: {memory: much}}]": "reservedMemory[0].limits.memory: this must be a quantity such as 100Mi",
    "logging: {verbosity: -1}": "logging.verbosity: this must be a whole number of 0 or more",
    "logging: {flushFrequency: soon}": "logging.flushFrequency: this must be a duration such as 5s, or a number of nanoseconds",
    "registerWithTaints[]: 1": f"registerWithTaints[]: {NO_FIELD}; did you mean registerWithTaints?",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_field_is_named_with_line_and_path(text: str) -> None:
    with pytest.raises(InvalidConfig) as failed:
        resolve_any(loads(of(KUBELET, text), "f"), FACTS)
    assert [f"{one.path}: {one.text}" for one in failed.value.problems] == [WRONG[text]]
    assert failed.value.problems[0].line == 7


PROXY_WRONG = {
    'conntrack: {maxPerCore: "none"}': "conntrack.maxPerCore: this must be a whole number",
    "udpIdleTimeout: 250ms": "udpIdleTimeout: KubeProxyConfiguration has no such field in Kubernetes 1.34",
    "clientConnection: {qps: fast}": "clientConnection.qps: this must be a number",
    "nodePortAddresses: {a: b}": "nodePortAddresses: this must be a list",
}


@pytest.mark.parametrize("text", PROXY_WRONG)
def test_kube_proxys_too(text: str) -> None:
    with pytest.raises(InvalidConfig) as failed:
        resolve_any(loads(of(PROXY, text), "f"), FACTS)
    assert [f"{one.path}: {one.text}" for one in failed.value.problems] == [PROXY_WRONG[text]]


def test_a_field_is_there_or_not_by_the_version_of_the_cluster() -> None:
    body = "nftables: {masqueradeAll: true}"
    assert resolve_init(loads(of(PROXY, body, "v1.29.0"), "f"), FACTS).components[PROXY] == {
        "nftables": {"masqueradeAll": True}
    }
    with pytest.raises(InvalidConfig, match=r"it is there since 1\.29"):
        resolve_init(loads(of(PROXY, body, "v1.28.0"), "f"), FACTS)


@pytest.mark.parametrize(
    ("version", "minor"), [("v1.99.0", 37), ("v1.19.0", 27), ("'1.30'", 30), ("newest", 34), ("stable-1.35", 35)]
)
def test_a_version_that_is_none_hides_nothing(version: str, minor: int) -> None:
    """The rest is checked as of the closest, which is named."""
    text = of(KUBELET, "maxPod: 1\nhealthzPort: 2379", version)
    with pytest.raises(InvalidConfig) as failed:
        resolve_any(loads(text, "f"), FACTS)
    first, field, clash = failed.value.problems
    assert first.path == "kubernetesVersion" and first.text.endswith(f". Until then, the rest is checked as of 1.{minor}")
    assert field.text == f"KubeletConfiguration has no such field in Kubernetes 1.{minor}; did you mean maxPods?"
    assert "2379" in clash.text


def test_values_are_written_as_go_writes_them() -> None:
    found, problems = read(
        "syncFrequency: 90s\nimageMinimumGCAge: 0s\nclusterDomain: ''\nenableServer: false\nmaxPods: 0\ncpuCFSQuota: false\n"
        "nodeStatusMaxImages: 0\nkubeAPIQPS: null\nevictionHard: {}\nallowedUnsafeSysctls: []\n"
        "registerWithTaints: [{key: a}]\nlogging: {flushFrequency: 5000ms, options: {json: {infoBufferSize: 1024Ki}}}\n"
        "reservedMemory: [{limits: {memory: 0.5Gi}}]"
    )
    assert problems == []
    assert found == {
        "syncFrequency": "1m30s",
        # A pointer: false and 0 differ from none.
        "enableServer": False,
        "cpuCFSQuota": False,
        "nodeStatusMaxImages": 0,
        # Given, so that no default takes their place; left out of the file.
        "evictionHard": {},
        "allowedUnsafeSysctls": [],
        "registerWithTaints": [{"key": "a", "effect": ""}],
        "logging": {"flushFrequency": "5s", "options": {"json": {"infoBufferSize": "1Mi"}}},
        "reservedMemory": [{"numaNode": 0, "limits": {"memory": "512Mi"}}],
    }


def test_an_empty_list_that_was_given_is_neither_written_nor_replaced_by_a_default() -> None:
    given, _ = read("clusterDNS: []\nevictionHard: {}")
    found = kubelet_configuration(default_cluster(ClusterConfiguration(), FACTS), given, 34)
    assert not {"clusterDNS", "evictionHard"} & set(found)
    assert kubelet_configuration(default_cluster(ClusterConfiguration(), FACTS), None, 34)["clusterDNS"] == ["10.96.0.10"]


QUANTITIES = {
    "1024Ki": "1Mi",
    "0.5": "500m",
    "1000m": "1",
    "1.5Gi": "1536Mi",
    "512": "512",
    "1000": "1k",
    "1e3": "1e3",
    "1E3": "1E3",
    "1E": "1E",
    "0": "0",
    "0Ki": "0",
    "100Mi": "100Mi",
    "0.5Ki": "512",
    "1n": "1n",
    "0.1n": "1n",
    "-2k": "-2k",
    "+5": "+5",
}


@pytest.mark.parametrize("text", QUANTITIES)
def test_quantities(text: str) -> None:
    assert canonical(text) == QUANTITIES[text]


@pytest.mark.parametrize("text", ["", "lots", "1.2.3", "5KB", "1 Mi", "0x10", "1e", "1" * 200])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        canonical(text)


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=3), st.sampled_from(["", "k", "m", "Ki", "Gi"]))
def test_the_canonical_form_is_its_own_canonical_form(number: object, suffix: str) -> None:
    once = canonical(f"{number}{suffix}")
    assert canonical(once) == once


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("minor", range(OLDEST, NEWEST + 1))
def test_the_table_is_whole(kind: str, minor: int) -> None:
    """Each parent of a field is an object, and what Go writes of an empty document is read without a problem."""
    found = fields_of(kind, minor)
    for path in found:
        parent = path.rpartition(".")[0]
        while parent:
            assert found[parent.removesuffix("[]")].type.endswith("object"), path
            parent = parent.rpartition(".")[0]
    assert set(children(kind, minor, "")) == {path for path in found if "." not in path and "[" not in path}
    from quorate.config.render import to_yaml

    assert read(to_yaml(zeroes(kind, minor)), kind, minor)[1] == []


METADATA = b"""apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
metadata: {name: config}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
metadata: {name: config}
failSwapOn: false
"""


def test_metadata_of_generated_files_is_a_warning_in_use_and_an_error_of_validate() -> None:
    used = resolve_init(noting(loads(METADATA, "f"), is_metadata), FACTS)
    assert used.components[KUBELET] == {"failSwapOn": False}
    assert [note for note in used.notes if "metadata" in note] == [
        "f:3: metadata: ClusterConfiguration has no such field: ignored",
        "f:7: metadata: KubeletConfiguration has no such field: ignored",
    ]
    with pytest.raises(InvalidConfig) as failed:
        resolve_any(loads(METADATA, "f"), FACTS)
    assert [(one.path, one.code) for one in failed.value.problems] == [("metadata", "unknown-field")] * 2


def test_a_misspelt_field_stays_an_error_where_it_changes_meaning() -> None:
    wrong = METADATA.replace(b"failSwapOn", b"failSwapon")
    with pytest.raises(InvalidConfig, match="did you mean failSwapOn"):
        resolve_init(noting(loads(wrong, "f"), is_metadata), FACTS)


def test_fields_that_a_newer_tool_stored_in_the_cluster_are_notes() -> None:
    stored = b"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnewThing: {a: 1}\ndns: {shiny: 1}\n"
    found = resolve_init(noting(loads(stored, "ConfigMap"), is_unknown_field), FACTS)
    assert len([note for note in found.notes if "has no" in note or "no such field" in note]) == 2


@pytest.mark.parametrize("name", ["criSocket", "podSubnet", "bindPort"])
def test_a_value_is_normalised_and_that_is_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
        "nodeRegistration: {name: ' CP-1', criSocket: /run/x.sock}\n"
        "localAPIEndpoint: {advertiseAddress: 10.0.0.1, bindPort: 6443.0}\n---\n"
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
        "networking: {podSubnet: '10.244.0.0/16, fd00::/56', serviceSubnet: ' 10.96.0.0/16 ,fd01::/112'}\n"
    )
    found = resolve_init(loads(path.read_bytes(), "f"), FACTS)
    values = {
        "criSocket": (found.init.node_registration.cri_socket, "unix:///run/x.sock"),
        "podSubnet": (found.cluster.networking.pod_subnet, "10.244.0.0/16,fd00::/56"),
        "bindPort": (found.init.local_api_endpoint.bind_port, 6443),
    }
    assert values[name][0] == values[name][1]
    assert found.cluster.networking.service_subnet == "10.96.0.0/16,fd01::/112"
    assert found.init.node_registration.name == "cp-1"
