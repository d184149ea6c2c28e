"""The peer port's `/members`: what a member knows of the cluster from applied data, served before it serves clients."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from quorate.core.membership import Member
from quorate.etcd.endpoint import Tls

_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PeerMembers:
    """`told_at`: the time on the member's clock, seconds since the epoch, to the second; None when it did not say."""

    cluster_id: int
    members: tuple[Member, ...]
    told_at: float | None = None


def members(peer_url: str, tls: Tls | None, *, timeout: float) -> PeerMembers | None:
    """The member list of the etcd behind `peer_url`, or None while it does not answer with one."""
    try:
        return _parse(*_fetch(peer_url, tls, timeout))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        # Whatever a peer port says that is not a member list is no evidence of anything.
        return None


def _fetch(peer_url: str, tls: Tls | None, timeout: float) -> tuple[str, bytes, str]:
    parts = urlsplit(peer_url)
    context = _context(tls) if tls and parts.scheme == "https" else None
    host, port = parts.hostname or "", parts.port or 2380
    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout)
    )
    try:
        connection.request("GET", "/members")
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}")
        return response.headers["X-Etcd-Cluster-ID"], response.read(_MOST_BYTES), response.headers.get("Date", "")
    finally:
        connection.close()


@lru_cache(maxsize=16)
def _context(tls: Tls) -> ssl.SSLContext:
    """Reading the files again for every look would cost more than the look."""
    return tls.context()


def _parse(cluster_id: str, body: bytes, date: str) -> PeerMembers:
    rows: list[dict[str, Any]] = json.loads(body)
    return PeerMembers(int(cluster_id, 16), tuple(map(_member, rows)), _seconds(date))


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _member(row: dict[str, Any]) -> Member:
    return Member(
        id=int(row["id"]),
        name=str(row.get("name", "")),
        peer_urls=tuple(map(str, row["peerURLs"])),
        client_urls=tuple(map(str, row.get("clientURLs") or ())),
        is_learner=bool(row.get("isLearner", False)),
    )
