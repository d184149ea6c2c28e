"""kubeadm's configuration as values, in the shape of v1beta4. None means not given.

Field order is kubeadm's. The fields that differ in v1beta3 are in `quorate.config.v1beta3`.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from quorate.config.duration import Duration
from quorate.config.env_source import EnvVarSource
from quorate.config.schema import Value
from quorate.config.times import Time

GROUP = "kubeadm.k8s.io"
V1BETA3 = f"{GROUP}/v1beta3"
V1BETA4 = f"{GROUP}/v1beta4"


class Arg(Value, frozen=True):
    """One flag of a component. A name may appear several times."""

    always: ClassVar[tuple[str, ...]] = (
        "name",
        "value",
    )
    name: str = ""
    value: str = ""


class HostPathMount(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = (
        "name",
        "host_path",
        "mount_path",
    )
    name: str = ""
    host_path: str = ""
    mount_path: str = ""
    read_only: bool = False
    path_type: str = ""


class EnvVar(Value, frozen=True):
    """An EnvVar of core/v1."""

    secret: ClassVar[tuple[str, ...]] = ("value",)

    always: ClassVar[tuple[str, ...]] = ("name",)
    name: str = ""
    value: str = ""
    value_from: EnvVarSource | None = None


class ControlPlaneComponent(Value, frozen=True):
    extra_args: tuple[Arg, ...] = ()
    extra_volumes: tuple[HostPathMount, ...] = ()
    extra_envs: tuple[EnvVar, ...] = ()


class ApiServer(Value, frozen=True):
    extra_args: tuple[Arg, ...] = ()
    extra_volumes: tuple[HostPathMount, ...] = ()
    extra_envs: tuple[EnvVar, ...] = ()
    cert_sans: tuple[str, ...] = field(default=(), name="certSANs")


class LocalEtcd(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = ("data_dir",)
    image_repository: str = ""
    image_tag: str = ""
    data_dir: str = ""
    extra_args: tuple[Arg, ...] = ()
    extra_envs: tuple[EnvVar, ...] = ()
    server_cert_sans: tuple[str, ...] = field(default=(), name="serverCertSANs")
    peer_cert_sans: tuple[str, ...] = field(default=(), name="peerCertSANs")


class ExternalEtcd(Value, frozen=True):
    """An external etcd. `http_endpoints`: since 1.35, the URLs for /health and other HTTP paths."""

    always: ClassVar[tuple[str, ...]] = (
        "endpoints",
        "ca_file",
        "cert_file",
        "key_file",
    )
    endpoints: tuple[str, ...] = ()
    http_endpoints: tuple[str, ...] = field(default=(), name="httpEndpoints")
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Etcd(Value, frozen=True):
    local: LocalEtcd | None = None
    external: ExternalEtcd | None = None


class Networking(Value, frozen=True):
    service_subnet: str = ""
    pod_subnet: str = ""
    dns_domain: str = ""


class Dns(Value, frozen=True):
    image_repository: str = ""
    image_tag: str = ""
    disabled: bool = False


class Proxy(Value, frozen=True):
    disabled: bool = False


class ClusterConfiguration(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = (
        "etcd",
        "networking",
        "api_server",
        "controller_manager",
        "scheduler",
        "dns",
        "proxy",
    )
    etcd: Etcd = Etcd()
    networking: Networking = Networking()
    kubernetes_version: str = ""
    control_plane_endpoint: str = ""
    api_server: ApiServer = ApiServer()
    controller_manager: ControlPlaneComponent = ControlPlaneComponent()
    scheduler: ControlPlaneComponent = ControlPlaneComponent()
    dns: Dns = Dns()
    proxy: Proxy = Proxy()
    certificates_dir: str = ""
    image_repository: str = ""
    feature_gates: dict[str, bool] = {}
    cluster_name: str = ""
    encryption_algorithm: str = ""
    certificate_validity_period: Duration | None = None
    ca_certificate_validity_period: Duration | None = field(default=None, name="caCertificateValidityPeriod")


class BootstrapToken(Value, frozen=True):
    secret: ClassVar[tuple[str, ...]] = ("token",)
    always: ClassVar[tuple[str, ...]] = ("token",)
    token: str = ""
    description: str = ""
    ttl: Duration | None = None
    expires: Time | None = None
    usages: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Returns the token without its secret half."""
        return f"BootstrapToken({self.token.partition('.')[0]}.…)"


