"""The functions of join's phases after the checks have found the cluster. Those of a control plane do nothing on a worker."""

from __future__ import annotations

from quorate.manifests.control_plane import PODS
from quorate.phases.base.runner import Steps
from quorate.phases.cluster import mark_control_plane
from quorate.phases.join import download_certs
from quorate.phases.join import etcd as etcd_join
from quorate.phases.join import kubelet as kubelet_bootstrap
from quorate.phases.join.prepared_join import PreparedJoin
from quorate.phases.node import certs, kubeconfigs, static_pods
from quorate.phases.start import wait_healthy

_CONFS = ("admin", "controller-manager", "scheduler")


def download(join: PreparedJoin) -> None:
    if join.request.control_plane:
        download_certs.run(join)


def certificates(join: PreparedJoin) -> None:
    if join.request.control_plane:
        certs.ensure_all(join.context)


def kubeconfig(join: PreparedJoin) -> None:
    if join.request.control_plane:
        kubeconfigs.ensure_named(*_CONFS)(join.context)


def control_plane(join: PreparedJoin) -> None:
    """Writes the manifests. A whole join with a local etcd holds them back until etcd serves; a phase alone does not."""
    if not join.request.control_plane:
        return
    if join.request.mode == "whole" and join.context.cluster.etcd.external is None:
        static_pods.stage(join.context, PODS, "etcd serves")
    else:
        static_pods.write_control_plane()(join.context)


def check_etcd(join: PreparedJoin) -> None:
    etcd_join.check(join)


def kubelet_start(join: PreparedJoin) -> None:
    kubelet_bootstrap.start(join)


def join_etcd(join: PreparedJoin) -> None:
    if join.request.control_plane:
        etcd_join.run(join)
        if join.request.is_standby:
            # An API server asks the etcd of its own node, and a learner serves it nothing.
            return
        static_pods.publish(join.context, (wait_healthy.API_SERVER,) if join.waits_for_control_plane else PODS)


def is_alone(join: PreparedJoin) -> bool:
    """Returns whether the phase has to join etcd: in a whole join, phase etcd-join did that before."""
    return join.request.mode != "whole"


def wait_bootstrap(join: PreparedJoin) -> None:
    kubelet_bootstrap.finish(join)


def nothing(_join: PreparedJoin) -> None:
    """Does nothing: the phases of older versions keep their names."""


def mark(join: PreparedJoin) -> None:
    if join.request.control_plane:
        mark_control_plane.run(join.context, join.request.admin)


def wait(join: PreparedJoin) -> None:
    if join.request.control_plane and not join.request.is_standby:
        wait_healthy.run(join.context)


STEPS: Steps[PreparedJoin] = Steps(
    {
        "control-plane-prepare/download-certs": download,
        "control-plane-prepare/certs": certificates,
        "control-plane-prepare/kubeconfig": kubeconfig,
        "control-plane-prepare/control-plane": control_plane,
        "check-etcd": check_etcd,
        "kubelet-start": kubelet_start,
        "etcd-join": join_etcd,
        "kubelet-wait-bootstrap": wait_bootstrap,
        "control-plane-join/etcd": join_etcd,
        "control-plane-join/update-status": nothing,
        "control-plane-join/mark-control-plane": mark,
        "wait-control-plane": wait,
    },
    when={"control-plane-join/etcd": is_alone},
)
