"""What a join knows: how the cluster is reached, what it says of itself, and this node's part in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec.structs import replace as with_changes

from quorate.config import types as v4
from quorate.config.defaults import Facts
from quorate.config.load import loads
from quorate.config.resolve import resolve_init
from quorate.core.finding import Finding
from quorate.errors import ConfigError, PreflightFailed
from quorate.foreign.documents import read_mapping
from quorate.foreign.values import mapping_of
from quorate.kube.client import KubeClient
from quorate.kube.errors import NotFound
from quorate.phases.base import api_access
from quorate.phases.base.context import Context
from quorate.phases.join.discovery import Found, Search, discover
from quorate.phases.node import kubeconfigs, run_marker
from quorate.secret import Secret


@dataclass(slots=True)
class JoinRun:
    """`base`: a context whose cluster is not known yet. What the cluster says is asked once, when it is first needed.
    `whole`: the complete join runs, not a phase alone: then the control plane's manifests wait for etcd. `single`: one phase
    is run by its own command. `joined_etcd`: this run made a member. `whole_done`: every phase of it ran."""

    base: Context
    join: v4.JoinConfiguration
    facts: Facts
    keep_on_failure: bool = False
    whole: bool = False
    single: bool = False
    joined_etcd: bool = False
    whole_done: bool = False
    findings: list[Finding] = field(default_factory=list[Finding])
    _found: Found | None = None
    _context: Context | None = None
    _kubelet: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def control_plane(self) -> bool:
        return self.join.control_plane is not None

    @property
    def admin(self) -> str:
        return kubeconfigs.path_of(self.base, "admin")

    @property
    def waits_for_control_plane(self) -> bool:
        """Its last phase will see the API server of this node answer."""
        return self.whole and self.control_plane and "wait-control-plane" not in self.join.skip_phases

    def found(self) -> Found:
        """By discovery, or by admin.conf where a control plane's phases are run one by one."""
        if self._found is None:
            self._found = self._from_admin() if self._may_use_admin() else self._discover()
        return self._found

    def _may_use_admin(self) -> bool:
        """Never in the place of a discovery that was asked for, unless this very join wrote the file: one of another cluster
        may lie there."""
        there = self.control_plane and self.base.tree.is_file(self.admin)
        return there and (self.single or run_marker.is_resumed(self.base, "join"))

    def _from_admin(self) -> Found:
        parsed = api_access.read(self.base.tree, self.admin)
        return Found(parsed.server, parsed.ca_pem, Secret(""), parsed.certificate_pem, parsed.key_pem)

    def _discover(self) -> Found:
        timeout = self.base.timeouts.discovery
        search = Search(timeout.seconds if timeout else 300.0, self.base.clock, self.base.report)
        return discover(self.join.discovery, self.base.tree, search)

    @contextmanager
    def client(self) -> Iterator[KubeClient]:
        """Logged in by what discovery gave."""
        patience = self.base.timeouts.kubernetes_api_call
        client = KubeClient(self.found().server(), self.base.clock, patience.seconds if patience else 60.0)
        with client.connected():
            yield client

    @property
    def context(self) -> Context:
        """With the cluster's own configuration. Raises `PreflightFailed` or a `KubeError`."""
        if self._context is None:
            with self.client() as client:
                self._kubelet = _document(client, "kubelet-config", "kubelet")
                self._context = self._with_cluster(client)
        return self._context

    def _with_cluster(self, client: KubeClient) -> Context:
        text = _text(client, "kubeadm-config", "ClusterConfiguration")
        init = self._init()
        loaded = with_changes(loads(text.encode(), "ConfigMap kube-system/kubeadm-config"), init=init)
        setup = resolve_init(loaded, self.facts)
        return replace(
            self.base,
            cluster=setup.cluster,
            components={"KubeletConfiguration": self._kubelet},
            endpoint=setup.init.local_api_endpoint,
        )

    def _init(self) -> v4.InitConfiguration:
        """What an InitConfiguration would say of this node: the rules for it are the same."""
        endpoint = self.join.control_plane.local_api_endpoint if self.join.control_plane else v4.APIEndpoint()
        return v4.InitConfiguration(node_registration=self.join.node_registration, local_api_endpoint=endpoint)

    @property
    def kubelet(self) -> dict[str, Any]:
        """The configuration that the cluster's kubelets share."""
        _ = self.context
        return self._kubelet


def _text(client: KubeClient, name: str, key: str) -> str:
    try:
        found = client.get("ConfigMap", name, "kube-system")
    except NotFound:
        raise PreflightFailed(
            f"the cluster has no ConfigMap kube-system/{name}: it was not made by kubeadm or quorate",
            state="nothing was changed",
        ) from None
    text = mapping_of(found.get("data")).get(key)
    if not isinstance(text, str):
        raise ConfigError(f"ConfigMap kube-system/{name} has no {key}", state="nothing was changed")
    return text


def _document(client: KubeClient, name: str, key: str) -> dict[str, Any]:
    return read_mapping(_text(client, name, key).encode(), f"{key} of ConfigMap kube-system/{name}")
