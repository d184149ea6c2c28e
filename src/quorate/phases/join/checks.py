"""Phase preflight of a join: this host first, then what the cluster asks of it."""

from __future__ import annotations

from datetime import timedelta

from quorate.core.finding import Finding
from quorate.errors import PreflightFailed
from quorate.kube.errors import KubeError
from quorate.phases.base.context import Context
from quorate.phases.join.state import JoinRun
from quorate.phases.node import certs, run_marker
from quorate.phases.node import checks as node_checks
from quorate.pki.table import SA_KEY, SA_PUB, entries
from quorate.preflight import node

_WORTH_SAYING_SECONDS = 10.0
_TOO_FAR_SECONDS = 300.0


def run(join: JoinRun) -> None:
    """Raises `PreflightFailed` with nothing changed."""
    resumed = run_marker.is_resumed(join.base, "join")
    role = () if join.control_plane else (node.check_ca_file,)
    join.findings += node_checks.run_checks(join.base, (*node.JOIN_NODE, *role), resumed=resumed)
    join.findings += node_checks.judged(join.base, _check_clock(join))
    context = join.context
    if not join.control_plane:
        _check_api(join)
        return
    if not context.cluster.control_plane_endpoint:
        raise PreflightFailed(
            "unable to add a new control plane instance to a cluster that doesn't have a stable controlPlaneEndpoint address",
            state="nothing was changed",
            advice="set controlPlaneEndpoint in the ConfigMap kube-system/kubeadm-config to an address that will stay",
        )
    _check_shared_certificates(join, context)
    checks = node.JOIN_CONTROL_PLANE if _downloads(join) else node.JOIN_WITH_OWN_CERTIFICATES
    join.findings += node_checks.run_checks(context, checks, resumed=resumed, wants_images=True)


def _downloads(join: JoinRun) -> bool:
    return join.join.control_plane is not None and bool(join.join.control_plane.certificate_key)


def _check_clock(join: JoinRun) -> list[Finding]:
    """Certificates are given out from five minutes before now on: a node that is further behind takes its own for invalid."""
    with join.client() as client:
        client.request("GET", "/version")
    off = abs(client.skew)
    if off < _WORTH_SAYING_SECONDS:
        return []
    way = "ahead of" if client.skew > 0 else "behind"
    text = f"the clock of this host is {timedelta(seconds=round(off))} {way} the API server's: set one of them"
    return [Finding("ClockSkew", "error" if off >= _TOO_FAR_SECONDS else "warning", text)]


def _check_api(join: JoinRun) -> None:
    """A worker joins a control plane that is well."""
    with join.client() as client:
        try:
            client.request("GET", "/readyz")
        except KubeError as error:
            raise PreflightFailed(
                f"the control plane is not ready: {error.what}",
                state="nothing was changed",
                advice="'quorate doctor' on a control-plane node tells what it lacks",
            ) from None


def _check_shared_certificates(join: JoinRun, context: Context) -> None:
    """Without a certificate key whoever joins must have brought them."""
    if _downloads(join):
        return
    authorities = [entry for entry in entries(context.cluster, context.node) if entry.is_ca]
    wanted = [certs.files(context, entry)[0] for entry in authorities] + [context.pki(SA_KEY), context.pki(SA_PUB)]
    missing = [path for path in wanted if not context.tree.is_file(path)]
    if missing:
        raise PreflightFailed(
            f"the shared certificates are not here: {', '.join(missing)}",
            state="nothing was changed",
            advice="copy them from a control-plane node, or let the cluster keep them: there, "
            "'quorate init phase upload-certs --upload-certs', and here --certificate-key",
        )
