"""The older shape, v1beta3: the kinds that differ, and their conversion to and from v1beta4.

In v1beta3, extra arguments are a map, and two timeouts are in other kinds or fields. There is no encryptionAlgorithm (a feature
gate chooses ECDSA), no validity periods, no extraEnvs and no dryRun.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import field
from msgspec.structs import replace

from quorate.config import types as v4
from quorate.config.duration import Duration
from quorate.config.schema import Value

ECDSA_GATE = "PublicKeysECDSA"
Args = dict[str, str]


class ControlPlaneComponent(Value, frozen=True):
    extra_args: Args = {}
    extra_volumes: tuple[v4.HostPathMount, ...] = ()


class ApiServer(Value, frozen=True):
    extra_args: Args = {}
    extra_volumes: tuple[v4.HostPathMount, ...] = ()
    cert_sans: tuple[str, ...] = field(default=(), name="certSANs")
    timeout_for_control_plane: Duration | None = None


class LocalEtcd(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = ("data_dir",)
    image_repository: str = ""
    image_tag: str = ""
    data_dir: str = ""
    extra_args: Args = {}
    server_cert_sans: tuple[str, ...] = field(default=(), name="serverCertSANs")
    peer_cert_sans: tuple[str, ...] = field(default=(), name="peerCertSANs")


class ExternalEtcd(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = (
        "endpoints",
        "ca_file",
        "cert_file",
        "key_file",
    )
    endpoints: tuple[str, ...] = ()
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Etcd(Value, frozen=True):
    local: LocalEtcd | None = None
    external: ExternalEtcd | None = None


class Dns(Value, frozen=True):
    image_repository: str = ""
    image_tag: str = ""


class ClusterConfiguration(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = (
        "etcd",
        "networking",
        "api_server",
        "controller_manager",
        "scheduler",
        "dns",
    )
    etcd: Etcd = Etcd()
    networking: v4.Networking = v4.Networking()
    kubernetes_version: str = ""
    control_plane_endpoint: str = ""
    api_server: ApiServer = ApiServer()
    controller_manager: ControlPlaneComponent = ControlPlaneComponent()
    scheduler: ControlPlaneComponent = ControlPlaneComponent()
    dns: Dns = Dns()
    certificates_dir: str = ""
    image_repository: str = ""
    feature_gates: dict[str, bool] = {}
    cluster_name: str = ""


class NodeRegistration(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = ("taints",)
    name: str = ""
    cri_socket: str = ""
    taints: tuple[v4.Taint, ...] | None = None
    kubelet_extra_args: Args = {}
    ignore_preflight_errors: tuple[str, ...] = ()
    image_pull_policy: str = ""


class InitConfiguration(Value, frozen=True):
    secret: ClassVar[tuple[str, ...]] = ("certificate_key",)
    always: ClassVar[tuple[str, ...]] = (
        "node_registration",
        "local_api_endpoint",
    )
    bootstrap_tokens: tuple[v4.BootstrapToken, ...] = ()
    node_registration: NodeRegistration = NodeRegistration()
    local_api_endpoint: v4.APIEndpoint = field(default=v4.APIEndpoint(), name="localAPIEndpoint")
    certificate_key: str = ""
    skip_phases: tuple[str, ...] = ()
    patches: v4.Patches | None = None


class Discovery(Value, frozen=True):
    secret: ClassVar[tuple[str, ...]] = ("tls_bootstrap_token",)
    bootstrap_token: v4.BootstrapTokenDiscovery | None = None
    file: v4.FileDiscovery | None = None
    tls_bootstrap_token: str = ""
    timeout: Duration | None = None


class JoinConfiguration(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = (
        "node_registration",
        "discovery",
    )
    node_registration: NodeRegistration = NodeRegistration()
    ca_cert_path: str = ""
    discovery: Discovery = Discovery()
    control_plane: v4.JoinControlPlane | None = None
    skip_phases: tuple[str, ...] = ()
    patches: v4.Patches | None = None


KINDS: dict[str, type[Value]] = {
    "InitConfiguration": InitConfiguration,
    "ClusterConfiguration": ClusterConfiguration,
    "JoinConfiguration": JoinConfiguration,
}


def args(given: Args) -> tuple[v4.Arg, ...]:
    """Returns a map as arguments, sorted by name as kubeadm does: a map has no order."""
    return tuple(v4.Arg(name, value) for name, value in sorted(given.items()))


def _registration(old: NodeRegistration) -> v4.NodeRegistration:
    return v4.NodeRegistration(
        old.name, old.cri_socket, old.taints, args(old.kubelet_extra_args), old.ignore_preflight_errors, old.image_pull_policy
    )


def upgrade_init(old: InitConfiguration, cluster: ClusterConfiguration | None) -> v4.InitConfiguration:
    """Returns the v1beta4 form. `apiServer.timeoutForControlPlane` becomes a timeout of the InitConfiguration."""
    wait = cluster.api_server.timeout_for_control_plane if cluster else None
    return v4.InitConfiguration(
        old.bootstrap_tokens,
        node_registration=_registration(old.node_registration),
        local_api_endpoint=old.local_api_endpoint,
        certificate_key=old.certificate_key,
        skip_phases=old.skip_phases,
        patches=old.patches,
        timeouts=v4.Timeouts(control_plane_component_health_check=wait) if wait is not None else None,
    )


def upgrade_cluster(old: ClusterConfiguration) -> v4.ClusterConfiguration:
    """Returns the v1beta4 form."""
    local, external = old.etcd.local, old.etcd.external
    return v4.ClusterConfiguration(
        etcd=v4.Etcd(_local(local) if local else None, _external(external) if external else None),
        networking=old.networking,
        kubernetes_version=old.kubernetes_version,
        control_plane_endpoint=old.control_plane_endpoint,
        api_server=v4.ApiServer(args(old.api_server.extra_args), old.api_server.extra_volumes, (), old.api_server.cert_sans),
        controller_manager=_component(old.controller_manager),
        scheduler=_component(old.scheduler),
        dns=v4.Dns(old.dns.image_repository, old.dns.image_tag),
        certificates_dir=old.certificates_dir,
        image_repository=old.image_repository,
        feature_gates=old.feature_gates,
        cluster_name=old.cluster_name,
        encryption_algorithm="ECDSA-P256" if old.feature_gates.get(ECDSA_GATE) else "",
    )


def _component(old: ControlPlaneComponent) -> v4.ControlPlaneComponent:
    return v4.ControlPlaneComponent(args(old.extra_args), old.extra_volumes)


def _local(old: LocalEtcd) -> v4.LocalEtcd:
    return v4.LocalEtcd(
        old.image_repository, old.image_tag, old.data_dir, args(old.extra_args), (), old.server_cert_sans, old.peer_cert_sans
    )


def _external(old: ExternalEtcd) -> v4.ExternalEtcd:
    return v4.ExternalEtcd(old.endpoints, (), old.ca_file, old.cert_file, old.key_file)


def upgrade_join(old: JoinConfiguration) -> v4.JoinConfiguration:
    """Returns the v1beta4 form. `discovery.timeout` becomes one of its timeouts."""
    found = old.discovery
    return v4.JoinConfiguration(
        node_registration=_registration(old.node_registration),
        ca_cert_path=old.ca_cert_path,
        discovery=v4.Discovery(found.bootstrap_token, found.file, found.tls_bootstrap_token),
        control_plane=old.control_plane,
        skip_phases=old.skip_phases,
        patches=old.patches,
        timeouts=v4.Timeouts(discovery=found.timeout) if found.timeout is not None else None,
    )


def downgrade_cluster(new: v4.ClusterConfiguration) -> tuple[ClusterConfiguration, list[str]]:
    """Returns the v1beta3 form, and the fields that it cannot hold. Clusters before 1.31 store v1beta3."""
    lost: list[str] = []
    local, external = new.etcd.local, new.etcd.external
    old = ClusterConfiguration(
        etcd=Etcd(_old_local(local, lost) if local else None, _old_external(external, lost) if external else None),
        networking=new.networking,
        kubernetes_version=new.kubernetes_version,
        control_plane_endpoint=new.control_plane_endpoint,
        api_server=ApiServer(
            _map(new.api_server.extra_args, "apiServer", lost), new.api_server.extra_volumes, new.api_server.cert_sans
        ),
        controller_manager=_old_component(new.controller_manager, "controllerManager", lost),
        scheduler=_old_component(new.scheduler, "scheduler", lost),
        dns=Dns(new.dns.image_repository, new.dns.image_tag),
        certificates_dir=new.certificates_dir,
        image_repository=new.image_repository,
        feature_gates=_gates(new, lost),
        cluster_name=new.cluster_name,
    )
    lost += [f"{part}.extraEnvs" for part, envs in _envs(new) if envs]
    lost += [name for name, on in (("dns.disabled", new.dns.disabled), ("proxy.disabled", new.proxy.disabled)) if on]
    return old, lost


def _envs(new: v4.ClusterConfiguration) -> list[tuple[str, Any]]:
    found = [("apiServer", new.api_server.extra_envs), ("controllerManager", new.controller_manager.extra_envs)]
    found.append(("scheduler", new.scheduler.extra_envs))
    return [*found, *([("etcd.local", new.etcd.local.extra_envs)] if new.etcd.local else [])]


def _gates(new: v4.ClusterConfiguration, lost: list[str]) -> dict[str, bool]:
    if new.encryption_algorithm in ("", "RSA-2048"):
        return new.feature_gates
    if new.encryption_algorithm != "ECDSA-P256":
        lost.append("encryptionAlgorithm")
        return new.feature_gates
    return {**new.feature_gates, ECDSA_GATE: True}


def _map(given: tuple[v4.Arg, ...], where: str, lost: list[str]) -> Args:
    names = [arg.name for arg in given]
    lost += [f"{where}.extraArgs ({name} several times)" for name in sorted({name for name in names if names.count(name) > 1})]
    return {arg.name: arg.value for arg in given}


def _old_component(new: v4.ControlPlaneComponent, where: str, lost: list[str]) -> ControlPlaneComponent:
    return ControlPlaneComponent(_map(new.extra_args, where, lost), new.extra_volumes)


def _old_local(new: v4.LocalEtcd, lost: list[str]) -> LocalEtcd:
    arguments = _map(new.extra_args, "etcd.local", lost)
    return LocalEtcd(new.image_repository, new.image_tag, new.data_dir, arguments, new.server_cert_sans, new.peer_cert_sans)


def _old_external(new: v4.ExternalEtcd, lost: list[str]) -> ExternalEtcd:
    if new.http_endpoints:
        lost.append("etcd.external.httpEndpoints")
    return ExternalEtcd(new.endpoints, new.ca_file, new.cert_file, new.key_file)


def with_timeout(old: ClusterConfiguration, wait: Duration | None) -> ClusterConfiguration:
    """Returns the configuration with the API server's timeout, in the place where v1beta3 has it."""
    return replace(old, api_server=replace(old.api_server, timeout_for_control_plane=wait)) if wait is not None else old
