"""kubeadm's preflight checks of a node, by their names: facts and configuration in, findings out.

The set of checks differs between versions; the tables here follow kubeadm 1.29 to 1.37.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from quorate.config import types as v4
from quorate.config.rules import Network, networks
from quorate.config.versions import NEWEST, parse_version
from quorate.core.finding import Finding, errors_of
from quorate.errors import ConfigError, PreflightFailed
from quorate.host.node import BRIDGE, BRIDGE6, IPV4_FORWARD, IPV6_FORWARD, NodeFacts

LEAST_CPUS, LEAST_MEMORY_MB = 2, 1700
KUBELET_PORT, CONTROLLER_PORT, SCHEDULER_PORT, ETCD_PORTS = 10250, 10257, 10259, (2379, 2380)
_KUBELET_SKEW = 3
_SWAP_IS_NO_ERROR_SINCE, _BRIDGE_UNTIL, _CGROUP_V1_ERROR_SINCE = 28, 30, 35
_PROGRAMS = (
    ("conntrack", "error", 0, 31),
    ("crictl", "error", 0, 30),
    ("crictl", "warning", 31, 31),
    ("ip", "error", 0, 33),
    ("iptables", "error", 0, 33),
    ("mount", "error", 0, 99),
    ("nsenter", "error", 0, 33),
    ("ebtables", "warning", 0, 31),
    ("ethtool", "warning", 0, 33),
    ("socat", "warning", 0, 31),
    ("tc", "warning", 0, 33),
    ("touch", "warning", 0, 33),
    ("losetup", "error", 34, 99),
    ("cp", "error", 34, 99),
)
"""Program, level, and the first and last minor version that requires it."""


@dataclass(frozen=True, slots=True)
class NodeCase:
    """The node under check. `has`: returns whether a path exists (for folders: with something in it)."""

    facts: NodeFacts
    cluster: v4.ClusterConfiguration
    node_name: str
    address: str
    bind_port: int
    has: Callable[[str], bool]

    @property
    def minor(self) -> int:
        return parse_version(self.cluster.kubernetes_version).minor


Check = Callable[[NodeCase], Iterator[Finding]]


def check_privileges(case: NodeCase) -> Iterator[Finding]:
    if case.facts.uid != 0:
        yield _error("IsPrivilegedUser", "this must be run as root: use sudo")


def check_size(case: NodeCase) -> Iterator[Finding]:
    if case.facts.cpus < LEAST_CPUS:
        yield _error("NumCPU", f"there are {case.facts.cpus} CPUs: a control plane needs {LEAST_CPUS}")
    if case.facts.memory_mb < LEAST_MEMORY_MB:
        yield _error("Mem", f"there are {case.facts.memory_mb} MB of memory: a control plane needs {LEAST_MEMORY_MB}")


def check_firewall(case: NodeCase) -> Iterator[Finding]:
    if case.facts.services.get("firewalld", "").endswith("active") and "inactive" not in case.facts.services["firewalld"]:
        yield _warning("Firewalld", f"firewalld is active: ports {case.bind_port} and {KUBELET_PORT} must be open")


def check_control_plane_ports(case: NodeCase) -> Iterator[Finding]:
    yield from _ports(case, (case.bind_port, SCHEDULER_PORT, CONTROLLER_PORT))


def check_kubelet_port(case: NodeCase) -> Iterator[Finding]:
    yield from _ports(case, (KUBELET_PORT,))


def _ports(case: NodeCase, ports: tuple[int, ...]) -> Iterator[Finding]:
    for port in ports:
        if port in case.facts.busy_ports:
            yield _error(f"Port-{port}", f"port {port} is in use")


def check_manifests(case: NodeCase) -> Iterator[Finding]:
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"):
        yield from _absent(case, f"/etc/kubernetes/manifests/{name}.yaml")


def check_kubelet_files(case: NodeCase) -> Iterator[Finding]:
    """Yields an error when a host that joins is a node already."""
    yield from _absent(case, "/etc/kubernetes/kubelet.conf")
    yield from _absent(case, "/etc/kubernetes/bootstrap-kubelet.conf")


def check_ca_file(case: NodeCase) -> Iterator[Finding]:
    """Yields an error when a worker has a CA already: it gets the CA from the cluster."""
    yield from _absent(case, "/etc/kubernetes/pki/ca.crt")


def _absent(case: NodeCase, path: str) -> Iterator[Finding]:
    if case.has(path):
        yield _error(f"FileAvailable-{path.replace('/', '-')}", f"{path} already exists")


def check_proxies(case: NodeCase) -> Iterator[Finding]:
    """Yields warnings for traffic within the cluster that would go through the host's proxy."""
    if not any(name.lower() == "https_proxy" for name in case.facts.proxies):
        return
    if not _is_excepted(case.address, case.facts.proxies):
        yield _warning("HTTPProxy", f"connections to https://{case.address} use the proxy of the environment: set no_proxy")
    for network in [*_networks(case.cluster.networking.service_subnet), *_networks(case.cluster.networking.pod_subnet)]:
        if not _is_excepted(str(network.network_address + 1), case.facts.proxies):
            yield _warning("HTTPProxyCIDR", f"connections to {network} use the proxy of the environment: set no_proxy")


