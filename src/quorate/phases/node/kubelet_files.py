"""The kubelet's files of phase kubelet-start: its configuration, this node's part of it, and its flags."""

from __future__ import annotations

from typing import Any

from quorate.config import gates
from quorate.config.components import KUBELET, kubelet_configuration
from quorate.config.render import to_yaml
from quorate.config.types import Taint
from quorate.config.versions import parse_version
from quorate.errors import PreflightFailed
from quorate.manifests import images
from quorate.manifests.args import flags, merged
from quorate.phases.base.context import KUBELET_FOLDER, Context
from quorate.phases.node.static_pods import patch_set
from quorate.pki import kubeconfig

CONFIG, INSTANCE, FLAGS = (f"{KUBELET_FOLDER}/{name}" for name in ("config.yaml", "instance-config.yaml", "kubeadm-flags.env"))
PHASE, FINALIZE = "kubelet-start", "kubelet-finalize"
_MODE, _FOLDER_MODE = 0o644, 0o700
_NO_PAUSE_FLAG_SINCE = 35
"""The kubelet lost this flag in 1.35: it asks the runtime for the pause image."""


def write_all(context: Context, shared: dict[str, Any] | None = None) -> None:
    """Writes the kubelet's files. `shared`: the configuration of an existing cluster; without it, a new cluster's own."""
    context.say(PHASE, f'Writing kubelet environment file with flags to file "{FLAGS}"')
    context.tree.folder(KUBELET_FOLDER, mode=_FOLDER_MODE)
    context.tree.write(FLAGS, environment(context).encode(), mode=_MODE)
    if uses_instance_file(context):
        context.say(PHASE, f'Writing kubelet configuration to file "{INSTANCE}"')
        content = f'containerRuntimeEndpoint: "{context.registration.cri_socket}"\n'
        context.tree.write(INSTANCE, content.encode(), mode=_MODE)
    context.say(PHASE, f'Writing kubelet configuration to file "{CONFIG}"')
    context.tree.write(CONFIG, to_yaml(node_configuration(context, shared)).encode(), mode=_MODE)


def uses_instance_file(context: Context) -> bool:
    """Returns whether the runtime's socket is in a file on the node, instead of a flag and an annotation."""
    return gates.is_on("NodeLocalCRISocket", context.minor, context.cluster.feature_gates)


def node_configuration(context: Context, shared: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns the shared configuration with the values of this node, patched."""
    given = context.components.get(KUBELET)
    base = shared or kubelet_configuration(context.cluster, dict(given) if given else None, context.minor)
    if context.host.resolv_conf and not base.get("resolvConf"):
        base = {**base, "resolvConf": context.host.resolv_conf}
    if uses_instance_file(context):
        base = {**base, "containerRuntimeEndpoint": context.registration.cri_socket}
    return patch_set(context).apply("kubeletconfiguration", base)


def environment(context: Context) -> str:
    """Returns the line that the kubelet's unit reads."""
    version = parse_version(context.cluster.kubernetes_version)
    args = merged(_defaults(context), context.registration.kubelet_extra_args, version)
    return f'KUBELET_KUBEADM_ARGS="{" ".join(flags(args))}"\n'


def _defaults(context: Context) -> dict[str, str]:
    registration = context.registration
    found: dict[str, str] = {}
    if not uses_instance_file(context):
        found["container-runtime-endpoint"] = registration.cri_socket
    if registration.name != context.host.hostname:
        found["hostname-override"] = registration.name
    if context.minor < _NO_PAUSE_FLAG_SINCE:
        found["pod-infra-container-image"] = images.pause(context.cluster)
    if registration.taints and not context.control_plane:
        # Phase mark-control-plane sets the taints of a control plane.
        found["register-with-taints"] = ",".join(_taint(taint) for taint in registration.taints)
    return found


def use_rotated_certificate(context: Context) -> None:
    """Points kubelet.conf to the certificate that the kubelet renews, where it has one already."""
    args = {arg.name: arg.value for arg in context.registration.kubelet_extra_args}
    rotated = f"{args.get('cert-dir', f'{KUBELET_FOLDER}/pki')}/kubelet-client-current.pem"
    if not context.tree.is_file(rotated):
        context.say(FINALIZE, f"{rotated} does not exist: the kubelet has no certificate of its own yet")
        return
    path = f"{context.config_folder}/kubelet.conf"
    content = context.tree.read(path)
    if content is None:
        create = context.this_node.command("init", "phase", "kubeconfig", "kubelet")
        raise PreflightFailed(f"{path} is missing", advice=f"create it first: {create}")
    parsed = kubeconfig.parse(content, path)
    if not parsed.certificate_pem:
        return
    context.say(FINALIZE, f'Updating "{path}" to point to a rotatable kubelet client certificate and key')
    user = {"client-certificate": rotated, "client-key": rotated}
    data = {**parsed.data, "users": [{"name": parsed.user, "user": user}]}
    context.tree.write(path, to_yaml(data).encode(), mode=kubeconfig.MODE, secret=True)


def _taint(taint: Taint) -> str:
    return f"{taint.key}={taint.value}:{taint.effect}"
