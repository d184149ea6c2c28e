"""Finds which peers have connections with an etcd on this host, in the kernel's table of TCP connections."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quorate.foreign.resolve import resolve
from quorate.foreign.urls import parts_of
from quorate.host import sock_diag
from quorate.host.sock_diag import Carried

_MOST_RETRANSMITS = 1
"""A connection whose packets are silently dropped has two retransmits after two seconds."""

_ALIVE_SECONDS = 2.5
"""Each stream carries a link heartbeat every 5/3 s, whatever else it carries."""

_STREAMS = 2
"""rafthttp opens two streams in each direction between two members; on each, who was dialed sends."""

_RESOLVE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Connection:
    """An established connection and its two ends. `hears`: data came in lately; `heard`: what was sent lately arrived."""

    local: tuple[str, int]
    remote: tuple[str, int]
    hears: bool
    heard: bool


def connections() -> list[Connection] | None:
    """Returns the established connections of this network namespace; None where the kernel does not tell what they carry."""
    found = sock_diag.established()
    return None if found is None else [connection_of(one) for one in found]


def connection_of(one: Carried) -> Connection:
    """Returns what a connection shows. One without a byte may be as new as its counters: it shows nothing."""
    hears = one.received > 0 and one.data_ago <= _ALIVE_SECONDS
    # Who dials has one byte acknowledged by the handshake alone.
    heard = one.acked > 1 and one.ack_ago <= _ALIVE_SECONDS and one.retransmits <= _MOST_RETRANSMITS
    return Connection(one.local, one.remote, hears, heard)


def linked_peers(
    table: Sequence[Connection], own_urls: Iterable[str], peers: Mapping[int, Sequence[str]]
) -> Mapping[int, bool] | None:
    """Returns for each of `peers` (ids to peer URLs) whether it dialed us and we dialed it, with two streams each way on which
    data arrives.

    Returns None when a name cannot be resolved. Incoming connections are matched by address. Peers behind one address (one
    machine, or NAT) can only be counted: together they must have as many connections as all of them need.
    """
    own_ports = {parts_of(url).port for url in own_urls}
    addresses = {member: _addresses(urls) for member, urls in peers.items()}
    if any(found is None for found in addresses.values()):
        return None
    known = {member: found or set() for member, found in addresses.items()}
    dialed_us = [one.remote[0] for one in table if one.local[1] in own_ports and one.heard]
    return {
        member: _we_dialed(table, known[member]) and _they_dialed(dialed_us, {host for host, _ in known[member]}, known)
        for member in peers
    }


def _we_dialed(table: Sequence[Connection], wanted: set[tuple[str, int]]) -> bool:
    return sum(one.remote in wanted and one.hears for one in table) >= _STREAMS


def _they_dialed(dialed_us: Sequence[str], hosts: set[str], known: Mapping[int, set[tuple[str, int]]]) -> bool:
    sharing = sum(bool(hosts & {host for host, _ in others}) for others in known.values())
    by_address = sum(host in hosts for host in dialed_us)
    if by_address >= _STREAMS * sharing:
        return True
    # Connections from an address of no peer: NAT, or another network card of a peer.
    everybody = {host for others in known.values() for host, _ in others}
    strangers = sum(host not in everybody for host in dialed_us)
    unmatched = sum(not any(host in dialed_us for host, _ in others) for others in known.values())
    return strangers >= _STREAMS * max(unmatched, 1)


def _addresses(urls: Sequence[str]) -> set[tuple[str, int]] | None:
    """Returns the addresses of some URLs; None when a name cannot be resolved: that peer's links are then unknown."""
    found: set[tuple[str, int]] = set()
    for url in urls:
        try:
            parts = parts_of(url)
            host, port = parts.host, parts.port or 2380
        except ValueError:
            return None
        rows = resolve(host, port, seconds=_RESOLVE_SECONDS)
        if not rows:
            return None
        found |= {(ipaddress.ip_address(row.host).compressed, port) for row in rows}
    return found
