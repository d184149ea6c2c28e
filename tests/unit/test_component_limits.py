"""Values of the right type that a component refuses at its start, and what starts but is not what was meant."""

from __future__ import annotations

import pytest

from quorate.config.component_fields import minors_of
from quorate.config.component_limits import KEYS, LIMITS
from unit.test_component_checks import arg, args, file, notes, problems


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("kubelet", "maxPods: -1", "maxPods: -1 is too small: 0 or more"),
        ("kubelet", "containerLogMaxFiles: 1", "containerLogMaxFiles: 1 is too small: 2 or more"),
        ("kubelet", "imageGCHighThresholdPercent: 101", "imageGCHighThresholdPercent: 101 is not in 0 to 100"),
        ("kubelet", "healthzPort: 65536", "healthzPort: 65536 is not in 0 to 65535"),
        (
            "kubelet",
            "cpuCFSQuotaPeriod: 2s\nfeatureGates: {CustomCPUCFSQuotaPeriod: true}",
            "cpuCFSQuotaPeriod: 2s is not in 1ms to 1s",
        ),
        ("kubelet", "memoryThrottlingFactor: 0", "memoryThrottlingFactor: 0 is not in"),
        ("kubelet", "memoryThrottlingFactor: 1.5", "memoryThrottlingFactor: 1.5 is not in"),
        ("kubelet", "topologyManagerPolicy: besteffort", "topologyManagerPolicy: 'besteffort' is none of none, best-effort"),
        ("kubelet", "memorySwap: {swapBehavior: limitedswap}", "memorySwap.swapBehavior: 'limitedswap' is none of NoSwap"),
        ("kubelet", "enforceNodeAllocatable: [pods, pod]", "enforceNodeAllocatable[1]: 'pod' is none of pods"),
        ("kubelet", "logging: {format: yaml}", "logging.format: 'yaml' is none of text, json"),
        (
            "kubelet",
            "evictionHard: {nodefs.avail: 5%}",
            "evictionHard.nodefs.avail: 'nodefs.avail' is none of memory.available, nodefs.available, nodefs.inodesFree, ",
        ),
        ("proxy", "mode: ipvss", "mode: 'ipvss' is none of iptables, ipvs, nftables; did you mean ipvs?"),
        ("proxy", "detectLocalMode: clusterCIDR", "detectLocalMode: 'clusterCIDR' is none of"),
        ("proxy", "oomScoreAdj: -2000", "oomScoreAdj: -2000 is not in -1000 to 1000"),
        ("proxy", "conntrack: {min: -1}", "conntrack.min: -1 is too small: 0 or more"),
    ],
)
def test_a_value_that_a_component_refuses(kind: str, body: str, said: str) -> None:
    given = file(kubelet=body) if kind == "kubelet" else file(proxy=body)
    (found,) = problems(given)
    assert found.startswith(said)
    assert found.endswith("did you mean nodefs.available?") or not body.startswith("eviction")


@pytest.mark.parametrize(
    "body",
    [
        "maxPods: 0\nnodeLeaseDurationSeconds: 0\nport: 0\nreadOnlyPort: 0\noomScoreAdj: -1000\nnodeStatusMaxImages: -1",
        "topologyManagerPolicy: ''\nhairpinMode: none\ncpuManagerPolicy: static\nmemoryManagerPolicy: Static\nmaxOpenFiles: 9",
        "evictionHard: {pid.available: 10%, containerfs.available: 5%}\nevictionSoftGracePeriod: {memory.available: 1m}",
        "cpuCFSQuotaPeriod: 1ms\nfeatureGates: {CustomCPUCFSQuotaPeriod: true}",
        "memoryThrottlingFactor: 1\ncontainerLogMonitorInterval: 3s\ncontainerLogMaxFiles: 2",
    ],
)
def test_a_value_that_a_component_takes(body: str) -> None:
    assert notes(file(kubelet=body)) == []


@pytest.mark.parametrize(
    ("kind", "body", "refusing", "taking"),
    [
        ("kubelet", "containerLogMaxFiles: 1", "v1.33.0", "v1.32.0"),
        ("kubelet", "memorySwap: {swapBehavior: UnlimitedSwap}\nfeatureGates: {NodeSwap: true}", "v1.30.0", "v1.29.6"),
        ("kubelet", "evictionHard: {containerfs.available: 5%}", "v1.28.0", "v1.29.6"),
        ("kubelet", "enforceNodeAllocatable: [kube-reserved-compressible]\nkubeReservedCgroup: /k", "v1.31.0", "v1.32.0"),
        ("proxy", "mode: nftables", "v1.28.0", "v1.31.0"),
    ],
)
def test_what_a_component_refuses_depends_on_its_minor(kind: str, body: str, refusing: str, taking: str) -> None:
    def of(version: str) -> bytes:
        return file(kubelet=body, version=version) if kind == "kubelet" else file(proxy=body, version=version)

    assert len(problems(of(refusing))) == 1
    notes(of(taking))


def test_every_limit_is_of_a_field_that_there_is() -> None:
    for kind, rows in {**LIMITS, **{kind: {**LIMITS[kind], **keys} for kind, keys in KEYS.items()}}.items():
        assert [path for path in rows if minors_of(kind, path.removesuffix("[]")) is None] == []


def test_a_word_that_the_kubelet_takes_for_another_is_a_doubt() -> None:
    (note,) = notes(file(kubelet="cgroupDriver: systemdd"))
    assert note.endswith(
        "cgroupDriver: 'systemdd' is none of systemd and cgroupfs: the kubelet takes any other word for cgroupfs"
    )
    assert notes(file(kubelet="cgroupDriver: cgroupfs")) == []


@pytest.mark.parametrize(
    ("networking", "said"),
    [
        (
            "{podSubnet: 10.244.0.1/16}",
            "networking.podSubnet: 10.244.0.1/16 is an address in 10.244.0.0/16: write 10.244.0.0/16",
        ),
        ("{serviceSubnet: 10.96.0.9/16}", "networking.serviceSubnet: 10.96.0.9/16 is an address in 10.96.0.0/16"),
        (
            "{podSubnet: 10.96.0.0/16}",
            "networking.podSubnet: 10.96.0.0/16 and the services' 10.96.0.0/12 have addresses in common",
        ),
        ("{serviceSubnet: 10.1.0.0/16, podSubnet: 10.0.0.0/8}", "have addresses in common"),
    ],
)
def test_subnets_that_kubeadm_lets_pass_are_doubted(networking: str, said: str) -> None:
    allocation = args("controllerManager", arg("allocate-node-cidrs", "false"))
    (note,) = notes(file(cluster=f"networking: {networking}\n{allocation}"))
    assert said in note


def test_subnets_of_two_families_or_side_by_side_are_not_doubted() -> None:
    both = "networking: {serviceSubnet: '10.96.0.0/16,fd00::/112', podSubnet: '10.97.0.0/16,fd01::/48'}"
    assert notes(file("localAPIEndpoint: {advertiseAddress: 10.9.9.9}", both)) == []
