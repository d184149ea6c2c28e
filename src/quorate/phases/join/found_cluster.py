"""The cluster that a join found: by discovery, or by the admin.conf on this node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from quorate.kube.client import KubeClient
from quorate.phases.base import api_access
from quorate.phases.join.discovery import Found, Search, discover
from quorate.phases.join.request import JoinRequest
from quorate.phases.node import run_marker
from quorate.secret import Secret


@dataclass(frozen=True, slots=True)
class FoundCluster:
    """The address of the API server, and the login of this node until it has its own credentials."""

    request: JoinRequest
    login: Found

    @contextmanager
    def client(self) -> Iterator[KubeClient]:
        """Yields a client with the login that was found."""
        context = self.request.context
        patience = context.timeouts.kubernetes_api_call
        client = KubeClient(self.login.server(), context.clock, patience.seconds if patience else 60.0)
        with client.connected():
            yield client


def find_cluster(request: JoinRequest) -> FoundCluster:
    """Finds the cluster over the network, within the discovery timeout. Raises `PreflightFailed` or a `KubeError`."""
    return FoundCluster(request, _from_admin(request) if _may_use_admin(request) else _discover(request))


def _may_use_admin(request: JoinRequest) -> bool:
    """Returns whether admin.conf replaces discovery: where a control plane's phases run one by one, or where this join wrote
    the file. A whole join does not trust any other admin.conf: it may be of another cluster."""
    there = request.control_plane and request.context.tree.is_file(request.admin)
    return there and (request.mode == "phase" or run_marker.is_resumed(request.context, "join"))


def _from_admin(request: JoinRequest) -> Found:
    parsed = api_access.read(request.context.tree, request.admin, request.context.this_node)
    return Found(parsed.server, parsed.ca_pem, Secret(""), parsed.certificate_pem, parsed.key_pem)


def _discover(request: JoinRequest) -> Found:
    context = request.context
    timeout = context.timeouts.discovery
    search = Search(timeout.seconds if timeout else 300.0, context.clock, context.report)
    return discover(request.config.discovery, context.tree, search)
