"""Resolves host names within a time limit: the C library's resolver may take minutes when no name server answers."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from quorate.foreign.numbers import are_digits

SECONDS = 2.0
_SLICE_SECONDS = 0.1
_HEX = re.compile(r"0x[0-9a-f]*")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """The address of a socket. `where`: in the form that its family's sockets take."""

    family: socket.AddressFamily
    where: tuple[str | int | bytes, ...]

    @property
    def host(self) -> str:
        """Returns the address as text, without a zone id."""
        return str(self.where[0]).partition("%")[0]


def resolve(host: str, port: int, *, seconds: float = SECONDS, check: Callable[[], None] | None = None) -> list[SocketAddress]:
    """Returns the addresses of a host name, or the one of a literal (IPv6 without brackets, a zone id after %).

    The list is empty when the name has none, or the resolver gave none within `seconds`. A literal never reaches the
    resolver. `check` is called ten times a second meanwhile, and may raise.
    """
    if not host or is_number_of_c(host):
        return []
    found = _ask(host, port, socket.AI_NUMERICHOST)
    if found:
        return found
    box: list[list[SocketAddress]] = []
    # A daemon thread: a resolver that hangs must not keep us from exiting.
    asking = threading.Thread(target=lambda: box.append(_ask(host, port, 0)), daemon=True)
    asking.start()
    end = time.monotonic() + seconds
    while asking.is_alive() and (left := end - time.monotonic()) > 0:
        asking.join(min(left, _SLICE_SECONDS))
        if check is not None:
            check()
    return box[0] if box else []


def is_number_of_c(host: str) -> bool:
    """Returns whether the C library reads a host as an address that no program in Go reads: it takes 010.0.0.9 for 8.0.0.9, and
    10.1 for 10.0.0.1. Go asks for a name, and there is none that ends in a number."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    return (are_digits(last) or _HEX.fullmatch(last) is not None) and not _is_literal(host)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ask(host: str, port: int, flags: int) -> list[SocketAddress]:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        # UnicodeError: a label that is empty or too long for the domain name system.
        return []
    found = (SocketAddress(family, tuple(where)) for family, _, _, _, where in rows if family in _FAMILIES)
    return list(dict.fromkeys(found))
