"""kube-apiserver, kube-controller-manager and kube-scheduler of a control-plane node."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from quorate.config.duration import Duration
from quorate.config.types import Arg, ClusterConfiguration, EnvVar, HostPathMount
from quorate.config.versions import KubernetesVersion, parse_version
from quorate.foreign.paths import clean, prefix
from quorate.manifests import images
from quorate.manifests.args import command_line, value_of
from quorate.manifests.etcd import client_url, loopback
from quorate.manifests.pod import Mount, Object, PodSpec, Probes, static_pod, wait_of

ENDPOINT_ANNOTATION = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"
CONFIG_FOLDER = "/etc/kubernetes"
CA_FOLDERS = (
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
)
"""Folders in which distributions keep further CA certificates; each is mounted where the host has it."""

_FLEXVOLUMES = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
_FLEXVOLUMES_UNTIL = 36
_SCHEDULER_LIVEZ_SINCE = 32


@dataclass(frozen=True, slots=True)
class ControlPlaneNode:
    """A control-plane node. `ca_folders`: those of `CA_FOLDERS` that the host has. `proxy_env`: the host's own proxy variables.
    `external_ca`: the CA's key is not on this node. `start_wait`: how long a component may take to start."""

    address: str
    bind_port: int
    ca_folders: Sequence[str] = ()
    proxy_env: Mapping[str, str] | None = None
    external_ca: bool = False
    start_wait: Duration | None = None


def control_plane_pods(config: ClusterConfiguration, node: ControlPlaneNode) -> dict[str, Object]:
    """Returns all three pods, by name."""
    return {name: build(config, node) for name, build in PODS.items()}


def apiserver_pod(config: ClusterConfiguration, node: ControlPlaneNode) -> Object:
    given = config.api_server
    host = "" if node.address in ("0.0.0.0", "::") else node.address  # noqa: S104
    probes = Probes(host, node.bind_port, "HTTPS", "/livez", "/readyz", "/livez", wait_of(node.start_wait))
    where = f"[{node.address}]" if ":" in node.address else node.address
    return static_pod(
        PodSpec(
            "kube-apiserver",
            images.component(config, "kube-apiserver"),
            command_line("kube-apiserver", _apiserver_flags(config, node), given.extra_args, _version(config)),
            probes,
            _with_extra([*_certificates(config, node), *_etcd_certificates(config)], given.extra_volumes),
            {"cpu": "250m"},
            _env(node, given.extra_envs),
            {ENDPOINT_ANNOTATION: f"{where}:{node.bind_port}"},
            _minor(config),
        )
    )


def _version(config: ClusterConfiguration) -> KubernetesVersion:
    return parse_version(config.kubernetes_version)


def _minor(config: ClusterConfiguration) -> int:
    return _version(config).minor


def _apiserver_flags(config: ClusterConfiguration, node: ControlPlaneNode) -> dict[str, str]:
    pki = prefix(config.certificates_dir)
    found = {
        "advertise-address": node.address,
        "allow-privileged": "true",
        "client-ca-file": f"{pki}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "kubelet-client-certificate": f"{pki}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{pki}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "proxy-client-cert-file": f"{pki}/front-proxy-client.crt",
        "proxy-client-key-file": f"{pki}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(node.bind_port),
        "service-account-issuer": f"https://kubernetes.default.svc.{config.networking.dns_domain}",
        "service-account-key-file": f"{pki}/sa.pub",
        "service-account-signing-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": config.networking.service_subnet,
        "tls-cert-file": f"{pki}/apiserver.crt",
        "tls-private-key-file": f"{pki}/apiserver.key",
        **_etcd_flags(config, node),
    }
    # A structured authorization file (1.30) and the modes exclude each other.
    if not any(arg.name == "authorization-config" for arg in config.api_server.extra_args):
        found["authorization-mode"] = "Node,RBAC"
    return found


def _etcd_flags(config: ClusterConfiguration, node: ControlPlaneNode) -> dict[str, str]:
    external = config.etcd.external
    if external is not None:
        files = {"etcd-cafile": external.ca_file, "etcd-certfile": external.cert_file, "etcd-keyfile": external.key_file}
        return {"etcd-servers": ",".join(external.endpoints), **{name: path for name, path in files.items() if path}}
    pki = prefix(config.certificates_dir)
    local = config.etcd.local.extra_args if config.etcd.local else ()
    return {
        "etcd-servers": value_of(local, "advertise-client-urls", client_url(loopback(node.address))),
        "etcd-cafile": f"{pki}/etcd/ca.crt",
        "etcd-certfile": f"{pki}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{pki}/apiserver-etcd-client.key",
    }


