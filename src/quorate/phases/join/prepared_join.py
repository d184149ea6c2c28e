"""A join whose cluster is known: the argument of the phases after the checks. This module opens no connection itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from msgspec.structs import replace as with_changes

from quorate.config import types as v4
from quorate.config.load import Loaded
from quorate.config.resolve import resolve_to_start
from quorate.foreign.documents import read_mapping
from quorate.kube.client import KubeClient
from quorate.phases.base.context import Context
from quorate.phases.cluster.stored_config import cluster_configuration, stored_text
from quorate.phases.join.found_cluster import FoundCluster
from quorate.phases.join.request import JoinAccount, JoinRequest
from quorate.report import Notice


@dataclass(frozen=True, slots=True)
class PreparedJoin:
    """A join whose cluster is known. `context` has the cluster's own configuration; `kubelet_config` is the one that the
    cluster's kubelets share."""

    cluster: FoundCluster
    context: Context
    kubelet_config: dict[str, Any]
    account: JoinAccount

    @property
    def request(self) -> JoinRequest:
        return self.cluster.request

    @property
    def waits_for_control_plane(self) -> bool:
        """Returns whether the last phase waits until the API server of this node answers."""
        request = self.request
        starts = request.control_plane and not request.is_standby
        return request.mode == "whole" and starts and "wait-control-plane" not in request.config.skip_phases


def prepare(cluster: FoundCluster, client: KubeClient, account: JoinAccount) -> PreparedJoin:
    """Reads the configuration that the cluster stores. Raises `PreflightFailed`, `ConfigError` or a `KubeError`."""
    kubelet = read_mapping(
        stored_text(client, "kubelet-config", "kubelet").encode(), "kubelet of ConfigMap kube-system/kubelet-config"
    )
    stored = cluster_configuration(client, cluster.request.context.report)
    return PreparedJoin(cluster, _with_cluster(cluster.request, stored, kubelet), kubelet, account)


def _with_cluster(request: JoinRequest, stored: Loaded, kubelet: dict[str, Any]) -> Context:
    # The rules for this node are those of an InitConfiguration with the same values.
    endpoint = request.config.control_plane.local_api_endpoint if request.config.control_plane else v4.APIEndpoint()
    init = v4.InitConfiguration(node_registration=request.config.node_registration, local_api_endpoint=endpoint)
    setup = resolve_to_start(with_changes(stored, init=init), request.facts)
    for note in setup.notes:
        # Those of reading it are reported already.
        if note not in stored.notes:
            request.context.report(Notice(note, "warning"))
    return replace(
        request.context,
        cluster=setup.cluster,
        components={"KubeletConfiguration": kubelet},
        endpoint=setup.init.local_api_endpoint,
    )
