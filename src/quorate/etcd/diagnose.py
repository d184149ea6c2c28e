"""Why a joiner does not move, asked of its own peer port from here: the name of the stall, and what to run next."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from quorate.core.ids import format_id
from quorate.etcd import peer
from quorate.etcd.endpoint import Tls

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Stall:
    """`name` is stable, for programs: not-started, unreachable, tls-refused, wrong-cluster, receiving, not-serving."""

    name: str
    why: str
    advice: str


def reach(peer_url: str, tls: Tls | None) -> Stall | None:
    """Why a peer port that should answer does not let us in; None when it does."""
    parts = urlsplit(peer_url)
    host, port = parts.hostname or "", parts.port or 2380
    return _connect_problem(host, port) or (_tls_problem(host, port, tls) if parts.scheme == "https" and tls else None)


def diagnose(peer_url: str, tls: Tls | None, cluster_id: int, member_id: int) -> Stall:
    """Tell apart what keeps a registered learner from answering clients."""
    return reach(peer_url, tls) or _member_problem(peer_url, tls, cluster_id, member_id)


def _connect_problem(host: str, port: int) -> Stall | None:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except ConnectionRefusedError:
        return Stall(
            "not-started",
            f"nothing listens at {host}:{port}: its etcd does not run",
            "look at its log or its unit on that machine, start it, then run the same command again",
        )
    except OSError as error:
        return Stall(
            "unreachable",
            f"{host}:{port} cannot be reached from here: {error.strerror or error}",
            f"check addresses, routes and firewalls: the voters must reach {host}:{port}, and it must reach theirs",
        )
    return None


def _tls_problem(host: str, port: int, tls: Tls) -> Stall | None:
    try:
        with (
            socket.create_connection((host, port), timeout=_SECONDS) as plain,
            tls.context().wrap_socket(plain, server_hostname=host) as secure,
        ):
            secure.settimeout(_SECONDS)
            # With TLS 1.3 a server that refuses our certificate says so only behind the handshake.
            secure.sendall(b"GET /members HTTP/1.0\r\n\r\n")
            secure.recv(1)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        return Stall(
            "tls-refused",
            f"TLS with {host}:{port} fails: {reason}",
            "its peer certificate must be signed by the cluster's CA, be valid now, and name its address",
        )
    except OSError:
        return None
    return None


def _member_problem(peer_url: str, tls: Tls | None, cluster_id: int, member_id: int) -> Stall:
    listed = peer.members(peer_url, tls, timeout=_SECONDS)
    if listed is None:
        return Stall("receiving", "its etcd runs and has no member list yet", "wait, or look at its log for 'raft' errors")
    if listed.cluster_id != cluster_id:
        return Stall(
            "wrong-cluster",
            f"its etcd belongs to cluster {format_id(listed.cluster_id)}, not to {format_id(cluster_id)}",
            "its data directory is of another cluster: stop it, move that directory away, then run the same command again",
        )
    itself = next((row for row in listed.members if row.id == member_id), None)
    if itself is None or not itself.client_urls:
        return Stall("receiving", "it is still receiving the data", "run the same command again, with a longer --timeout")
    return Stall(
        "not-serving",
        "it has the data, and its client port answers nothing yet",
        "etcd 3.6 and newer need 7 s for this when left alone (docs/lost-publish.md); run the same command again",
    )
