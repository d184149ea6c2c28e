"""What several fields of a component's configuration, its feature gates, or the form of a text make it refuse."""

from __future__ import annotations

import json
import time

import pytest
from component_rows import KUBELET_ROWS, PROXY_ROWS

from quorate.config.component_gates import Gates, gates_of
from quorate.config.component_rules import refusals
from quorate.config.components import KUBELET, kubelet_configuration, proxy_configuration
from quorate.config.defaults import default_cluster
from quorate.config.load import loads
from quorate.config.problems import InvalidConfig
from quorate.config.resolve import resolve_any
from quorate.config.types import ClusterConfiguration
from quorate.config.versions import NEWEST, OLDEST
from unit.test_component_checks import FACTS, file, notes, problems


def paths(content: bytes) -> list[str]:
    try:
        resolve_any(loads(content, "f"), FACTS)
    except InvalidConfig as error:
        return [one.path for one in error.problems]
    return []


@pytest.mark.parametrize(("body", "refused"), KUBELET_ROWS)
def test_what_a_kubelet_refuses(body: str, refused: tuple[str, ...]) -> None:
    assert paths(file(kubelet=body)) == list(refused)


@pytest.mark.parametrize(("body", "refused"), PROXY_ROWS)
def test_what_kube_proxy_refuses(body: str, refused: tuple[str, ...]) -> None:
    assert paths(file(proxy=body)) == list(refused)


@pytest.mark.parametrize(
    ("kind", "body", "refusing", "taking"),
    [
        ("kubelet", "featureGates: {NodeSwap: false}", "v1.34.0", "v1.33.0"),
        ("kubelet", "featureGates: {ComponentSLIs: true}", "v1.35.0", "v1.34.0"),
        ("kubelet", "featureGates: {DefaultPodSysctls: true}", "v1.36.0", "v1.37.0"),
        ("kubelet", "memorySwap: {swapBehavior: LimitedSwap}", "v1.29.6", "v1.30.0"),
        ("kubelet", "imageMaximumGCAge: 3m", "v1.29.6", "v1.30.0"),
        ("kubelet", "imageMinimumGCAge: -1m", "v1.36.0", "v1.35.0"),
        ("kubelet", "runOnce: true", "v1.32.0", "v1.31.0"),
        ("kubelet", "enforceNodeAllocatable: [pods, pods]", "v1.31.0", "v1.30.0"),
        ("kubelet", "cgroupsPerQOS: false\nenforceNodeAllocatable: [none]", "v1.30.0", "v1.31.0"),
        ("kubelet", "crashLoopBackOff: {maxContainerRestartPeriod: 10s}", "v1.34.0", "v1.35.0"),
        ("kubelet", "memoryReservationPolicy: TieredReservation", "v1.36.0", "v1.37.0"),
        ("kubelet", "memoryThrottlingFactor: 0.8\nfeatureGates: {MemoryQoS: false}", "v1.37.0", "v1.36.0"),
        ("kubelet", "showHiddenMetricsForVersion: '1.33'", "v1.35.0", "v1.34.0"),
        ("kubelet", "logging: {flushFrequency: -1}", "v1.34.0", ""),
        ("kubelet", "logging: {flushFrequency: -1s}", "v1.35.0", ""),
        ("proxy", "mode: nftables", "v1.30.0", "v1.31.0"),
        ("proxy", "mode: ipvs\nfeatureGates: {KubeProxyIPVS: false}", "v1.37.0", ""),
        ("proxy", "nodePortAddresses: [primary, localhost]", "v1.36.0", "v1.37.0"),
        ("proxy", "nodePortAddresses: [primary]", "v1.30.0", "v1.31.0"),
        ("proxy", "clusterCIDR: nonsense\ndetectLocalMode: NodeCIDR", "v1.30.0", "v1.31.0"),
        ("proxy", "mode: ipvs\niptables: {syncPeriod: -1s}", "v1.30.0", "v1.31.0"),
        ("proxy", "portRange: 9-1", "v1.30.0", "v1.31.0"),
    ],
)
def test_a_rule_follows_the_minor(kind: str, body: str, refusing: str, taking: str) -> None:
    def of(version: str) -> bytes:
        return file(kubelet=body, version=version) if kind == "kubelet" else file(proxy=body, version=version)

    assert paths(of(refusing))
    assert not taking or paths(of(taking)) == []


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ("kubeReserved: {cpu: 500m, memory: 1Gi, ephemeral-storage: 1Gi, pid: '100'}", ""),
        ("kubeReserved: {cpus: 500m}", "kubeReserved.cpus"),
        ("systemReserved: {memory: -1Gi}", "systemReserved.memory"),
        ("systemReserved: {memory: 1 Gi}", "systemReserved.memory"),
        ("qosReserved: {memory: 50%}", ""),
        ("qosReserved: {memory: '50'}", "qosReserved.memory"),
        ("qosReserved: {cpu: 50%}", "qosReserved.cpu"),
        ("evictionHard: {memory.available: 5%, nodefs.available: 1Gi, pid.available: 0%}", ""),
        ("evictionHard: {memory.available: 101%}", "evictionHard.memory.available"),
        ("evictionHard: {memory.available: '0'}", "evictionHard.memory.available"),
        ("evictionHard: {memory.available: 5 %}", "evictionHard.memory.available"),
        ("evictionHard: {memory.available: much}", "evictionHard.memory.available"),
        ("evictionSoft: {memory.available: 5%}", "evictionSoft.memory.available"),
        ("evictionSoft: {memory.available: 5%}\nevictionSoftGracePeriod: {memory.available: 1m}", ""),
        ("evictionSoftGracePeriod: {memory.available: soon}", "evictionSoftGracePeriod.memory.available"),
        ("evictionMinimumReclaim: {memory.available: 0%}", "evictionMinimumReclaim.memory.available"),
        ("evictionMinimumReclaim: {memory.available: 0Mi}", ""),
        ("containerLogMaxSize: 10Mi", ""),
        ("containerLogMaxSize: big", "containerLogMaxSize"),
        ("tlsMinVersion: VersionTLS12\ntlsCipherSuites: [TLS_AES_128_GCM_SHA256]", ""),
        ("tlsMinVersion: '1.2'", "tlsMinVersion"),
        ("tlsCipherSuites: [TLS_AES_128_GCM_SHA256, TLS_NONE]", "tlsCipherSuites[1]"),
        ("authorization: {mode: RBAC}", "authorization.mode"),
        ("configMapAndSecretChangeDetectionStrategy: Poll", "configMapAndSecretChangeDetectionStrategy"),
    ],
)
def test_what_a_kubelet_reads_after_its_validation(body: str, refused: str) -> None:
    assert paths(file(kubelet=body)) == ([refused] if refused else [])


