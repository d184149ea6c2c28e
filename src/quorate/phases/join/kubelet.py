"""The kubelet of a joining node: it starts with a token and then gets its own certificate."""

from __future__ import annotations

from contextlib import suppress

from quorate.config import gates
from quorate.deadline import Deadline, poll
from quorate.errors import ConfigError, PreflightFailed
from quorate.phases.base import api_access
from quorate.phases.base.context import Context
from quorate.phases.base.heartbeat import Heartbeat
from quorate.phases.cluster import upload_config
from quorate.phases.join.prepared_join import PreparedJoin
from quorate.phases.node import kubeconfigs, kubelet_files
from quorate.phases.start import kubelet_start, staged_start, wait_healthy
from quorate.pki import kubeconfig
from quorate.pki.kubeconfig import Identity
from quorate.pki.kubeconfig_files import missing_files
from quorate.secret import Secret

PHASE = "kubelet-start"
_BOOTSTRAP, _FINAL = "bootstrap-kubelet", "kubelet"
_USER = "tls-bootstrap-token-user"
_POLL_SECONDS = 0.2


def start(join: PreparedJoin) -> None:
    """Writes the kubelet's files and starts it. Raises `PreflightFailed` when a Ready node has this name."""
    context = join.context
    _check_name_is_free(join, context)
    path = kubeconfigs.path_of(context, _BOOTSTRAP)
    if not context.dry_run:
        kubelet_start.stop(context)
    if not _has_certificate(context):
        context.tree.write(path, _bootstrap(join, context), mode=kubeconfig.MODE, secret=True)
    if not context.tree.is_file(join.request.config.ca_cert_path):
        context.tree.write(join.request.config.ca_cert_path, join.cluster.login.ca_pem, mode=0o644)
    kubelet_files.write_all(context, join.kubelet_config)
    kubelet_start.start(context)


def _has_certificate(context: Context) -> bool:
    """Returns whether kubelet.conf has a certificate. The kubelet writes the file when it begins to request one, and names the
    files that will hold it: neither proves anything before those are there."""
    path = kubeconfigs.path_of(context, _FINAL)
    content = context.tree.read(path)
    if content is None or missing_files(kubeconfig.parse(content, path), path, context.tree.is_file):
        return False
    parsed = api_access.read(context.tree, path, context.this_node)
    return bool(parsed.certificate_pem and parsed.key_pem.reveal())


def _check_name_is_free(join: PreparedJoin, context: Context) -> None:
    if _has_certificate(context):
        return
    with join.cluster.client() as client:
        node = client.find("Node", context.node.name)
    conditions = ((node or {}).get("status") or {}).get("conditions") or []
    if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
        name = context.node.name
        raise PreflightFailed(
            f'a Node with name "{name}" and status "Ready" already exists in the cluster',
            state="the existing node is not affected",
            advice=f"choose another name with --node-name, or delete the existing node first: kubectl delete node {name}",
        )


def _bootstrap(join: PreparedJoin, context: Context) -> bytes:
    """Returns the bootstrap kubeconfig. It names the shared endpoint, also where the kubelet will later use the API server of
    its own node: that one does not run yet, and a kubelet without an answer backs off (this loses six seconds or more)."""
    found = join.cluster.login
    token = join.request.config.discovery.tls_bootstrap_token
    if not token and not found.token.reveal():
        raise PreflightFailed(
            "the kubelet has no token to request its certificate with",
            advice="give --token, or --tls-bootstrap-token",
        )
    return kubeconfig.render(
        Identity(_USER, token=Secret(token) if token else found.token),
        server=found.url,
        ca_pem=found.ca_pem,
        cluster=context.cluster.cluster_name,
        minor=context.minor,
    )


def finish(join: PreparedJoin) -> None:
    """Waits until the kubelet has its certificate, then deletes its bootstrap kubeconfig."""
    context = join.context
    if context.dry_run:
        context.say(PHASE, "Would wait for the kubelet to perform the TLS Bootstrap")
        return
    wait_healthy.wait_kubelet(context)
    context.say(PHASE, "Waiting for the kubelet to perform the TLS Bootstrap")
    seconds = context.timeouts.tls_bootstrap.seconds if context.timeouts.tls_bootstrap else 300.0
    deadline = Deadline(context.clock, seconds, "the kubelet gets its own certificate")
    heartbeat = Heartbeat(context.clock, context.report, "the kubelet's certificate", seconds)

    def signed() -> bool | None:
        # The kubelet writes kubelet.conf in place: half of it is no kubeconfig, and the next look sees the rest.
        with suppress(ConfigError):
            if _has_certificate(context):
                return True
        # Where no other controller manager runs, this node's own has to sign the request.
        staged_start.start_if_let_in(context)
        heartbeat.beat()
        return None

    if not poll(signed, context.clock, deadline, every=_POLL_SECONDS):
        raise deadline.error(advice="'journalctl -u kubelet' shows why, 'kubectl get csr' shows its requests")
    context.tree.remove(kubeconfigs.path_of(context, _BOOTSTRAP))
    _point_to_local(join, context)
    upload_config.annotate_node(context, kubeconfigs.path_of(context, _FINAL))


def _point_to_local(join: PreparedJoin, context: Context) -> None:
    """Points a control plane's kubelet to the API server of its own node, where the feature gate is on. The restart waits until
    the kubelet has started its components: a kubelet that ends while it creates a pod makes the next one start over. That of a
    standby keeps the shared endpoint: no API server runs on its node."""
    if (
        not join.request.control_plane
        or join.request.is_standby
        or not gates.is_on("ControlPlaneKubeletLocalMode", context.minor, context.cluster.feature_gates)
    ):
        return
    path = kubeconfigs.path_of(context, _FINAL)
    parsed = kubeconfig.parse(context.tree.read(path) or b"", path)
    local = kubeconfigs.local_server(context)
    if parsed.server == local:
        return
    clusters = [
        {**row, "cluster": {**row["cluster"], "server": local}} if row.get("name") == parsed.cluster else row
        for row in parsed.data["clusters"]
    ]
    wait_healthy.wait_started(context)
    context.tree.write(path, kubeconfig.dump({**parsed.data, "clusters": clusters}), mode=kubeconfig.MODE, secret=True)
    context.say(PHASE, f"Pointing the kubelet to the API server of this node, {local}")
    kubelet_start.start(context)
