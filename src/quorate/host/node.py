"""Gathers the facts about a node that the preflight checks use. Reads only."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.resolve import resolve
from quorate.host import programs
from quorate.host.facts import kubelet_version

_SYSTEMCTL_SECONDS = 10.0
_PROGRAMS = (
    "conntrack",
    "cp",
    "crictl",
    "ebtables",
    "ethtool",
    "ip",
    "iptables",
    "losetup",
    "mount",
    "nsenter",
    "socat",
    "tc",
    "touch",
)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Facts about a node. `memory_mb`: in units of 2^20 bytes. `programs`: the required ones found on PATH. `busy_ports`: the
    requested ones that are in use. `cri`: what is wrong with the container runtime, empty when it works. `services`: state by
    unit, as systemctl prints it; empty where there is no systemd."""

    uid: int
    cpus: int
    memory_mb: int
    kernel: str
    system: str
    cgroup_v2: bool
    swap: bool
    programs: frozenset[str]
    busy_ports: frozenset[int]
    kubelet_version: str
    name_resolves: bool
    cri: str
    forwarding: dict[str, str] = field(default_factory=dict[str, str])
    services: dict[str, str] = field(default_factory=dict[str, str])
    proxies: dict[str, str] = field(default_factory=dict[str, str])


def gather(*, ports: Iterable[int], node_name: str, cri_socket: str, proxies: dict[str, str]) -> NodeFacts:
    """Returns all facts that `preflight.node` checks."""
    return NodeFacts(
        uid=os.geteuid(),
        cpus=os.cpu_count() or 1,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        kernel=platform.release(),
        system=platform.system(),
        cgroup_v2=Path("/sys/fs/cgroup/cgroup.controllers").exists(),
        swap=_has_swap(),
        programs=frozenset(name for name in _PROGRAMS if shutil.which(name)),
        busy_ports=frozenset(port for port in ports if not _can_listen(port)),
        kubelet_version=kubelet_version(),
        name_resolves=_resolves(node_name),
        cri=_runtime(cri_socket),
        forwarding={path: _first_line(path) for path in FORWARDING},
        services={unit: state for unit in ("kubelet", "firewalld") if (state := _service(unit))},
        proxies=proxies,
    )


IPV4_FORWARD, IPV6_FORWARD = "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/default/forwarding"
BRIDGE, BRIDGE6 = "/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables"
FORWARDING = (IPV4_FORWARD, IPV6_FORWARD, BRIDGE, BRIDGE6)


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _has_swap() -> bool:
    try:
        return len(Path("/proc/swaps").read_text().splitlines()) > 1
    except OSError:
        return False


def _can_listen(port: int) -> bool:
    """Listens on every address of both families, where the host has both: the components will do the same."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    try:
        with socket.create_server(("", port), family=family, dualstack_ipv6=family == socket.AF_INET6):
            return True
    except OSError:
        return False


def _resolves(name: str) -> bool:
    return bool(resolve(name, 0))


def _runtime(cri_socket: str) -> str:
    from quorate.host.cri import CriError, Runtime

    try:
        with Runtime.connect(cri_socket) as runtime:
            return "; ".join(runtime.unready())
    except CriError as error:
        return error.what


def _service(unit: str) -> str:
    systemctl = shutil.which("systemctl")
    if systemctl is None or not Path("/run/systemd/system").is_dir():
        return ""
    asked = [systemctl, "show", f"{unit}.service", "--property=LoadState,UnitFileState,ActiveState", "--value"]
    try:
        return " ".join(programs.run(asked, seconds=_SYSTEMCTL_SECONDS).out.split())
    except HostError:
        return ""
