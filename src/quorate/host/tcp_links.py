"""Finds which peers have connections with an etcd on this host, in the kernel's table of TCP connections."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from quorate.foreign.resolve import resolve
from quorate.foreign.urls import parts_of

_ESTABLISHED = "01"
_MOST_RETRANSMITS = 1
"""A connection whose packets are silently dropped has two retransmits after two seconds."""

_STREAMS = 2
"""rafthttp opens two streams in each direction between two members."""

_RESOLVE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Connection:
    """An established connection: its two ends, and how often its newest packet was retransmitted."""

    local: tuple[str, int]
    remote: tuple[str, int]
    retransmits: int


def connections(pid: int | str = "self") -> list[Connection] | None:
    """Returns the established connections in the network namespace of a process; None where they cannot be read."""
    found: list[Connection] = []
    readable = False
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            rows = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
            readable = True
            found += [one for one in map(_connection, rows) if one is not None]
    return found if readable else None


def _connection(row: str) -> Connection | None:
    fields = row.split()
    if len(fields) < 7 or fields[3] != _ESTABLISHED:
        return None
    return Connection(_address(fields[1]), _address(fields[2]), int(fields[6], 16))


def _address(text: str) -> tuple[str, int]:
    """Parses an address of the table: the kernel prints 32-bit words in the byte order of the machine."""
    host, _, port = text.partition(":")
    words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).compressed, int(port, 16)


def linked_peers(
    table: Sequence[Connection], own_urls: Iterable[str], peers: Mapping[int, Sequence[str]]
) -> Mapping[int, bool] | None:
    """Returns for each of `peers` (ids to peer URLs) whether it dialed us and we dialed it, with two working streams each way.

    Returns None when a name cannot be resolved. Incoming connections are matched by address. Peers behind one address (one
    machine, or NAT) can only be counted: together they must have as many connections as all of them need.
    """
    good = [one for one in table if one.retransmits <= _MOST_RETRANSMITS]
    own_ports = {parts_of(url).port for url in own_urls}
    addresses = {member: _addresses(urls) for member, urls in peers.items()}
    if any(found is None for found in addresses.values()):
        return None
    known = {member: found or set() for member, found in addresses.items()}
    dialed_us = [one.remote[0] for one in good if one.local[1] in own_ports]
    return {
        member: _we_dialed(good, known[member]) and _they_dialed(dialed_us, {host for host, _ in known[member]}, known)
        for member in peers
    }


def _we_dialed(table: Sequence[Connection], wanted: set[tuple[str, int]]) -> bool:
    return sum(one.remote in wanted for one in table) >= _STREAMS


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
