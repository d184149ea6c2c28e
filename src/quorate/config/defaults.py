"""Fills in defaults: constant ones, and those that depend on the host, which are passed in as facts."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from quorate.config import types as v4
from quorate.config.duration import Duration
from quorate.config.versions import version_text
from quorate.foreign.addresses import read_address
from quorate.foreign.paths import without_backsteps
from quorate.foreign.urls import parts_of

_MINUTE = 60 * 10**9
_HOUR = 60 * _MINUTE
TOKEN_GROUP = "system:bootstrappers:kubeadm:default-node-token"  # noqa: S105
BIND_PORT = 6443
CERTIFICATES_DIR = "/etc/kubernetes/pki"
IMAGE_REPOSITORY = "registry.k8s.io"
CONTROL_PLANE_TAINT = v4.Taint("node-role.kubernetes.io/control-plane", effect="NoSchedule")
_TIMEOUTS = v4.Timeouts(
    control_plane_component_health_check=Duration(4 * _MINUTE),
    kubelet_health_check=Duration(4 * _MINUTE),
    kubernetes_api_call=Duration(_MINUTE),
    etcd_api_call=Duration(2 * _MINUTE),
    tls_bootstrap=Duration(5 * _MINUTE),
    discovery=Duration(5 * _MINUTE),
    upgrade_manifests=Duration(5 * _MINUTE),
)


class Facts(Struct, frozen=True):
    """Facts about this host. `address`: the source address of its default route."""

    hostname: str
    address: str
    cri_socket: str
    kubernetes_version: str
    token: str


def node_name(text: str) -> str:
    """Returns the name of a node as kubeadm writes it, wherever it comes from: trimmed and in lower case."""
    return text.strip().lower()


def socket_url(text: str) -> str:
    """Returns the URL of a socket, as the kubelet wants it, of a URL or a path. What is neither is left to the rules, and so is
    what is wrong in it: `unix://` stands before the path as it is, for kubeadm too."""
    if text.startswith("/"):
        return f"unix://{text}"
    scheme, colon, rest = text.partition(":")
    return f"unix:{rest}" if colon and scheme.lower() == "unix" else text


def default_init(given: v4.InitConfiguration, facts: Facts) -> v4.InitConfiguration:
    """Returns the configuration with its defaults."""
    tokens = given.bootstrap_tokens or (v4.BootstrapToken(),)
    return replace(
        given,
        bootstrap_tokens=tuple(_token(token, facts) for token in tokens),
        node_registration=_registration(given.node_registration, facts, control_plane=True),
        local_api_endpoint=_endpoint(given.local_api_endpoint, facts),
        timeouts=_timeouts(given.timeouts),
    )


def _token(given: v4.BootstrapToken, facts: Facts) -> v4.BootstrapToken:
    ttl = given.ttl if given.ttl is not None or given.expires else Duration(24 * _HOUR)
    return replace(
        given,
        token=given.token or facts.token,
        ttl=ttl,
        usages=given.usages or ("signing", "authentication"),
        groups=given.groups or (TOKEN_GROUP,),
    )


def _registration(given: v4.NodeRegistration, facts: Facts, *, control_plane: bool) -> v4.NodeRegistration:
    taints = given.taints if given.taints is not None or not control_plane else (CONTROL_PLANE_TAINT,)
    return replace(
        given,
        name=node_name(given.name or facts.hostname),
        cri_socket=socket_url(given.cri_socket or facts.cri_socket),
        taints=taints,
        image_pull_policy=given.image_pull_policy or "IfNotPresent",
        image_pull_serial=True if given.image_pull_serial is None else given.image_pull_serial,
    )


def _endpoint(given: v4.APIEndpoint, facts: Facts) -> v4.APIEndpoint:
    address = (facts.address or UNKNOWN) if is_unspecified(given.advertise_address) else one_address(given.advertise_address)
    return v4.APIEndpoint(address, given.bind_port or BIND_PORT)


UNKNOWN = "0.0.0.0"  # noqa: S104
"""Of a host without a default route, where none is given. kubeadm goes on with it, too; what needs an address refuses it."""


def is_unspecified(text: str) -> bool:
    """Returns whether an advertised address is left to this host: none, or all addresses in any spelling."""
    address = read_address(text)
    return not text or (address is not None and address.is_unspecified)


def one_address(text: str) -> str:
    """Returns an address as kubeadm writes it: FD00:0::1 is fd00::1, and ::ffff:10.0.0.5 is 10.0.0.5. What is no address is
    left to the rules."""
    return str(read_address(text) or text)


def _timeouts(given: v4.Timeouts | None) -> v4.Timeouts:
    if given is None:
        return _TIMEOUTS
    names = v4.Timeouts.__struct_fields__
    return v4.Timeouts(**{name: _or(getattr(given, name), getattr(_TIMEOUTS, name)) for name in names})


def _or(given: Duration | None, default: Duration | None) -> Duration | None:
    """Returns `given` unless it is None. A timeout of 0s is kept, for the validation to refuse."""
    return given if given is not None else default


def default_cluster(given: v4.ClusterConfiguration, facts: Facts) -> v4.ClusterConfiguration:
    """Returns the configuration with its defaults."""
    return replace(
        given,
        etcd=_etcd(given.etcd),
        networking=replace(
            given.networking,
            service_subnet=_list_without_blanks(given.networking.service_subnet) or "10.96.0.0/12",
            pod_subnet=_list_without_blanks(given.networking.pod_subnet),
            dns_domain=given.networking.dns_domain or "cluster.local",
        ),
        kubernetes_version=version_text(given.kubernetes_version) or facts.kubernetes_version,
        certificates_dir=without_backsteps(given.certificates_dir) or CERTIFICATES_DIR,
        image_repository=given.image_repository or IMAGE_REPOSITORY,
        cluster_name=given.cluster_name or "kubernetes",
        encryption_algorithm=given.encryption_algorithm or "RSA-2048",
        certificate_validity_period=_or(given.certificate_validity_period, Duration(8760 * _HOUR)),
        ca_certificate_validity_period=_or(given.ca_certificate_validity_period, Duration(87600 * _HOUR)),
        api_server=replace(given.api_server, cert_sans=tuple(name.lower() for name in given.api_server.cert_sans)),
    )


def _list_without_blanks(text: str) -> str:
    """Returns a list as the components read it: kube-apiserver takes `10.96.0.0/12, fd00::/112` for a wrong network."""
    return ",".join(part.strip() for part in text.split(",")) if text else ""


def _etcd(given: v4.Etcd) -> v4.Etcd:
    external = _external(given.external)
    if given.local is None and external is not None:
        return replace(given, external=external)
    local = given.local or v4.LocalEtcd()
    local = replace(local, data_dir=without_backsteps(local.data_dir) or "/var/lib/etcd")
    return replace(given, local=local, external=external)


def _external(given: v4.ExternalEtcd | None) -> v4.ExternalEtcd | None:
    if given is None:
        return None
    return replace(
        given,
        ca_file=without_backsteps(given.ca_file),
        cert_file=without_backsteps(given.cert_file),
        key_file=without_backsteps(given.key_file),
    )


def default_join(given: v4.JoinConfiguration, facts: Facts) -> v4.JoinConfiguration:
    """Returns the configuration with its defaults."""
    control_plane = given.control_plane
    if control_plane is not None:
        control_plane = replace(control_plane, local_api_endpoint=_endpoint(control_plane.local_api_endpoint, facts))
    return replace(
        given,
        node_registration=_registration(given.node_registration, facts, control_plane=control_plane is not None),
        ca_cert_path=without_backsteps(given.ca_cert_path) or f"{CERTIFICATES_DIR}/ca.crt",
        discovery=_discovery(given.discovery),
        control_plane=control_plane,
        timeouts=_timeouts(given.timeouts),
    )


def _discovery(given: v4.Discovery) -> v4.Discovery:
    """Uses the discovery token for the kubelet's TLS bootstrap too, if no other is given. Reduces a file URL to its path."""
    token = given.bootstrap_token.token if given.bootstrap_token else ""
    file = given.file
    if file is not None:
        file = v4.FileDiscovery(_discovery_file(file.kube_config_path))
    return replace(given, file=file, tls_bootstrap_token=given.tls_bootstrap_token or token)


