"""Finds the new cluster: by the API servers that this node knows, or where the operator says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.errors import PreflightFailed, QuorateError, Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, load_tls
from quorate.etcd.cluster import Cluster
from quorate.foreign.urls import parts_of
from quorate.host.etcd_identity import DataIdentity
from quorate.kube.client import KubeClient
from quorate.phases.base import api_access
from quorate.phases.base.node_files import tls_files
from quorate.phases.base.this_node import HERE
from quorate.phases.join.etcd import endpoints
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.recover.holding import HeldNode
from quorate.recovery.settle import recovered_from

CERTIFICATES = "/etc/kubernetes/pki"
_ADMIN, _KUBELET = "/etc/kubernetes/admin.conf", "/etc/kubernetes/kubelet.conf"
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class NewCluster:
    """The cluster that a recovery has made. `url`: a member of it that answers; `old`: the id of the one before."""

    url: str
    view: ClusterView
    old: int


@contextmanager
def cluster_at(node: HeldNode, urls: Sequence[str]) -> Iterator[Cluster]:
    files = tls_files(node.tree, CERTIFICATES, "healthcheck-client")
    with Access(load_tls(files), None, node.clock.cancel) as access:
        yield Cluster(access, [Endpoint.parse(url) for url in urls], node.clock, node.report)


def find(node: HeldNode, etcd: LocalEtcd, owner: DataIdentity | None, given: Sequence[str]) -> NewCluster:
    """Returns the cluster that was made of the one whose member's data is here, or of any where there is none. Each URL is
    asked alone: old members may serve beside the new ones, and a list of both would be of neither. Raises `Refused` where none
    was found."""
    why: list[str] = []
    own = {*etcd.client_urls}
    for url in [one for one in given or _known(node, etcd) if one not in own]:
        try:
            with cluster_at(node, [url]) as cluster:
                view = cluster.look()
                old = recovered_from(cluster, view.cluster_id) if view.linearizable else ()
        except QuorateError as error:
            why.append(error.what)
            continue
        if not view.linearizable:
            why.append(f"{url} has no quorum")
        elif not old:
            why.append(f"the cluster {format_id(view.cluster_id)} at {url} was not made by a recovery")
        elif owner is not None and owner.cluster_id not in (*old, view.cluster_id):
            why.append(
                f"the cluster at {url} was made of {', '.join(map(format_id, old))}, and the data here is of "
                f"{format_id(owner.cluster_id)}"
            )
        else:
            return NewCluster(url, view, owner.cluster_id if owner is not None and owner.cluster_id in old else old[0])
    raise Refused(
        f"no cluster was found that a recovery has made of this node's: {'; '.join(why) or 'no other member is known'}",
        state="nothing was changed",
        advice="recover it on the node with the newest log ('quorate recover'); where that was done, name that node's etcd: "
        "'quorate rejoin --endpoints https://HOST:2379'",
    )


def _known(node: HeldNode, etcd: LocalEtcd) -> list[str]:
    """Returns the client URLs of members that the API server knows, and those of the manifest. An API server that does not
    answer is this node's own, or has lost its etcd, too."""
    found: list[str] = []
    for url in _api_servers(node):
        try:
            server = api_access.server_of(api_access.read(node.tree, _ADMIN, HERE), url)
            client = KubeClient(server, node.clock, _SECONDS)
            with client.connected():
                found += endpoints(client)
            break
        except QuorateError:
            continue
    return list(dict.fromkeys([*found, *etcd.others]))


def _api_servers(node: HeldNode) -> list[str]:
    """Returns where the kubeconfigs of this node say that an API server is. Raises `PreflightFailed` where there is none."""
    servers = [api_access.read(node.tree, path, HERE).server for path in (_ADMIN, _KUBELET) if node.tree.is_file(path)]
    if not servers:
        raise PreflightFailed(
            f"there is no {_ADMIN}: this is no control-plane node",
            state="nothing was changed",
            advice="run it on a control-plane node; another one joins with 'quorate join'",
        )
    return [one for one in dict.fromkeys(servers) if parts_of(one).scheme == "https"]