def controller_manager_pod(config: ClusterConfiguration, node: ControlPlaneNode) -> Object:
    given, minor = config.controller_manager, _minor(config)
    kubeconfig = f"{CONFIG_FOLDER}/controller-manager.conf"
    mounts = [*_certificates(config, node), Mount("kubeconfig", kubeconfig, "FileOrCreate")]
    if minor < _FLEXVOLUMES_UNTIL:
        folder = value_of(given.extra_args, "flex-volume-plugin-dir", _FLEXVOLUMES)
        mounts.append(Mount("flexvolume-dir", folder, read_only=False))
    defaults = _controller_flags(config, node, kubeconfig)
    return static_pod(
        PodSpec(
            "kube-controller-manager",
            images.component(config, "kube-controller-manager"),
            command_line("kube-controller-manager", defaults, given.extra_args, _version(config)),
            _local_probes(given.extra_args, 10257, ("/healthz", "", "/healthz"), node),
            _with_extra(mounts, given.extra_volumes),
            {"cpu": "200m"},
            _env(node, given.extra_envs),
            {},
            minor,
        )
    )


def _controller_flags(config: ClusterConfiguration, node: ControlPlaneNode, kubeconfig: str) -> dict[str, str]:
    pki = prefix(config.certificates_dir)
    found = {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "client-ca-file": f"{pki}/ca.crt",
        "cluster-signing-cert-file": "" if node.external_ca else f"{pki}/ca.crt",
        "cluster-signing-key-file": "" if node.external_ca else f"{pki}/ca.key",
        "controllers": "*,bootstrapsigner,tokencleaner",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "root-ca-file": f"{pki}/ca.crt",
        "service-account-private-key-file": f"{pki}/sa.key",
        "use-service-account-credentials": "true",
    }
    if config.cluster_name:
        found["cluster-name"] = config.cluster_name
    if config.networking.pod_subnet:
        found["allocate-node-cidrs"] = "true"
        found["cluster-cidr"] = config.networking.pod_subnet
        if config.networking.service_subnet:
            found["service-cluster-ip-range"] = config.networking.service_subnet
    return found


def scheduler_pod(config: ClusterConfiguration, node: ControlPlaneNode) -> Object:
    given, minor = config.scheduler, _minor(config)
    kubeconfig = f"{CONFIG_FOLDER}/scheduler.conf"
    defaults = {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
    }
    paths = ("/livez", "/readyz", "/livez") if minor >= _SCHEDULER_LIVEZ_SINCE else ("/healthz", "", "/healthz")
    return static_pod(
        PodSpec(
            "kube-scheduler",
            images.component(config, "kube-scheduler"),
            command_line("kube-scheduler", defaults, given.extra_args, _version(config)),
            _local_probes(given.extra_args, 10259, paths, node),
            _with_extra([Mount("kubeconfig", kubeconfig, "FileOrCreate")], given.extra_volumes),
            {"cpu": "100m"},
            _env(node, given.extra_envs),
            {},
            minor,
        )
    )


PODS: dict[str, Callable[[ClusterConfiguration, ControlPlaneNode], Object]] = {
    "kube-apiserver": apiserver_pod,
    "kube-controller-manager": controller_manager_pod,
    "kube-scheduler": scheduler_pod,
}


def _local_probes(extra: Sequence[Arg], port: int, paths: tuple[str, str, str], node: ControlPlaneNode) -> Probes:
    """Returns the probes of a component that listens on this node only, unless the user binds it elsewhere."""
    host = value_of(extra, "bind-address", "127.0.0.1")
    host = "" if host in ("0.0.0.0", "::") else host  # noqa: S104
    return Probes(host, port, "HTTPS", *paths, wait_seconds=wait_of(node.start_wait))


def _certificates(config: ClusterConfiguration, node: ControlPlaneNode) -> list[Mount]:
    found = [Mount("k8s-certs", config.certificates_dir), Mount("ca-certs", "/etc/ssl/certs")]
    return [*found, *(Mount(path.strip("/").replace("/", "-"), path) for path in node.ca_folders)]


def _etcd_certificates(config: ClusterConfiguration) -> list[Mount]:
    """Returns mounts of the folders of an external etcd's files, each once, except those that are mounted anyway."""
    external = config.etcd.external
    if external is None:
        return []
    folders = [clean(posixpath.dirname(path)) for path in (external.ca_file, external.cert_file, external.key_file) if path]
    wanted = [folder for folder in dict.fromkeys(folders) if not _is_below(folder, config.certificates_dir)]
    outermost = [folder for folder in wanted if not any(_is_below(folder, other) for other in wanted if other != folder)]
    return [Mount(f"etcd-certs-{number}", folder) for number, folder in enumerate(sorted(outermost))]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _with_extra(mounts: Iterable[Mount], extra: Sequence[HostPathMount]) -> list[Mount]:
    """Returns the mounts by name, each once: the last of a name counts. The kubelet refuses a pod with a volume twice."""
    given = [Mount(one.name, one.host_path, one.path_type, one.read_only, one.mount_path) for one in extra]
    named = {mount.name: mount for mount in [*mounts, *given]}
    return [named[name] for name in sorted(named)]


def _env(node: ControlPlaneNode, extra: Sequence[EnvVar]) -> list[EnvVar]:
    """Returns the host's proxy variables and the user's variables, sorted by name; the user's win."""
    inherited = {name: EnvVar(name, value) for name, value in (node.proxy_env or {}).items()}
    merged = {**inherited, **{variable.name: variable for variable in extra}}
    return [merged[name] for name in sorted(merged)]
