"""What the phases of join do: each is given the run. Steps of a control plane do nothing on a worker."""

from __future__ import annotations

from quorate.manifests.control_plane import PODS
from quorate.phases import (
    certs,
    download_certs,
    etcd_join,
    join_checks,
    kubeconfigs,
    kubelet_bootstrap,
    mark_control_plane,
    static_pods,
)
from quorate.phases import wait as waiting
from quorate.phases.joining import JoinRun

_CONFS = ("admin", "controller-manager", "scheduler")


def preflight(join: JoinRun) -> None:
    join_checks.run(join)


def download(join: JoinRun) -> None:
    if join.control_plane:
        download_certs.run(join)


def certificates(join: JoinRun) -> None:
    if join.control_plane:
        certs.ensure_all(join.context)


def kubeconfig(join: JoinRun) -> None:
    if join.control_plane:
        kubeconfigs.ensure_named(*_CONFS)(join.context)


def control_plane(join: JoinRun) -> None:
    """In a whole join beside a local etcd the manifests wait for it; a phase alone writes them where they belong."""
    if not join.control_plane:
        return
    if join.whole and join.context.cluster.etcd.external is None:
        static_pods.stage(join.context, PODS, "etcd serves")
    else:
        static_pods.write_control_plane()(join.context)


def check_etcd(join: JoinRun) -> None:
    etcd_join.check(join)


def kubelet_start(join: JoinRun) -> None:
    kubelet_bootstrap.start(join)


def join_etcd(join: JoinRun) -> None:
    if join.control_plane:
        etcd_join.run(join)
        static_pods.publish(join.context, (waiting.API_SERVER,) if join.waits_for_control_plane else PODS)


def is_alone(join: JoinRun) -> bool:
    """In a whole join etcd was joined before, by the phase of its own."""
    return not join.whole


def wait_bootstrap(join: JoinRun) -> None:
    kubelet_bootstrap.finish(join)


def nothing(_join: JoinRun) -> None:
    """Phases that older versions had."""


def mark(join: JoinRun) -> None:
    if join.control_plane:
        mark_control_plane.run(join.context, join.admin)


def wait(join: JoinRun) -> None:
    if join.control_plane:
        waiting.run(join.context)
