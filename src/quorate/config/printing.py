"""`config print` and `config migrate`: configurations as kubeadm shows them."""

from __future__ import annotations

from msgspec.structs import replace

from quorate.config import types as v4
from quorate.config.components import KUBELET, PROXY, kubelet_configuration, proxy_configuration
from quorate.config.defaults import Facts, default_cluster, default_init, default_join, default_reset, default_upgrade
from quorate.config.load import Loaded
from quorate.config.render import document, documents, to_yaml
from quorate.config.resolve import resolve_init, resolve_join, resolve_reset, resolve_upgrade
from quorate.config.versions import parse_version

PLACEHOLDER_TOKEN = "abcdef.0123456789abcdef"  # noqa: S105
COMPONENTS = (KUBELET, PROXY)


def placeholders(version: str, node: str) -> Facts:
    """Returns kubeadm's placeholders for the facts about a host. `node`: the name shown."""
    return Facts(node, "1.2.3.4", "unix:///var/run/containerd/containerd.sock", version, PLACEHOLDER_TOKEN)


def init_defaults(version: str, components: tuple[str, ...] = ()) -> str:
    """Returns InitConfiguration, ClusterConfiguration and the requested component configurations. `version`: as v1.34.4."""
    minor = parse_version(version).minor
    facts = placeholders(f"1.{minor}.0", "node")
    init = default_init(v4.InitConfiguration(), facts)
    # The taint of a control plane depends on the node's role, which an example does not know.
    init = replace(init, node_registration=replace(init.node_registration, taints=None))
    cluster = default_cluster(v4.ClusterConfiguration(), facts)
    parts = [document("InitConfiguration", v4.V1BETA4, init), document("ClusterConfiguration", v4.V1BETA4, cluster)]
    for kind in dict.fromkeys(components):
        make = kubelet_configuration if kind == KUBELET else proxy_configuration
        parts.append(to_yaml(make(cluster, None, minor)))
    return documents(parts)


def join_defaults(node: str) -> str:
    """Returns a JoinConfiguration with its defaults. `node`: this host's name, which kubeadm shows here."""
    given = v4.JoinConfiguration(
        discovery=v4.Discovery(
            v4.BootstrapTokenDiscovery(PLACEHOLDER_TOKEN, "kube-apiserver:6443", (), unsafe_skip_ca_verification=True)
        )
    )
    return document("JoinConfiguration", v4.V1BETA4, default_join(given, placeholders("", node)))


def reset_defaults() -> str:
    """Returns a ResetConfiguration with its defaults."""
    return document("ResetConfiguration", v4.V1BETA4, default_reset(v4.ResetConfiguration(), placeholders("", "node")))


def upgrade_defaults() -> str:
    """Returns an UpgradeConfiguration with its defaults."""
    return document("UpgradeConfiguration", v4.V1BETA4, default_upgrade(v4.UpgradeConfiguration()))


def migrated(loaded: Loaded, facts: Facts) -> str:
    """Returns every kubeadm kind of a file in the newest version, completed and checked. Raises `InvalidConfig`."""
    parts: list[str] = []
    if loaded.init is not None or loaded.cluster is not None:
        setup = resolve_init(loaded, facts)
        parts.append(document("InitConfiguration", v4.V1BETA4, setup.init))
        parts.append(document("ClusterConfiguration", v4.V1BETA4, setup.cluster))
    if loaded.join is not None:
        parts.append(document("JoinConfiguration", v4.V1BETA4, resolve_join(loaded, facts)[0]))
    if loaded.reset is not None:
        parts.append(document("ResetConfiguration", v4.V1BETA4, resolve_reset(loaded, facts)))
    if loaded.upgrade is not None:
        parts.append(document("UpgradeConfiguration", v4.V1BETA4, resolve_upgrade(loaded)))
    return documents(parts)


def left_out(loaded: Loaded) -> list[str]:
    """Returns a note for each document that `migrated` does not write, as kubeadm does not."""
    return [
        f"{loaded.source}:{document.line}: {kind} is not in the result, which has kubeadm's kinds only: copy this document"
        for kind, document in loaded.documents.items()
        if kind in COMPONENTS
    ]
