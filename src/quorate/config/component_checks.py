"""What kubeadm lets pass and the components then refuse, or what can be right for one node only.

A component that ends at its start is found after minutes, by the logs of a container that is gone. All of this can be read off
the configuration. What a component refuses for certain is a problem; what depends on the cluster is a note.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from quorate.config import component_flags, flag_values, rules
from quorate.config import types as v4
from quorate.config.component_ports import clashes
from quorate.config.components import KUBELET, PROXY
from quorate.config.findings import Finding
from quorate.config.versions import parse_version
from quorate.foreign.addresses import read_address, without_leading_zeros
from quorate.foreign.urls import parts_of

_INIT, _CLUSTER = "InitConfiguration", "ClusterConfiguration"
_OF_ONE_NODE = {
    "apiServer": ("advertise-address", "peer-advertise-ip"),
    "etcd.local": ("name", "initial-cluster", "initial-cluster-state", "initial-advertise-peer-urls", "advertise-client-urls"),
}
_ADDRESSES = ("bind-address", "listen-client-urls", "listen-peer-urls", "listen-metrics-urls")
"""Flags whose value is for all nodes when it is a loopback or an unspecified address, and else for one."""
_NAMES_OF_ONE_NODE = ((KUBELET, "providerID"), (PROXY, "hostnameOverride"))
_ADDRESS_FIELDS = (
    (KUBELET, "address"),
    (KUBELET, "healthzBindAddress"),
    (PROXY, "bindAddress"),
    (PROXY, "healthzBindAddress"),
    (PROXY, "metricsBindAddress"),
)
_DRIVERS = ("systemd", "cgroupfs")
_FAMILY = {4: "IPv4", 6: "IPv6"}


class Arguments(Struct, frozen=True):
    """The extra arguments of one component. `minor`: of Kubernetes or of etcd; None when it is not known."""

    component: str
    kind: str
    path: str
    given: Sequence[v4.Arg]
    minor: int | None


def check_components(
    init: v4.InitConfiguration,
    cluster: v4.ClusterConfiguration,
    configurations: Mapping[str, Mapping[str, Any]],
    etcd_version: tuple[int, int, int] | None,
) -> list[Finding]:
    """Returns what the components of a control-plane node would refuse, and notes. `init.local_api_endpoint`: without an
    address, what depends on it is not judged. `configurations`: what KubeletConfiguration and KubeProxyConfiguration set.
    `etcd_version`: of the image; None when its tag is no version."""
    arguments = _arguments(init, cluster, component_flags.etcd_minor(etcd_version))
    return [
        *(finding for one in arguments for finding in _flags(one)),
        *(finding for one in arguments if one.kind == _CLUSTER for finding in _of_one_node(one)),
        *_fields_of_one_node(configurations),
        *_taken_for_another(configurations),
        *_families(init, cluster),
        *clashes(init, cluster, configurations),
    ]


def kubelet_flags(registration: v4.NodeRegistration, kind: str, minor: int) -> list[Finding]:
    """Returns what is wrong with the extra arguments of a node's kubelet."""
    return list(_flags(_kubelet(registration, kind, minor)))


def _kubelet(registration: v4.NodeRegistration, kind: str, minor: int) -> Arguments:
    return Arguments("kubelet", kind, "nodeRegistration.kubeletExtraArgs", registration.kubelet_extra_args, minor)


def _arguments(init: v4.InitConfiguration, cluster: v4.ClusterConfiguration, etcd_minor: int | None) -> list[Arguments]:
    minor = parse_version(cluster.kubernetes_version).minor
    local = cluster.etcd.local.extra_args if cluster.etcd.local else ()
    return [
        Arguments("kube-apiserver", _CLUSTER, "apiServer", cluster.api_server.extra_args, minor),
        Arguments("kube-controller-manager", _CLUSTER, "controllerManager", cluster.controller_manager.extra_args, minor),
        Arguments("kube-scheduler", _CLUSTER, "scheduler", cluster.scheduler.extra_args, minor),
        Arguments(component_flags.ETCD, _CLUSTER, "etcd.local", local, etcd_minor),
        _kubelet(init.node_registration, _INIT, minor),
    ]


def _rows(arguments: Arguments) -> Iterator[tuple[str, v4.Arg]]:
    base = arguments.path if arguments.kind != _CLUSTER else f"{arguments.path}.extraArgs"
    return ((f"{base}[{number}]", arg) for number, arg in enumerate(arguments.given) if arg.name)


def _flags(arguments: Arguments) -> Iterator[Finding]:
    for path, arg in _rows(arguments):
        if arguments.minor is not None and (why := component_flags.gone(arguments.component, arguments.minor, arg.name)):
            yield Finding(arguments.kind, f"{path}.name", why)
            continue
        if doubt := component_flags.unknown(arguments.component, arg.name):
            yield Finding(arguments.kind, f"{path}.name", doubt, is_note=True)
        minor = None if arguments.component == component_flags.ETCD else arguments.minor
        for why in flag_values.refused(arguments.component, minor, arg.name, arg.value):
            yield Finding(arguments.kind, f"{path}.value", why)