class Taint(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = (
        "key",
        "effect",
    )
    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: Time | None = None


class NodeRegistration(Value, frozen=True):
    """The registration of a node. `taints`: None means the default of its role, an empty list means no taints."""

    always: ClassVar[tuple[str, ...]] = ("taints",)
    name: str = ""
    cri_socket: str = ""
    taints: tuple[Taint, ...] | None = None
    kubelet_extra_args: tuple[Arg, ...] = ()
    ignore_preflight_errors: tuple[str, ...] = ()
    image_pull_policy: str = ""
    image_pull_serial: bool | None = None


class APIEndpoint(Value, frozen=True):
    advertise_address: str = ""
    bind_port: int = 0


class Patches(Value, frozen=True):
    directory: str = ""


class Timeouts(Value, frozen=True):
    control_plane_component_health_check: Duration | None = None
    kubelet_health_check: Duration | None = None
    kubernetes_api_call: Duration | None = field(default=None, name="kubernetesAPICall")
    etcd_api_call: Duration | None = field(default=None, name="etcdAPICall")
    tls_bootstrap: Duration | None = None
    discovery: Duration | None = None
    upgrade_manifests: Duration | None = None


class InitConfiguration(Value, frozen=True):
    secret: ClassVar[tuple[str, ...]] = ("certificate_key",)
    always: ClassVar[tuple[str, ...]] = (
        "node_registration",
        "local_api_endpoint",
    )
    bootstrap_tokens: tuple[BootstrapToken, ...] = ()
    dry_run: bool = False
    node_registration: NodeRegistration = NodeRegistration()
    local_api_endpoint: APIEndpoint = field(default=APIEndpoint(), name="localAPIEndpoint")
    certificate_key: str = ""
    skip_phases: tuple[str, ...] = ()
    patches: Patches | None = None
    timeouts: Timeouts | None = None


class BootstrapTokenDiscovery(Value, frozen=True):
    secret: ClassVar[tuple[str, ...]] = ("token",)
    always: ClassVar[tuple[str, ...]] = ("token",)
    token: str = ""
    api_server_endpoint: str = ""
    ca_cert_hashes: tuple[str, ...] = ()
    unsafe_skip_ca_verification: bool = field(default=False, name="unsafeSkipCAVerification")


class FileDiscovery(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = ("kube_config_path",)
    kube_config_path: str = ""


class Discovery(Value, frozen=True):
    secret: ClassVar[tuple[str, ...]] = ("tls_bootstrap_token",)
    bootstrap_token: BootstrapTokenDiscovery | None = None
    file: FileDiscovery | None = None
    tls_bootstrap_token: str = ""


class JoinControlPlane(Value, frozen=True):
    secret: ClassVar[tuple[str, ...]] = ("certificate_key",)
    local_api_endpoint: APIEndpoint = field(default=APIEndpoint(), name="localAPIEndpoint")
    certificate_key: str = ""


class JoinConfiguration(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = (
        "node_registration",
        "discovery",
    )
    dry_run: bool = False
    node_registration: NodeRegistration = NodeRegistration()
    ca_cert_path: str = ""
    discovery: Discovery = Discovery()
    control_plane: JoinControlPlane | None = None
    skip_phases: tuple[str, ...] = ()
    patches: Patches | None = None
    timeouts: Timeouts | None = None


class ResetConfiguration(Value, frozen=True):
    cleanup_tmp_dir: bool = False
    certificates_dir: str = ""
    cri_socket: str = ""
    dry_run: bool = False
    force: bool = False
    ignore_preflight_errors: tuple[str, ...] = ()
    skip_phases: tuple[str, ...] = ()
    unmount_flags: tuple[str, ...] = ()
    timeouts: Timeouts | None = None


class UpgradeApply(Value, frozen=True):
    kubernetes_version: str = ""
    allow_experimental_upgrades: bool | None = None
    allow_rc_upgrades: bool | None = field(default=None, name="allowRCUpgrades")
    certificate_renewal: bool | None = None
    dry_run: bool | None = None
    etcd_upgrade: bool | None = None
    force_upgrade: bool | None = None
    ignore_preflight_errors: tuple[str, ...] = ()
    patches: Patches | None = None
    print_config: bool | None = None
    skip_phases: tuple[str, ...] = ()
    image_pull_policy: str = ""
    image_pull_serial: bool | None = None


class UpgradeDiff(Value, frozen=True):
    kubernetes_version: str = ""
    context_lines: int = field(default=0, name="contextLines")


class UpgradeNode(Value, frozen=True):
    certificate_renewal: bool | None = None
    dry_run: bool | None = None
    etcd_upgrade: bool | None = None
    ignore_preflight_errors: tuple[str, ...] = ()
    skip_phases: tuple[str, ...] = ()
    patches: Patches | None = None
    image_pull_policy: str = ""
    image_pull_serial: bool | None = None


class UpgradePlan(Value, frozen=True):
    kubernetes_version: str = ""
    allow_experimental_upgrades: bool | None = None
    allow_rc_upgrades: bool | None = field(default=None, name="allowRCUpgrades")
    dry_run: bool | None = None
    etcd_upgrade: bool | None = None
    ignore_preflight_errors: tuple[str, ...] = ()
    print_config: bool | None = None


class UpgradeConfiguration(Value, frozen=True):
    always: ClassVar[tuple[str, ...]] = (
        "apply",
        "diff",
        "node",
        "plan",
    )
    apply: UpgradeApply = UpgradeApply()
    diff: UpgradeDiff = UpgradeDiff()
    node: UpgradeNode = UpgradeNode()
    plan: UpgradePlan = UpgradePlan()
    timeouts: Timeouts | None = None
