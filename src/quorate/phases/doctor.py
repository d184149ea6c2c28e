"""One look at a node and its cluster: reports what is wrong and the command that fixes it. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from msgspec.structs import replace as with_changes

from quorate.config.components import HEALTHZ_PORT
from quorate.core.finding import Finding, errors_first
from quorate.core.membership import ClusterView, margin_of, odd_advice
from quorate.errors import QuorateError, Refused
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.coordination.pending_joins import PendingJoin
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.foreign.urls import parts_of
from quorate.host import facts, kubelet
from quorate.host.cri import Runtime
from quorate.phases.base.api_access import connected
from quorate.phases.base.context import Context
from quorate.phases.base.this_node import ThisNode
from quorate.phases.join import etcd as etcd_join
from quorate.phases.node import kubeconfigs, leftovers, renewal, run_marker, static_pods
from quorate.phases.node.local_etcd import local_etcd
from quorate.phases.start import wait_healthy

_SOON = timedelta(days=30)
_PODS = ("etcd", *wait_healthy.COMPONENTS)


def examine(context: Context, admin: str) -> list[Finding]:
    """Returns all findings, errors first. A check that fails becomes a finding itself; the others still run."""
    found: list[Finding] = []
    for check in _CHECKS:
        try:
            found += check(context, admin)
        except QuorateError as error:
            found.append(Finding(check.__name__.removeprefix("check_"), "error", error.what, error.advice))
    return errors_first(found)


def check_user(context: Context, _admin: str) -> Iterator[Finding]:
    if os.geteuid() != 0:
        text = "this is not run as root: what only root may read counts as missing"
        yield Finding("user", "warning", text, f"run it as root: sudo {context.this_node.command('doctor')}")


def check_unfinished(context: Context, _admin: str) -> Iterator[Finding]:
    if path := run_marker.void_since(context):
        text = f"{run_marker.PATH} is the record of an init or join that was cut off, and another program wrote {path} since"
        yield Finding("unfinished", "warning", text, f"rm {run_marker.PATH}")
    elif context.tree.is_file(run_marker.PATH):
        text = "an init or join of this node was cut off"
        yield Finding("unfinished", "error", text, f"run the same command again, or: {context.this_node.command('reset')}")


def check_taken_away(context: Context, _admin: str) -> Iterator[Finding]:
    """Finds data of a member that a reset or an undo had taken away when it was cut off: its etcd would begin empty. And what
    killed runs have left beside other files, which may hold keys."""
    local = context.cluster.etcd.local
    for held, mend in ((TAKEN, "when a member runs here, move it back to {}"), (JUDGED, "delete it; it was in {}")):
        path = f"{local.data_dir}/{held}" if local is not None else ""
        if local is not None and context.tree.names(path):
            text = f"{path} holds what a reset or a rollback took away when it was cut off"
            yield Finding("unfinished", "error", text, mend.format(local.data_dir))
    for path in leftovers.found(context.tree, context.cluster.certificates_dir):
        text = f"{path} was left by a run that was cut off, or is of one that is at work now; it may hold a private key"
        yield Finding("unfinished", "warning", text, "when no quorate is at work here, see what it is, and delete it")


def check_certificates(context: Context, _admin: str) -> Iterator[Finding]:
    leaves, authorities = renewal.expiries(context)
    ended = [one for one in leaves if (left := one.left(context.now)) is not None and left < timedelta(0)]
    renewable = [one.name for one in ended if one.authority and not one.external]
    by_one_command = renewable if len(renewable) > 1 else []
    if by_one_command:
        text = f"{len(by_one_command)} certificates have expired: {', '.join(by_one_command)}"
        yield Finding("certificates", "error", text, context.this_node.command("certs", "renew", "all"))
    for one in (*leaves, *authorities):
        if one.unreadable or one.unfit:
            yield Finding("certificates", "error", one.unreadable or one.unfit, one.fix)
        left = one.left(context.now)
        if left is None or left > _SOON or one.name in by_one_command:
            continue
        renewed_here = one.authority and not one.external
        mend = context.this_node.command("certs", "renew", one.name) if renewed_here else "renew it where its CA's key is"
        if left < timedelta(0):
            yield Finding("certificates", "error", f"{one.name} has expired", mend)
        else:
            yield Finding("certificates", "warning", f"{one.name} expires in {left.days} days", mend)


def check_keys(context: Context, _admin: str) -> Iterator[Finding]:
    """Finds private keys that other users can read: whoever has that of a CA is everybody."""
    for folder in (context.cluster.certificates_dir, f"{context.cluster.certificates_dir}/etcd"):
        for name in context.tree.names(folder):
            mode = context.tree.mode(path := f"{folder}/{name}")
            if name.endswith(".key") and mode is not None and mode & 0o077:
                yield Finding("keys", "warning", f"{path} is open to other users (mode {mode:04o})", f"chmod 600 {path}")


def check_kubelet(context: Context, _admin: str) -> Iterator[Finding]:
    said, installed = kubelet.health(HEALTHZ_PORT), facts.kubelet_version()
    if said and not installed:
        yield Finding("kubelet", "error", "no kubelet is installed", "install one, or run this on a node of a cluster")
    elif said:
        yield Finding("kubelet", "error", f"the kubelet is not healthy: {said}", "journalctl -u kubelet")
    if installed and not installed.startswith(f"v1.{context.minor}."):
        text = f"the kubelet is {installed}, but the control plane is {context.cluster.kubernetes_version}"
        yield Finding("kubelet", "warning", text, "upgrade the older one: 'kubeadm upgrade'")


def check_runtime(context: Context, _admin: str) -> Iterator[Finding]:
    with Runtime.connect(context.cri_socket, context.clock.cancel) as runtime:
        for problem in runtime.unready():
            yield Finding("runtime", "error", problem, "read the container runtime's own log")


def check_pods(context: Context, _admin: str) -> Iterator[Finding]:
    """Reports manifests that are still held back, and static pods that do not run, with the last lines of their log."""
    for name in _PODS:
        if context.tree.is_file(static_pods.staged_path(name)):
            yield _held_back(context, name)
    with Runtime.connect(context.cri_socket, context.clock.cancel) as runtime:
        for name in _PODS:
            if not context.tree.is_file(static_pods.manifest_path(name)):
                continue
            attempts = runtime.containers(name)
            if attempts and attempts[0].running:
                continue
            words = (
                wait_healthy.last_words(context, runtime.container_end(attempts[0].id).log_path)
                if attempts
                else "It has no container."
            )
            yield Finding("pods", "error", f"{name} is not running. {words}", f"crictl ps -a --name {name}")


def _held_back(context: Context, name: str) -> Finding:
    text = f"{name} was not started: its manifest is held back as {static_pods.staged_path(name)}"
    if context.tree.is_file(run_marker.PATH):
        return Finding("pods", "error", text, "run the init or join of this node again: it was cut off")
    run = context.this_node.command("autopilot", "run", "--stacked")
    return Finding(
        "pods", "warning", f"{text}, as on the node of a standby until its etcd is a voter", f"{run}    # starts it then"
    )


def check_api(context: Context, admin: str) -> Iterator[Finding]:
    if not context.tree.is_file(admin):
        return
    with connected(context, admin) as client:
        client.patience = 5.0
        for node in client.list("Node"):
            conditions = {one["type"]: one for one in (node.get("status") or {}).get("conditions") or []}
            ready = conditions.get("Ready", {})
            if ready.get("status") != "True":
                name = node["metadata"]["name"]
                text = f"node {name} is not Ready: {ready.get('message', 'it gives no reason')}"
                yield Finding("nodes", "warning", text, f"kubectl describe node {name}")


def check_etcd(context: Context, _admin: str) -> Iterator[Finding]:
    """Reports alarms, members that do not answer, learners, joins that were cut off, and how many members may fail."""
    own = local_etcd(context.tree)
    if own is None:
        return
    with etcd_join.etcd_cluster(context, [*own.client_urls, *own.others]) as cluster:
        try:
            view = cluster.with_standbys(cluster.status())
        except EtcdError as error:
            ends = f"crictl ps -a --name etcd    # its log says why it ended; {context.this_node.command('etcd', 'status')}"
            yield Finding("etcd", "error", error.what, error.own_advice or ends)
            return
        yield from _members(view, context.this_node)
        yield Finding("etcd-margin", "warning" if margin_of(view) < 1 else "info", odd_advice(view))
        for row in cluster.leftovers():
            if row.place is None:
                text = f"the join of {row.name} from {row.host} was cut off"
                yield Finding("etcd-joins", "warning", text, f"run it again, or: {_ending(row, context.this_node)}")


def _ending(row: PendingJoin, node: ThisNode) -> str:
    """Returns the commands that end a join that was cut off: they delete its record, and its learner where it is listed."""
    unlock = node.command("etcd", "unlock", row.run or row.name)
    if row.member is None or not row.member.is_learner:
        return unlock
    return f"{unlock} && {node.command('etcd', 'remove', f'{row.member.id:x}')}"


def _members(view: ClusterView, node: ThisNode) -> Iterator[Finding]:
    for alarm in view.alarms:
        yield Finding(
            "etcd-alarms", "error", f"etcd has the alarm {alarm.kind}", f"{node.command('etcd', 'status')}; etcdctl alarm list"
        )
    for member in view.members:
        name = member.name or f"{member.id:x}"
        if view.answer(member.id) is None:
            text = f"etcd member {name} does not answer"
            yield Finding(
                "etcd-members", "error", text, f"start it, or replace it: {node.command('etcd', 'replace', name, 'NEW')}"
            )
        elif view.is_standby(member):
            yield Finding(
                "etcd-members", "info", f"etcd member {name} is a standby: the autopilot gives it a vote when one is lost"
            )
        elif member.is_learner:
            text = f"etcd member {name} is a learner: it has no vote"
            yield Finding("etcd-members", "warning", text, f"{node.command('etcd', 'promote', name)}, or run its join again")


_CHECKS: tuple[Callable[[Context, str], Iterator[Finding]], ...] = (
    check_user,
    check_unfinished,
    check_taken_away,
    check_certificates,
    check_keys,
    check_kubelet,
    check_runtime,
    check_pods,
    check_api,
    check_etcd,
)


def of_this_node(context: Context) -> Context:
    """Returns the context with the name and address of this node's etcd, as its manifest has them."""
    try:
        own = local_etcd(context.tree)
    except Refused:
        # A finding says so: see `check_etcd`.
        return context
    if own is not None:
        address = parts_of(own.peer_urls[0]).host or context.endpoint.advertise_address
        registration = with_changes(context.registration, name=own.name)
        endpoint = with_changes(context.endpoint, advertise_address=address)
        context = replace(context, registration=registration, endpoint=endpoint)
    return context


def admin_of(context: Context) -> str:
    return kubeconfigs.path_of(context, "admin")
