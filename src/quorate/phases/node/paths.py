"""The files that init and join write on a node: noted before a run, deleted by an undo and by a reset."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.manifests.control_plane import PODS
from quorate.phases.base.context import CONFIG_FOLDER, KUBELET_FOLDER, Context
from quorate.phases.node import certs, kubelet_files, static_pods
from quorate.pki.table import SA_KEY, SA_PUB, entries

CONFS = ("admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler")


def may_be_made(context: Context) -> Iterator[str]:
    """Yields every path that an init or join may write, on a control plane or a worker."""
    for entry in entries(context.cluster, context.node):
        yield from certs.files(context, entry)
    yield from (context.pki(SA_KEY), context.pki(SA_PUB))
    yield from (f"{CONFIG_FOLDER}/{name}.conf" for name in CONFS)
    for name in ("etcd", *PODS):
        yield from (static_pods.manifest_path(name), static_pods.staged_path(name))
    if context.cluster.etcd.local is not None:
        yield f"{context.cluster.etcd.local.data_dir}/member"
    yield from (kubelet_files.CONFIG, kubelet_files.INSTANCE, kubelet_files.FLAGS, f"{KUBELET_FOLDER}/pki")