def _networks(text: str) -> list[Network]:
    return networks(text) if text else []


def _is_excepted(address: str, proxies: dict[str, str]) -> bool:
    """Returns whether no_proxy has the address, or a network with it. Names and ports in no_proxy do not matter here."""
    entries = next((value for name, value in proxies.items() if name.lower() == "no_proxy"), "").split(",")
    for entry in (one.strip() for one in entries):
        if entry == "*":
            return True
        try:
            if ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def check_runtime(case: NodeCase) -> Iterator[Finding]:
    if case.facts.cri:
        yield _error("CRI", case.facts.cri)


def check_swap(case: NodeCase) -> Iterator[Finding]:
    if case.facts.swap:
        level = _warning if case.minor >= _SWAP_IS_NO_ERROR_SINCE else _error
        yield level("Swap", "swap is on: switch it off, or let the kubelet tolerate it (failSwapOn: false)")


def check_programs(case: NodeCase) -> Iterator[Finding]:
    for name, level, since, until in _PROGRAMS:
        if since <= case.minor <= until and name not in case.facts.programs:
            yield Finding(f"FileExisting-{name}", "error" if level == "error" else "warning", f"{name} is not in PATH")


def check_system(case: NodeCase) -> Iterator[Finding]:
    if case.facts.system != "Linux":
        yield _error("SystemVerification", f"a node must run Linux, but this host runs {case.facts.system}")
    if not case.facts.cgroup_v2:
        level = _error if case.minor >= _CGROUP_V1_ERROR_SINCE else _warning
        yield level("SystemVerification", "cgroups v1 are in use: the kubelet drops support for them, change to v2")


def check_name(case: NodeCase) -> Iterator[Finding]:
    if not case.facts.name_resolves:
        yield _warning("Hostname", f"the name {case.node_name!r} cannot be resolved")


def check_kubelet_version(case: NodeCase) -> Iterator[Finding]:
    installed = case.facts.kubelet_version
    if not installed:
        yield _error("KubeletVersion", "no kubelet is in PATH, or it does not report its version")
        return
    try:
        kubelet = parse_version(installed).minor
    except ConfigError:
        yield _error("KubeletVersion", f"the kubelet's version {installed!r} is not a known version")
        return
    if kubelet > case.minor:
        yield _error("KubeletVersion", f"the kubelet {installed} is newer than the control plane {_version(case)}")
    elif kubelet < case.minor - _KUBELET_SKEW:
        yield _error("KubeletVersion", f"the kubelet {installed} is too old for {_version(case)}")


def _version(case: NodeCase) -> str:
    return case.cluster.kubernetes_version


def check_kubelet_service(case: NodeCase) -> Iterator[Finding]:
    state = case.facts.services.get("kubelet", "")
    if not state or "not-found" in state:
        yield _warning("Service-Kubelet", "there is no kubelet service: the kubelet would not start after a reboot")
    elif "enabled" not in state:
        yield _warning("Service-Kubelet", "the kubelet service is not enabled: systemctl enable kubelet.service")


