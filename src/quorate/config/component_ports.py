"""The ports of a control-plane node, and which of them are taken twice by a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from msgspec import Struct

from quorate.config import rules
from quorate.config import types as v4
from quorate.config.components import HEALTHZ_PORT, KUBELET, PROXY
from quorate.config.defaults import BIND_PORT
from quorate.config.findings import Finding
from quorate.foreign.numbers import whole
from quorate.foreign.urls import parts_of

_INIT, _CLUSTER = "InitConfiguration", "ClusterConfiguration"
_ALL, _ALL_OF_IPV4 = frozenset({"", "::"}), "0.0.0.0"  # noqa: S104
_HERE = "127.0.0.1"
_KUBELET_ARGS = "nodeRegistration.kubeletExtraArgs"


class _Listener(Struct, frozen=True):
    """A port that is listened at. `path`: where the file sets it; empty where nothing does."""

    owner: str
    host: str
    port: int
    kind: str = ""
    path: str = ""


def clashes(
    init: v4.InitConfiguration, cluster: v4.ClusterConfiguration, configurations: Mapping[str, Mapping[str, Any]]
) -> list[Finding]:
    """Returns a problem for each two listeners of a node that need the same port of the same address."""
    listeners = [
        *_apiserver(init, cluster),
        *_secured("kube-controller-manager", 10257, "controllerManager", cluster.controller_manager.extra_args),
        *_secured("kube-scheduler", 10259, "scheduler", cluster.scheduler.extra_args),
        *_etcd(init, cluster),
        *_kubelet(init.node_registration.kubelet_extra_args, configurations.get(KUBELET, {})),
        *(_proxy(configurations.get(PROXY, {})) if _has_proxy(init, cluster) else ()),
    ]
    found: list[Finding] = []
    for one, other in combinations(listeners, 2):
        if one.port == other.port != 0 and one.owner != other.owner and _meet(one.host, other.host):
            named, rest = (one, other) if one.path else (other, one)
            found.append(Finding(named.kind, named.path, f"port {one.port} is that of {named.owner} and of {rest.owner}"))
    # etcd listens for clients at two addresses.
    return list(dict.fromkeys(found))


def _has_proxy(init: v4.InitConfiguration, cluster: v4.ClusterConfiguration) -> bool:
    return not cluster.proxy.disabled and not {"addon", "addon/kube-proxy"} & set(init.skip_phases)


def _meet(one: str, other: str) -> bool:
    """Returns whether both listen at one address. Go listens on both families for :: and for no address at all."""
    if one == other or {one, other} & _ALL:
        return True
    return any(host == _ALL_OF_IPV4 and ":" not in beside for host, beside in ((one, other), (other, one)))


def _last(args: Sequence[v4.Arg], name: str) -> tuple[int, str] | None:
    """Returns the place and the value of the last argument of a name, which is the one that counts."""
    found = [(number, arg.value) for number, arg in enumerate(args) if arg.name.replace("_", "-") == name]
    return found[-1] if found else None


def _number(text: str) -> int:
    return whole(text, 99999) or 0


def _apiserver(init: v4.InitConfiguration, cluster: v4.ClusterConfiguration) -> Iterator[_Listener]:
    args = cluster.api_server.extra_args
    bound, port = _last(args, "bind-address"), _last(args, "secure-port")
    host = bound[1] if bound else ""
    if port is None:
        number = init.local_api_endpoint.bind_port
        path = "localAPIEndpoint.bindPort" if number != BIND_PORT else ""
        yield _Listener("kube-apiserver", host, number, _INIT, path)
    else:
        yield _Listener("kube-apiserver", host, _number(port[1]), _CLUSTER, f"apiServer.extraArgs[{port[0]}]")


def _secured(owner: str, usual: int, path: str, args: Sequence[v4.Arg]) -> Iterator[_Listener]:
    bound, port = _last(args, "bind-address"), _last(args, "secure-port")
    host = bound[1] if bound else _HERE
    if port is None:
        yield _Listener(owner, host, usual)
    else:
        yield _Listener(owner, host, _number(port[1]), _CLUSTER, f"{path}.extraArgs[{port[0]}]")


def _etcd(init: v4.InitConfiguration, cluster: v4.ClusterConfiguration) -> Iterator[_Listener]:
    if cluster.etcd.local is None:
        return
    # Without an address it is still one that a wildcard meets.
    address = init.local_api_endpoint.advertise_address or "this node"
    for flag, owner, hosts, usual in (
        ("listen-client-urls", "etcd for clients", (_HERE, address), 2379),
        ("listen-peer-urls", "etcd for peers", (address,), 2380),
        ("listen-metrics-urls", "the metrics of etcd", (_HERE,), 2381),
    ):
        given = _last(cluster.etcd.local.extra_args, flag)
        if given is None:
            yield from (_Listener(owner, host, usual) for host in hosts)
            continue
        for text in given[1].split(","):
            parts = parts_of(text.strip())
            yield _Listener(owner, parts.host, parts.port or 0, _CLUSTER, f"etcd.local.extraArgs[{given[0]}]")


def _kubelet(args: Sequence[v4.Arg], given: Mapping[str, Any]) -> Iterator[_Listener]:
    for flag, field, owner, host_field, host, usual in (
        ("port", "port", "the kubelet", "address", "", 10250),
        ("healthz-port", "healthzPort", "the health of the kubelet", "healthzBindAddress", _HERE, HEALTHZ_PORT),
        ("read-only-port", "readOnlyPort", "the read-only port of the kubelet", "address", "", 0),
    ):
        by_flag, by_field = _last(args, flag), given.get(field)
        where = str(given.get(host_field) or host)
        if by_flag is not None:
            yield _Listener(owner, where, _number(by_flag[1]), _INIT, f"{_KUBELET_ARGS}[{by_flag[0]}]")
        elif isinstance(by_field, int) and by_field != usual:
            yield _Listener(owner, where, by_field, KUBELET, field)
        else:
            yield _Listener(owner, where, usual)


def _proxy(given: Mapping[str, Any]) -> Iterator[_Listener]:
    for field, owner, usual in (
        ("healthzBindAddress", "the health of kube-proxy", "0.0.0.0:10256"),
        ("metricsBindAddress", "the metrics of kube-proxy", "127.0.0.1:10249"),
    ):
        text = given.get(field)
        host, port = rules.split_endpoint(text if isinstance(text, str) and text else usual)
        # An address alone has the usual port.
        number = _number(port) if port else _number(usual.rpartition(":")[2])
        yield _Listener(owner, host, number, PROXY, field) if text else _Listener(owner, host, number)
