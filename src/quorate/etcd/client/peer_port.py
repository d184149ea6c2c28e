"""The peer port's `/members`: the list from a member's applied data, served before the member serves clients."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache

from quorate.core.ids import address_of
from quorate.core.membership import Member
from quorate.deadline import Cancel
from quorate.etcd.client.endpoint import Tls
from quorate.foreign.documents import BadDocument, Limits, read_json
from quorate.foreign.http import Connection, HttpFailed, Request, Site, split_url
from quorate.foreign.values import integer_of, rows_of, text_of, texts_of

DEFAULT_PORT = 2380
_LIMITS = Limits(size=1 << 20, depth=8, values=50_000, aliases=0)


@dataclass(frozen=True, slots=True)
class PeerMembers:
    """The answer of a peer port. `told_at`: the member's clock in whole seconds since the epoch; None when it sent none."""

    cluster_id: int
    members: tuple[Member, ...]
    told_at: float | None = None


def members(peer_url: str, tls: Tls | None, *, timeout: float, cancel: Cancel | None = None) -> PeerMembers | None:
    """Returns the member list of the etcd at `peer_url`, or None while it does not answer with one."""
    try:
        with Connection(site_at(peer_url, tls, DEFAULT_PORT), cancel=cancel) as connection:
            answer = connection.ask(Request("GET", "/members"), seconds=timeout, most_bytes=_LIMITS.size)
        if answer.status != 200:
            return None
        return _parse(answer.headers.get("x-etcd-cluster-id", ""), answer.body, answer.headers.get("date", ""))
    except (HttpFailed, BadDocument, ValueError):
        # Any other answer of a peer port proves nothing about the member.
        return None


def site_at(url: str, tls: Tls | None, default_port: int) -> Site:
    """Returns the server at a URL of etcd. Raises `HttpFailed`."""
    parts = split_url(url)
    context = (_context(tls) if tls else _default_context()) if parts.scheme == "https" else None
    return Site(address_of(url), parts.port or default_port, context)


@lru_cache(maxsize=16)
def _context(tls: Tls) -> ssl.SSLContext:
    """Returns a cached context: reading the files again for every look would cost more than the look."""
    return tls.context()


@lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _parse(cluster_id: str, body: bytes, date: str) -> PeerMembers:
    """Returns the member list. Raises ValueError when the body is not one."""
    told = read_json(body, "the member list", _LIMITS)
    rows = rows_of(told)
    # To skip a bad row would make its member look absent.
    if not isinstance(told, list) or not rows or len(rows) != len(told) or len(cluster_id) > 16:
        raise ValueError("no member list")
    return PeerMembers(int(cluster_id, 16), tuple(map(_member, rows)), _seconds(date))


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _member(row: Mapping[str, object]) -> Member:
    member_id, urls = integer_of(row.get("id")), texts_of(row.get("peerURLs"))
    if member_id <= 0 or not urls:
        raise ValueError("no member")
    return Member(
        id=member_id,
        name=text_of(row.get("name")),
        peer_urls=urls,
        client_urls=texts_of(row.get("clientURLs")),
        is_learner=row.get("isLearner") is True,
    )