def _discovery_file(text: str) -> str:
    parts = parts_of(text)
    path = parts.file_path if parts.scheme == "file" else text
    return without_backsteps(path) if path.startswith("/") else path


def default_reset(given: v4.ResetConfiguration, facts: Facts) -> v4.ResetConfiguration:
    """Returns the configuration with its defaults."""
    return replace(
        given,
        certificates_dir=without_backsteps(given.certificates_dir) or CERTIFICATES_DIR,
        cri_socket=socket_url(given.cri_socket or facts.cri_socket),
        timeouts=_timeouts(given.timeouts),
    )


def default_upgrade(given: v4.UpgradeConfiguration) -> v4.UpgradeConfiguration:
    """Returns the configuration with its defaults."""
    pull = ("IfNotPresent", True)
    apply, node, plan = given.apply, given.node, given.plan
    return replace(
        given,
        apply=replace(
            apply,
            certificate_renewal=_or_true(apply.certificate_renewal),
            etcd_upgrade=_or_true(apply.etcd_upgrade),
            image_pull_policy=apply.image_pull_policy or pull[0],
            image_pull_serial=_or_true(apply.image_pull_serial),
        ),
        node=replace(
            node,
            certificate_renewal=_or_true(node.certificate_renewal),
            etcd_upgrade=_or_true(node.etcd_upgrade),
            image_pull_policy=node.image_pull_policy or pull[0],
            image_pull_serial=_or_true(node.image_pull_serial),
        ),
        plan=replace(plan, etcd_upgrade=_or_true(plan.etcd_upgrade)),
        timeouts=_timeouts(given.timeouts),
    )


def _or_true(given: bool | None) -> bool:  # noqa: FBT001
    return True if given is None else given
