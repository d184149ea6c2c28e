"""The diagnosis of a joiner that makes no progress: the name of the stall, as its peer port shows it, and what to run next."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass

from quorate.core.ids import format_id
from quorate.etcd.client import peer_port
from quorate.etcd.client.endpoint import Tls
from quorate.etcd.client.metrics import Metrics
from quorate.foreign.resolve import resolve
from quorate.foreign.urls import parts_of
from quorate.spelling import spelled

_SECONDS = 2.0
_SLOW_FSYNC_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Stall:
    """The cause of a stall. `name` is stable, for programs: not-started, unreachable, tls-refused, wrong-cluster, one-way,
    snapshot-in-flight, receiving, not-serving, slow-disk, seat-taken."""

    name: str
    why: str
    advice: str


def reach(peer_url: str, tls: Tls | None) -> Stall | None:
    """Returns why a peer port that should answer does not accept us; None when it does."""
    parts = parts_of(peer_url)
    host, port = parts.host, parts.port or 2380
    return _connect_problem(host, port) or (_tls_problem(host, port, tls) if parts.scheme == "https" and tls else None)


@dataclass(frozen=True, slots=True)
class StalledLearner:
    """A registered learner that answers no client: its peer port, and the ids that it should have."""

    peer_url: str
    tls: Tls | None
    cluster_id: int
    member_id: int


def diagnose(suspect: StalledLearner, leader: Metrics | None) -> Stall:
    """Returns what keeps a registered learner from answering clients; `leader`: the leader's metrics."""
    problem = reach(suspect.peer_url, suspect.tls) or _identity_problem(suspect)
    return problem or _link_problem(suspect, leader) or _data_problem(suspect)


def _link_problem(suspect: StalledLearner, leader: Metrics | None) -> Stall | None:
    """Returns why the leader does not reach a learner that is reachable from here; None when it does."""
    if leader is None:
        return None
    if leader.snapshot_in_flight(suspect.member_id):
        return Stall(
            "snapshot-in-flight",
            "the leader is still sending it the database",
            f"{_longer()}; if that does not help, look at the network between the two",
        )
    if not leader.linked(suspect.member_id):
        return Stall(
            "one-way",
            f"{suspect.peer_url} answers here, but the leader has no connection to it",
            "check routes and firewalls from the leader's machine to that address, in both directions",
        )
    return None


def lagging(own: Metrics | None) -> Stall | None:
    """Returns why a learner that answers does not catch up, by its own metrics; None when they do not show it."""
    if own is None or own.fsync_seconds < _SLOW_FSYNC_SECONDS:
        return None
    return Stall(
        "slow-disk",
        f"its disk takes {own.fsync_seconds * 1000:.0f} ms to sync a write",
        "put its data on a faster disk; etcd's advice is below 10 ms",
    )


def _dial(host: str, port: int) -> socket.socket:
    """Returns a connected socket; raises OSError. A name is resolved within a time limit, which the C library does not have."""
    addresses = resolve(host, port)
    if not addresses:
        raise OSError(errno.EHOSTUNREACH, f"the host name {host[:80]!r} has no address")
    plain = socket.socket(addresses[0].family, socket.SOCK_STREAM)
    try:
        plain.settimeout(_SECONDS)
        plain.connect(addresses[0].where)
    except OSError:
        plain.close()
        raise
    return plain


def listens(url: str) -> bool:
    """Returns whether anything takes connections at a URL of a member. It need not be its etcd, and need not serve."""
    parts = parts_of(url)
    try:
        _dial(parts.host, parts.port or peer_port.DEFAULT_PORT).close()
    except OSError:
        return False
    return True


def _connect_problem(host: str, port: int) -> Stall | None:
    try:
        _dial(host, port).close()
    except ConnectionRefusedError:
        return Stall(
            "not-started",
            f"nothing listens at {host}:{port}: its etcd is not running",
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
            _dial(host, port) as plain,
            tls.context().wrap_socket(plain, server_hostname=host) as secure,
        ):
            secure.settimeout(_SECONDS)
            # With TLS 1.3 a server that refuses our certificate says so only after the handshake.
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


def _identity_problem(suspect: StalledLearner) -> Stall | None:
    listed = peer_port.members(suspect.peer_url, suspect.tls, timeout=_SECONDS)
    if listed is None or listed.cluster_id == suspect.cluster_id:
        return None
    return Stall(
        "wrong-cluster",
        f"its etcd belongs to cluster {format_id(listed.cluster_id)}, not to {format_id(suspect.cluster_id)}",
        "its data directory belongs to another cluster: stop it, move that directory away, then run the same command again",
    )


def _data_problem(suspect: StalledLearner) -> Stall:
    listed = peer_port.members(suspect.peer_url, suspect.tls, timeout=_SECONDS)
    if listed is None:
        return Stall("receiving", "its etcd runs, but has no member list yet", "wait, or look at its log for 'raft' errors")
    itself = next((row for row in listed.members if row.id == suspect.member_id), None)
    if itself is None or not itself.client_urls:
        return Stall("receiving", "it is still receiving the data", _longer())
    return Stall(
        "not-serving",
        "it has the data, but its client port does not answer yet",
        "etcd 3.6 and newer may need 7 s for this (docs/lost-publish.md); run the same command again",
    )


def _longer() -> str:
    return f"run the same command again, with a longer {spelled('--timeout')}"
