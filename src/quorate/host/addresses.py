"""The addresses of this host, as the kernel lists them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeAlias

from quorate.foreign.resolve import resolve

IpAddress: TypeAlias = IPv4Address | IPv6Address
_V4, _V6 = Path("/proc/net/fib_trie"), Path("/proc/net/if_inet6")
_LOCAL_V4 = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
_MOST_CHARACTERS = 16 << 20


def is_of_this_host(host: str) -> bool:
    """Returns whether an address, or an address of a name, is one of this host. Binding to it would show nothing: a host with
    `net.ipv4.ip_nonlocal_bind`, as keepalived wants it, binds to any.

    A name that leads to loopback is not: /etc/hosts gives a host's own name such an address (127.0.1.1 on Debian), and is
    copied with its disk. A reset on the copy removed the live original.
    """
    own, found = of_interfaces(), [ip_address(row.host) for row in resolve(host, 0)]
    if host != "localhost" and not _is_address(host):
        found = [one for one in found if not one.is_loopback]
    return any(one.is_loopback or one in own for one in found)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def of_interfaces() -> frozenset[IpAddress]:
    """Returns the addresses of this host's interfaces; none where /proc does not show them."""
    v4 = [IPv4Address(one) for one in _LOCAL_V4.findall(_text(_V4))]
    v6 = [IPv6Address(bytes.fromhex(line.split()[0])) for line in _text(_V6).splitlines()]
    return frozenset([*v4, *v6])


def _text(path: Path) -> str:
    try:
        with path.open(errors="replace") as file:
            return file.read(_MOST_CHARACTERS)
    except OSError:
        return ""
