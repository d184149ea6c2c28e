"""Phase preflight of a join: checks this host first, then what the cluster requires."""

from __future__ import annotations

from datetime import timedelta

from quorate.core.finding import Finding
from quorate.deadline import CORRECT_CLOCK
from quorate.errors import PreflightFailed
from quorate.host.node import NodeFacts
from quorate.kube.client import KubeClient
from quorate.kube.errors import KubeError
from quorate.phases.join.found_cluster import find_cluster
from quorate.phases.join.prepared_join import PreparedJoin, prepare
from quorate.phases.join.request import JoinAccount, JoinRequest
from quorate.phases.node import certs, static_pods
from quorate.phases.node import checks as node_checks
from quorate.pki.table import SA_KEY, SA_PUB, entries
from quorate.preflight import node

_WORTH_SAYING_SECONDS = 10.0
_TOO_FAR_SECONDS = 300.0


def run(request: JoinRequest, account: JoinAccount) -> PreparedJoin:
    """Checks this host, finds the cluster and returns the prepared join. Raises `PreflightFailed` with nothing changed."""
    base, resumed = request.context, node_checks.is_resumed(request.context, "join")
    role = () if request.control_plane else (node.check_ca_file,)
    facts = node_checks.facts_of(base)
    account.findings += node_checks.run_checks(base, (*node.JOIN_NODE, *role), facts, resumed=resumed)
    cluster = find_cluster(request)
    with cluster.client() as client:
        account.findings += node_checks.judged(base, _check_clock(client))
        join = prepare(cluster, client, account)
        if not request.control_plane:
            _check_api(client)
            return join
    _check_control_plane(join, facts, resumed=resumed)
    return join


def _check_control_plane(join: PreparedJoin, facts: NodeFacts, *, resumed: bool) -> None:
    context = join.context
    if not context.cluster.control_plane_endpoint:
        raise PreflightFailed(
            "unable to add a new control plane instance to a cluster that doesn't have a stable controlPlaneEndpoint address",
            state="nothing was changed",
            advice="set controlPlaneEndpoint in the ConfigMap kube-system/kubeadm-config to an address that will not change",
        )
    static_pods.check_manifests(context)
    _check_shared_certificates(join)
    checks = node.JOIN_CONTROL_PLANE if _downloads(join) else node.JOIN_WITH_OWN_CERTIFICATES
    join.account.findings += node_checks.run_checks(context, checks, facts, resumed=resumed, wants_images=True)


def _downloads(join: PreparedJoin) -> bool:
    control_plane = join.request.config.control_plane
    return control_plane is not None and bool(control_plane.certificate_key)


def _check_clock(client: KubeClient) -> list[Finding]:
    """Returns a finding when the clocks differ. Certificates are valid from five minutes before they are issued: a node whose
    clock is further behind rejects its own."""
    client.request("GET", "/version")
    off = abs(client.skew)
    if off < _WORTH_SAYING_SECONDS:
        return []
    way = "ahead of" if client.skew > 0 else "behind"
    text = f"the clock of this host is {timedelta(seconds=round(off))} {way} that of the API server"
    return [Finding("ClockSkew", "error" if off >= _TOO_FAR_SECONDS else "warning", text, CORRECT_CLOCK)]


def _check_api(client: KubeClient) -> None:
    """Raises `PreflightFailed` when the control plane that a worker joins is not ready."""
    try:
        client.request("GET", "/readyz")
    except KubeError as error:
        raise PreflightFailed(
            f"the control plane is not ready: {error.what}",
            state="nothing was changed",
            advice="run 'quorate doctor' on a control-plane node: it shows what is wrong",
        ) from None


def _check_shared_certificates(join: PreparedJoin) -> None:
    """Raises `PreflightFailed` when shared certificates are missing: without a certificate key they are copied by hand."""
    if _downloads(join):
        return
    context = join.context
    authorities = [entry for entry in entries(context.cluster, context.node) if entry.is_ca]
    wanted = [certs.files(context, entry)[0] for entry in authorities] + [context.pki(SA_KEY), context.pki(SA_PUB)]
    missing = [path for path in wanted if not context.tree.is_file(path)]
    if missing:
        raise PreflightFailed(
            f"shared certificates are missing on this host: {', '.join(missing)}",
            state="nothing was changed",
            advice="copy them from a control-plane node; or run 'quorate init phase upload-certs --upload-certs' there "
            "and give its key here with --certificate-key",
        )
