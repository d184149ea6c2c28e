"""Phases check-etcd and etcd-join: this node's etcd, a static pod, becomes a voter by the membership engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from quorate.config import gates
from quorate.config.types import ExternalEtcd
from quorate.core.membership import odd_advice
from quorate.errors import PreflightFailed, QuorateError, Refused
from quorate.etcd.autopilot.standbys import mark
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, load_tls
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join_state import JoinPolicy, JoinResult
from quorate.etcd.membership.runtime import JoinSpec
from quorate.foreign.urls import parts_of
from quorate.foreign.values import mapping_of, rows_of, text_of
from quorate.host.etcd_identity import DataIdentity, data_identity
from quorate.kube.client import KubeClient
from quorate.manifests import images
from quorate.manifests.etcd import URLS_ANNOTATION, client_url, peer_url
from quorate.member.static_pod import StaticPod
from quorate.phases.base.api_access import connected
from quorate.phases.base.context import Context
from quorate.phases.base.node_files import real_path, tls_files
from quorate.phases.join.prepared_join import PreparedJoin
from quorate.phases.node import checks as node_checks
from quorate.phases.node import static_pods
from quorate.phases.start import wait_healthy
from quorate.preflight import external_etcd
from quorate.report import Notice, ResourceWritten

CHECK, PHASE = "check-etcd", "etcd"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane="


def endpoints(client: KubeClient, leave_out: str = "") -> list[str]:
    """Returns the client URLs of the cluster's etcd members: from the annotations of their pods, and from the addresses of
    control-plane nodes, as a pod may be missing while its node is away. `leave_out`: an address to omit."""
    pods = client.list("Pod", "kube-system", labels="component=etcd,tier=control-plane")
    annotations = [mapping_of(mapping_of(pod.get("metadata")).get("annotations")) for pod in pods]
    found = [text_of(row.get(URLS_ANNOTATION)) for row in annotations]
    for node in client.list("Node", labels=CONTROL_PLANE):
        rows = rows_of(mapping_of(node.get("status")).get("addresses"))
        found += [client_url(text_of(row.get("address"))) for row in rows if row.get("type") == "InternalIP"]
    # Anyone who may create a pod may annotate it with http://. kubeadm's etcd serves TLS only: other URLs are dropped.
    urls = [url for one in found for url in one.split(",") if parts_of(url).scheme == "https" and parts_of(url).host]
    return [url for url in dict.fromkeys(urls) if not leave_out or url != client_url(leave_out)]


@contextmanager
def etcd_cluster(context: Context, urls: Sequence[str]) -> Iterator[Cluster]:
    """Yields the cluster at `urls`, with the health check's certificate, which every control-plane node has."""
    if not urls:
        raise PreflightFailed(
            "no etcd member of the cluster was found: no control-plane node or etcd pod shows an address of one",
            state="nothing was changed",
            advice="kubectl -n kube-system get pods -l component=etcd",
        )
    files = tls_files(context.tree, context.cluster.certificates_dir, "healthcheck-client")
    stall = context.timeouts.etcd_api_call
    with Access(load_tls(files), None, context.clock.cancel) as access:
        yield Cluster(
            access,
            [Endpoint.parse(url) for url in urls],
            context.clock,
            context.report,
            policy=JoinPolicy(stall.seconds if stall else 120.0),
        )


def check(join: PreparedJoin) -> None:
    """Checks that etcd is healthy enough for one more member. A dead minority is only reported: this join may be the repair."""
    context = join.context
    if not join.request.control_plane:
        return
    if context.dry_run:
        context.say(CHECK, "Would check that the etcd cluster is healthy")
        return
    context.say(CHECK, "Checking that the etcd cluster is healthy")
    if context.cluster.etcd.external is not None and join.request.is_standby:
        raise Refused(
            "the etcd of this cluster is external: no control-plane node has a member that could be a standby",
            advice="on a host of that etcd: quorate etcd add NAME --peer-urls URL --standby --occupy-the-seat",
        )
    if context.cluster.etcd.external is not None:
        _check_external(join, context.cluster.etcd.external)
        return
    with connected(context, join.request.admin) as client:
        _tell_nodes(context, client)
        join.account.etcd_urls = tuple(endpoints(client, context.node.address))
    with etcd_cluster(context, join.account.etcd_urls) as cluster:
        view = cluster.status()
        for member in view.members:
            if view.answer(member.id) is None and peer_url(context.node.address) not in member.peer_urls:
                context.report(Notice(f"etcd member {member.name or f'{member.id:x}'} does not answer", "warning"))


def _check_external(join: PreparedJoin, external: ExternalEtcd) -> None:
    """Checks an external etcd, now that its certificates are on this node."""
    try:
        join.account.findings += node_checks.judged(
            join.context, list(external_etcd.check_for_join(external, join.context.minor))
        )
    except PreflightFailed as error:
        # "nothing was changed" is wrong by now: files were written. The whole join reports whether they were deleted.
        error.state = ""
        raise