@pytest.mark.parametrize(
    ("name", "refused"), [("kernel.shmmax", 0), ("net/ipv4/ip_forward", 0), ("vm.swappiness", 1), ("A", 1)]
)
def test_a_sysctl_of_a_pod(name: str, refused: int) -> None:
    given = {"defaultPodSysctls": {name: "1"}, "featureGates": {"DefaultPodSysctls": True}}
    assert len(refusals(KUBELET, given, 37)) == refused
    assert refusals(KUBELET, {"defaultPodSysctls": {"net.x": "1"}}, 37)


def test_a_gate_is_named_with_its_line_and_its_minors() -> None:
    content = file(kubelet="featureGates:\n  KubeletTracing: true\n  NodeSwapp: true\n  DefaultPodSysctls: true")
    lines = content.decode().splitlines()
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(content, "f"), FACTS)
    mistyped, later = error.value.problems
    assert lines[mistyped.line - 1] == "  NodeSwapp: true"
    assert mistyped.text.endswith("have no such feature gate; did you mean NodeSwap?")
    assert later.text.endswith("it is there since 1.37")


def test_thousands_of_unknown_gates_cost_little() -> None:
    given = {f"SomeUnknownGate{number}": True for number in range(20_000)}
    began = time.process_time()
    assert len(list(Gates(34, given).refused())) == len(given)
    assert time.process_time() - began < 5


def test_the_line_of_a_key_with_dots_is_its_own() -> None:
    content = file(kubelet="evictionHard:\n  pid.available: 5%\n  memory.available: much")
    with pytest.raises(InvalidConfig) as error:
        resolve_any(loads(content, "f"), FACTS)
    (found,) = error.value.problems
    assert content.decode().splitlines()[found.line - 1] == "  memory.available: much"


def test_a_wrong_type_breaks_no_rule_besides() -> None:
    assert paths(file(kubelet="featureGates: {NodeSwap: 'yes'}")) == ["featureGates.NodeSwap"]
    assert paths(file(kubelet="registerWithTaints: [x]")) == ["registerWithTaints[0]"]
    assert paths(file(kubelet="kubeReserved: {cpu: [1]}")) == ["kubeReserved.cpu"]


def test_a_gate_needs_those_that_it_is_made_of() -> None:
    found = dict(Gates(35, {"ClusterTrustBundleProjection": True}).refused())
    assert found == {
        "ClusterTrustBundleProjection": "ClusterTrustBundleProjection is on, and needs ClusterTrustBundle, which is off"
    }
    assert not list(Gates(35, {"ClusterTrustBundleProjection": True, "ClusterTrustBundle": True}).refused())
    assert not list(Gates(34, {"ClusterTrustBundleProjection": True}).refused())


@pytest.mark.parametrize("minor", range(OLDEST, NEWEST + 1))
def test_the_defaults_of_a_minor_are_taken(minor: int) -> None:
    assert len(gates_of(minor)) > 100
    defaults = {name: gate.is_on for name, gate in gates_of(minor).items()}
    assert not list(Gates(minor, {}).refused())
    assert not list(Gates(minor, defaults).refused())


@pytest.mark.parametrize("minor", range(OLDEST, NEWEST + 1))
def test_what_is_written_by_default_is_taken(minor: int) -> None:
    """Zeroes and defaults, as kubeadm stores them and people bring them back."""
    cluster = default_cluster(ClusterConfiguration(), FACTS)
    stored = [kubelet_configuration(cluster, None, minor), proxy_configuration(cluster, None, minor)]
    documents = "\n---\n".join(json.dumps(one) for one in stored)
    assert paths(f"{file(version=f'v1.{minor}.0').decode()}\n---\n{documents}".encode()) == []


def test_a_whole_stage_switches_its_gates() -> None:
    assert not Gates(34, {}).is_on("CustomCPUCFSQuotaPeriod")
    assert Gates(34, {"AllAlpha": True}).is_on("CustomCPUCFSQuotaPeriod")
    assert not Gates(34, {"AllAlpha": True, "CustomCPUCFSQuotaPeriod": False}).is_on("CustomCPUCFSQuotaPeriod")
    assert notes(file(kubelet="featureGates: {AllAlpha: true}\ncpuCFSQuotaPeriod: 10ms")) == []
    assert problems(file(kubelet="cpuCFSQuotaPeriod: 10ms"))
