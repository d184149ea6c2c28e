"""The cluster that a join found: by discovery, or by the admin.conf that is here already."""

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
    """How the API server is reached, and with what this node logs in until it has credentials of its own."""

    request: JoinRequest
    login: Found

    @contextmanager
    def client(self) -> Iterator[KubeClient]:
        """Logged in by what discovery gave."""
        context = self.request.context
        patience = context.timeouts.kubernetes_api_call
        client = KubeClient(self.login.server(), context.clock, patience.seconds if patience else 60.0)
        with client.connected():
            yield client


def find_cluster(request: JoinRequest) -> FoundCluster:
    """Asks the network, for as long as the discovery's timeout. Raises `PreflightFailed` or a `KubeError`."""
    return FoundCluster(request, _from_admin(request) if _may_use_admin(request) else _discover(request))


def _may_use_admin(request: JoinRequest) -> bool:
    """Where a control plane's phases are run one by one. Never in the place of a discovery that was asked for, unless this very
    join wrote the file: one of another cluster may lie there."""
    there = request.control_plane and request.context.tree.is_file(request.admin)
    return there and (request.mode == "phase" or run_marker.is_resumed(request.context, "join"))


def _from_admin(request: JoinRequest) -> Found:
    parsed = api_access.read(request.context.tree, request.admin)
    return Found(parsed.server, parsed.ca_pem, Secret(""), parsed.certificate_pem, parsed.key_pem)


def _discover(request: JoinRequest) -> Found:
    context = request.context
    timeout = context.timeouts.discovery
    search = Search(timeout.seconds if timeout else 300.0, context.clock, context.report)
    return discover(request.config.discovery, context.tree, search)
