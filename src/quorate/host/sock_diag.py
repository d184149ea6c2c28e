"""The kernel's established TCP connections in this network namespace, with what each has carried lately (sock_diag(7)).

/proc/net/tcp shows that a connection exists, which proves nothing: where only the data of one end is lost, connections stay,
and new ones are made.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_ESTABLISHED = 1
_INFO = 2
"""INET_DIAG_INFO: the attribute that holds the kernel's struct tcp_info."""

_HEADER = struct.Struct("=IHHII")
_MESSAGE_BYTES = 72
_ATTRIBUTE = struct.Struct("=HH")
_MOST_BYTES = 1 << 16
_MOST_MESSAGES = 10_000
_SECONDS = 1.0

# Of struct tcp_info (linux/tcp.h): where each number stands.
_RETRANSMITS, _LAST_DATA, _LAST_ACK, _ACKED, _RECEIVED = 2, 52, 56, 120, 128


@dataclass(frozen=True, slots=True)
class Carried:
    """One established connection: its two ends, how often its newest packet was retransmitted, the bytes that were
    acknowledged and received, and the seconds since the last data and the last acknowledgement came in."""

    local: tuple[str, int]
    remote: tuple[str, int]
    retransmits: int
    acked: int
    received: int
    data_ago: float
    ack_ago: float


def established() -> list[Carried] | None:
    """Returns the connections; None where the kernel does not tell."""
    found: list[Carried] = []
    try:
        for family in (socket.AF_INET, socket.AF_INET6):
            found += _of_family(family)
    except (OSError, struct.error, ValueError):
        return None
    return found


def _of_family(family: int) -> Iterator[Carried]:
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, 1 << _ESTABLISHED) + bytes(48)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.sendall(header + request)
        for _ in range(_MOST_MESSAGES):
            data = kernel.recv(_MOST_BYTES)
            for kind, body in _messages(data):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-struct.unpack_from("=i", body)[0], "sock_diag")
                with suppress(struct.error):
                    yield _carried(family, body)
    raise OSError("the kernel's list does not end")


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            raise ValueError("a message of no length")
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _carried(family: int, body: bytes) -> Carried:
    local_port, remote_port = struct.unpack_from(">HH", body, 4)
    width = 4 if family == socket.AF_INET else 16
    info = next(value for kind, value in _attributes(body) if kind == _INFO)
    data_ago, ack_ago = (struct.unpack_from("=I", info, at)[0] / 1000 for at in (_LAST_DATA, _LAST_ACK))
    acked, received = (struct.unpack_from("=Q", info, at)[0] for at in (_ACKED, _RECEIVED))
    return Carried(
        (_address(body[8 : 8 + width]), local_port),
        (_address(body[24 : 24 + width]), remote_port),
        info[_RETRANSMITS],
        acked,
        received,
        data_ago,
        ack_ago,
    )


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = _MESSAGE_BYTES
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _address(packed: bytes) -> str:
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).compressed
