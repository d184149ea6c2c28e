"""Phase upload-config: the configuration stored in the cluster, for joins and upgrades."""

from __future__ import annotations

import hashlib
from typing import Any

from quorate.config import types as v4
from quorate.config import v1beta3
from quorate.config.components import KUBELET, kubelet_configuration
from quorate.config.render import document, to_yaml
from quorate.kube import rbac
from quorate.kube.addons import HASH_ANNOTATION
from quorate.kube.resources import Object, new
from quorate.phases.base.api_access import connected
from quorate.phases.base.apply import apply_all
from quorate.phases.base.context import Context
from quorate.phases.base.node_object import wait_for_node
from quorate.phases.node import kubelet_files
from quorate.report import Notice

PHASE = "upload-config"
_V4_SINCE = 31
CRI_ANNOTATION = "kubeadm.alpha.kubernetes.io/cri-socket"


def upload_kubeadm(context: Context, kubeconfig: str) -> None:
    name = "kubeadm-config"
    context.say(PHASE, f'Storing the configuration used in ConfigMap "{name}" in the "kube-system" Namespace')
    text, lost = stored_cluster(context.cluster, context.minor)
    if lost:
        context.report(Notice(f"Kubernetes 1.{context.minor} stores v1beta3, which cannot hold {', '.join(lost)}", "warning"))
    apply_all(
        context,
        kubeconfig,
        [*rbac.kubeadm_config(), new("ConfigMap", name, "kube-system", data={"ClusterConfiguration": text})],
    )


def stored_cluster(cluster: v4.ClusterConfiguration, minor: int) -> tuple[str, list[str]]:
    """Returns the text in the API version that clusters of this minor version store, and the fields that were lost in it."""
    if minor >= _V4_SINCE:
        return document("ClusterConfiguration", v4.V1BETA4, cluster), []
    old, lost = v1beta3.downgrade_cluster(cluster)
    return document("ClusterConfiguration", v4.V1BETA3, old), lost


def upload_kubelet(context: Context, kubeconfig: str) -> None:
    name = "kubelet-config"
    context.say(
        "kubelet",
        f'Creating a ConfigMap "{name}" in namespace kube-system with the configuration for the kubelets in the cluster',
    )
    apply_all(context, kubeconfig, [_kubelet_map(context, name), *rbac.kubelet_config()])
    annotate_node(context, kubeconfig)


def _kubelet_map(context: Context, name: str) -> Object:
    given: Any = context.components.get(KUBELET)
    text = to_yaml(kubelet_configuration(context.cluster, dict(given) if given else None, context.minor))
    made = new("ConfigMap", name, "kube-system", data={"kubelet": text})
    if given is None:
        made["metadata"]["annotations"] = {HASH_ANNOTATION: config_hash(text)}
    return made


def config_hash(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def annotate_node(context: Context, kubeconfig: str) -> None:
    """Annotates the node with the runtime's socket, unless a file on the node has it."""
    if kubelet_files.uses_instance_file(context) or context.dry_run:
        return
    with connected(context, kubeconfig) as client:
        wait_for_node(context, client)
        client.patch(
            "Node", context.node.name, {"metadata": {"annotations": {CRI_ANNOTATION: context.registration.cri_socket}}}
        )