def check_forwarding(case: NodeCase) -> Iterator[Finding]:
    families = {network.version for network in _networks(case.cluster.networking.service_subnet)}
    families |= {network.version for network in _networks(case.cluster.networking.pod_subnet)}
    families.add(6 if ":" in case.address else 4)
    wanted = [IPV4_FORWARD] if 4 in families else []
    wanted += [IPV6_FORWARD] if 6 in families else []
    if case.minor < _BRIDGE_UNTIL:
        wanted += [path for path, family in ((BRIDGE, 4), (BRIDGE6, 6)) if family in families]
    for path in wanted:
        if case.facts.forwarding.get(path) != "1":
            yield _error(f"FileContent-{path.replace('/', '-')}", f"{path} is not set to 1")


def check_etcd(case: NodeCase) -> Iterator[Finding]:
    local = case.cluster.etcd.local
    if local is None:
        return
    yield from _ports(case, ETCD_PORTS)
    if case.has(local.data_dir):
        yield _error(f"DirAvailable-{local.data_dir.replace('/', '-')}", f"{local.data_dir} is not empty")


def check_version(case: NodeCase) -> Iterator[Finding]:
    if case.minor > NEWEST:
        yield _warning("KubernetesVersion", f"{_version(case)} is newer than 1.{NEWEST}, the newest version known here")


def check_external_etcd(case: NodeCase) -> Iterator[Finding]:
    external = case.cluster.etcd.external
    files = (external.ca_file, external.cert_file, external.key_file) if external else ()
    for path in files:
        if path and not case.has(path):
            yield _error("ExternalEtcdClientCertificates", f"{path} does not exist")


def _error(name: str, text: str) -> Finding:
    return Finding(name, "error", text)


def _warning(name: str, text: str) -> Finding:
    return Finding(name, "warning", text)


_ANY_NODE: tuple[Check, ...] = (
    check_runtime,
    check_swap,
    check_programs,
    check_system,
    check_name,
    check_kubelet_version,
    check_kubelet_service,
    check_kubelet_port,
)
_CONTROL_PLANE: tuple[Check, ...] = (check_size, check_firewall, check_control_plane_ports, check_manifests, check_proxies)
INIT: tuple[Check, ...] = (
    check_privileges,
    check_version,
    *_CONTROL_PLANE,
    *_ANY_NODE,
    check_forwarding,
    check_external_etcd,
    check_etcd,
)
JOIN_NODE: tuple[Check, ...] = (check_privileges, check_kubelet_files, *_ANY_NODE)
JOIN_CONTROL_PLANE: tuple[Check, ...] = (*_CONTROL_PLANE, check_etcd)
JOIN_WITH_OWN_CERTIFICATES: tuple[Check, ...] = (*JOIN_CONTROL_PLANE, check_external_etcd)
"""For a host to which the shared certificates were copied instead of being downloaded."""


def judge(case: NodeCase, checks: tuple[Check, ...], ignored: tuple[str, ...]) -> list[Finding]:
    """Returns all findings; errors whose check is ignored (by its name in any case, or by `all`) are warnings."""
    return lenient([finding for check in checks for finding in check(case)], ignored)


def lenient(found: list[Finding], ignored: tuple[str, ...]) -> list[Finding]:
    """Returns the findings, with errors whose check is ignored as warnings."""
    names = {name.lower() for name in ignored}
    return [
        replace(one, level="warning") if one.level == "error" and names & {one.name.lower(), "all"} else one for one in found
    ]


def without_leftovers(found: list[Finding]) -> list[Finding]:
    """Returns the findings that count for a resumed run: existing files and used ports are its own."""
    return [one for one in found if not one.name.startswith(("FileAvailable-", "DirAvailable-", "Port-"))]


class ChecksFailed(PreflightFailed):
    """A node does not meet the requirements."""

    def __init__(self, found: Sequence[Finding]) -> None:
        self._lines = [_FATAL, *map(_error_line, errors_of(found))]
        super().__init__(
            "\n".join(self._lines),
            state="nothing was changed",
            advice="fix them, or make a check non-fatal with --ignore-preflight-errors=NAME",
            findings=[one.as_dict() for one in found],
        )

    def lines(self) -> list[str]:
        return self._lines


_FATAL = "[preflight] Some fatal errors occurred:"


def _error_line(finding: Finding) -> str:
    return f"\t[ERROR {finding.name}]: {finding.text}"


def refuse(found: list[Finding]) -> None:
    """Raises `ChecksFailed` naming every error, in kubeadm's form."""
    if errors_of(found):
        raise ChecksFailed(found)