def _tell_nodes(context: Context, client: KubeClient) -> None:
    """Warns of control-plane nodes that are not Ready, and does not fail: this join may be the repair."""
    for node in client.list("Node", labels=CONTROL_PLANE):
        rows = rows_of(mapping_of(node.get("status")).get("conditions"))
        if not any(row.get("type") == "Ready" and row.get("status") == "True" for row in rows):
            name = text_of(mapping_of(node.get("metadata")).get("name"))
            context.report(Notice(f"the control-plane node {name} is not Ready", "warning"))


def run(join: PreparedJoin) -> None:
    """Joins etcd. Raises what `Cluster.join` raises; `state` then says whether the member list is as it was."""
    context = join.context
    if context.cluster.etcd.external is not None or not join.request.control_plane:
        return
    if context.dry_run:
        context.say(PHASE, "Would join the etcd cluster as a learner, and become a voter when aligned")
        return
    with etcd_cluster(context, join.account.etcd_urls or _etcd_urls(join)) as cluster:
        policy = dataclasses.replace(
            cluster.policy,
            keep_on_failure=join.request.keep_on_failure,
            voter_join=gates.wants_voter_join(context.cluster.feature_gates) and not join.request.is_standby,
            ends_as=join.request.ends_as,
        )
        result = _join(context, dataclasses.replace(cluster, policy=policy))
        if join.request.is_standby:
            mark(cluster.access, cluster.endpoints, context.clock, cluster.look(), result.member_id)
        advice = _advice(cluster)
    join.account.joined_etcd = True
    if join.request.is_standby:
        context.report(ResourceWritten("member", f"member {context.node.name} ({result.member_id:x}) of etcd, a standby"))
        context.say(PHASE, "The new etcd member has all data, and no vote: it is a standby of the autopilot")
        return
    context.report(ResourceWritten("member", f"member {context.node.name} ({result.member_id:x}) of etcd, a voter"))
    context.report(Notice(advice))
    context.say(PHASE, f"The new etcd member serves as a voter, {result.timings.get('serving', 0.0):.1f} s after it was added")


def _etcd_urls(join: PreparedJoin) -> tuple[str, ...]:
    """Returns etcd's client URLs for a phase that runs alone, without check-etcd before it."""
    with connected(join.context, join.request.admin) as client:
        return tuple(endpoints(client, join.context.node.address))


def _advice(cluster: Cluster) -> str:
    """Returns how many members may fail. An error of this look is only text: the join has succeeded already."""
    try:
        return odd_advice(cluster.status())
    except QuorateError as error:
        return f"it is unknown how many etcd members may fail: {error.what}"


def _join(context: Context, cluster: Cluster) -> JoinResult:
    address, name = context.node.address, context.node.name
    context.say(PHASE, "Announced new etcd member joining to the existing etcd cluster")
    spec = JoinSpec(
        name,
        peer_url(address),
        Endpoint.parse(client_url(address)),
        load_tls(tls_files(context.tree, context.cluster.certificates_dir, "peer")),
    )
    return cluster.join(spec, runtime_of(context))


def _was_begun(context: Context) -> bool:
    """Returns whether an etcd of this node may exist: its manifest, or data that a member has written. The manifest alone does
    not show it: the undo deletes it, and data that is not this join's may be a voter's."""
    return context.tree.is_file(static_pods.manifest_path("etcd")) or owner_of_data(context) is not None


def owner_of_data(context: Context) -> DataIdentity | None:
    """Returns the member whose data is in this node's data directory."""
    local = context.cluster.etcd.local
    return data_identity(real_path(context.tree, local.data_dir)) if local is not None else None


def runtime_of(context: Context) -> StaticPod:
    local = context.cluster.etcd.local
    assert local is not None
    return StaticPod(
        manifest=real_path(context.tree, static_pods.manifest_path("etcd")),
        data_dir=real_path(context.tree, local.data_dir),
        socket=context.cri_socket,
        image=images.etcd(context.cluster),
        write=lambda rows: static_pods.write_member(context, rows),
        log_lines=lambda path: wait_healthy.last_words(context, path),
        clock=context.clock,
        kubelet=context.kubelet,
        peer_url=peer_url(context.node.address),
    )


def vote_of(join: PreparedJoin) -> Literal["none", "voter", "unknown"]:
    """Returns whether this node's etcd has a vote, as the other members see it. What is a voter, or may be one, is never
    rolled back. Before its manifest is written it has no vote, except where learners are switched off: there the vote comes
    first.

    "none" lets the undo delete the node's data. It therefore needs a list that was read through the quorum and has no member
    of this node, neither at its peer URL nor under its name. A list that one member serves alone is outdated when that member
    was cut off; and a learner that is still listed is one that could not be undone.
    """
    context = join.context
    if context.cluster.etcd.external is not None or not join.request.control_plane:
        return "none"
    try:
        if not _was_begun(context) and not gates.wants_voter_join(context.cluster.feature_gates):
            return "none"
        owner = owner_of_data(context)
        with connected(context, join.request.admin) as client:
            client.patience = 10.0
            urls = endpoints(client, context.node.address)
        with etcd_cluster(context, urls) as cluster:
            view = cluster.status()
    except QuorateError:
        return "unknown"
    named = view.by_peer_urls((peer_url(context.node.address),)) or view.by_name(context.node.name)
    member = (view.by_id(owner.member_id) if owner else None) or named
    if member is None:
        return "none" if view.linearizable else "unknown"
    return "unknown" if member.is_learner else "voter"