def _of_one_node(arguments: Arguments) -> Iterator[Finding]:
    for path, arg in _rows(arguments):
        name = component_flags.written(arg.name)
        if name in _OF_ONE_NODE.get(arguments.path, ()) or (name in _ADDRESSES and _names_one_node(arg.value)):
            yield Finding(arguments.kind, path, f"--{name} gives all nodes the value of one: {_FOR_ALL}", is_note=True)


_FOR_ALL = "the next control-plane node cannot start with it. A patch (patches.directory) changes one node only"


def _fields_of_one_node(configurations: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    found = [(kind, field) for kind, field in _NAMES_OF_ONE_NODE if configurations.get(kind, {}).get(field)]
    for kind, field in _ADDRESS_FIELDS:
        value = configurations.get(kind, {}).get(field)
        if isinstance(value, str) and _names_one_node(value):
            found.append((kind, field))
    for kind, field in found:
        yield Finding(kind, field, f"{kind} is the same on all nodes, and this is the value of one", is_note=True)


def _taken_for_another(configurations: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    driver = configurations.get(KUBELET, {}).get("cgroupDriver") or _DRIVERS[0]
    if driver not in _DRIVERS:
        # No version refuses it: pods then fail, with a runtime that uses systemd and does not tell the kubelet so.
        text = f"{driver!r} is none of {' and '.join(_DRIVERS)}: the kubelet takes any other word for {_DRIVERS[1]}"
        yield Finding(KUBELET, "cgroupDriver", text, is_note=True)


def _names_one_node(text: str) -> bool:
    """Returns whether an address, HOST:PORT or a list of URLs holds an address that only one node can have."""
    return any(_is_of_one(_host(part.strip())) for part in text.split(",") if part.strip())


def _host(text: str) -> str:
    if "://" in text:
        return parts_of(text).host
    return text if rules.is_address(text) else rules.split_endpoint(text)[0]


def _is_of_one(host: str) -> bool:
    address = read_address(host)
    return address is not None and not (address.is_loopback or address.is_unspecified)


def _families(init: v4.InitConfiguration, cluster: v4.ClusterConfiguration) -> Iterator[Finding]:
    flags = {component_flags.written(arg.name): arg.value for arg in cluster.api_server.extra_args}
    services = _networks(flags.get("service-cluster-ip-range", cluster.networking.service_subnet))
    pods = _networks(cluster.networking.pod_subnet)
    address = flags.get("advertise-address", init.local_api_endpoint.advertise_address)
    # Without an endpoint in the Service "kubernetes" the families need not match.
    has_endpoint = flags.get("endpoint-reconciler-type") != "none"
    read = read_address(address)
    if services and has_endpoint and read is not None and read.version != services[0].version:
        # "service IP family must match public address family": kube-apiserver ends with it.
        yield Finding(
            _INIT,
            "localAPIEndpoint.advertiseAddress",
            f"{address} is an address of {_FAMILY[read.version]}, and the first service subnet is of "
            f"{_FAMILY[services[0].version]}: kube-apiserver refuses that",
        )
    yield from _overlaps(services, pods)
    yield from _host_bits("networking.serviceSubnet", cluster.networking.service_subnet)
    yield from _host_bits("networking.podSubnet", cluster.networking.pod_subnet)
    without = [network for network in services if pods and network.version not in {one.version for one in pods}]
    for network in without:
        yield Finding(
            _CLUSTER,
            "networking.podSubnet",
            f"there is no subnet of {_FAMILY[network.version]}, as there is for services: those will have no pods",
            is_note=True,
        )


def _overlaps(services: list[rules.Network], pods: list[rules.Network]) -> Iterator[Finding]:
    for pod in pods:
        for service in (one for one in services if one.version == pod.version and one.overlaps(pod)):
            text = f"{pod} and the services' {service} have addresses in common: those of pods may then be a service's"
            yield Finding(_CLUSTER, "networking.podSubnet", text, is_note=True)


def _host_bits(path: str, text: str) -> Iterator[Finding]:
    for part, network in zip(text.split(","), _networks(text), strict=False):
        written = part.partition("/")[0].strip()
        if written.lower() != (plain := without_leading_zeros(written)).lower():
            # Other programs read a number that begins with 0 as octal.
            yield Finding(_CLUSTER, path, f"{part.strip()} has a number that begins with 0: write {network}", is_note=True)
        if ipaddress.ip_address(plain) != network.network_address:
            yield Finding(_CLUSTER, path, f"{part.strip()} is an address in {network}: write {network}", is_note=True)


def _networks(text: str) -> list[rules.Network]:
    try:
        return rules.networks(text) if text else []
    except ValueError:
        # That it is wrong is reported already.
        return []
