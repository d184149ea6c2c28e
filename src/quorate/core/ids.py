"""Identifiers as etcd writes them: member ids in hex, peer URLs in one canonical form, compared by where they lead.

Pure: no name is resolved."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from quorate.errors import ConfigError
from quorate.foreign.numbers import are_digits
from quorate.foreign.urls import BadUrl, parts_of, split, without_login

if TYPE_CHECKING:
    from quorate.core.membership import Member

_MAX_ID = 2**64 - 1
_MOST_DIGITS = 40
_HEX = re.compile(r"(?:0[xX])?[0-9a-fA-F]+")


def format_id(member_id: int) -> str:
    """Returns a member or cluster id as etcdctl prints it: lower-case hex without leading zeros."""
    return f"{member_id:x}"


def parse_id(text: str) -> int:
    """Reads a hex member id, as etcdctl does; raises `ConfigError` for anything else.

    A decimal id, as etcd's JSON output prints it, is longer than 16 digits; the error then shows its hex form.
    """
    if not _HEX.fullmatch(text[:_MOST_DIGITS]):
        raise ConfigError(f"{text[:_MOST_DIGITS]!r} is not a member id: ids are hex numbers such as 8e9e05c52164694d")
    value = int(text[:_MOST_DIGITS], 16)
    if not 0 < value <= _MAX_ID:
        hint = (
            f" (did you mean {int(text):x}, its hex form?)"
            if are_digits(text) and len(text) < _MOST_DIGITS and 0 < int(text) <= _MAX_ID
            else ""
        )
        raise ConfigError(f"{text[:_MOST_DIGITS]!r} is not a member id: it does not fit 64 bits{hint}")
    return value


def address_of(url: str) -> str:
    """Returns the host of a URL as sockets take it: a zone id is `fe80::1%25eth0` in a URL and `fe80::1%eth0` elsewhere. Empty
    when there is none."""
    return parts_of(url).host


def is_loopback(url: str) -> bool:
    """Returns whether a URL names this machine itself, so that no other machine could reach it."""
    host = address_of(url)
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return ((address.ipv4_mapped if address.version == 6 else None) or address).is_loopback


def normalise_url(url: str) -> str:
    """Returns `scheme://host:port` in lower case, without a trailing slash; raises `ConfigError` when a part is missing.

    etcd compares peer URLs as text, so `https://H:2380/` and `https://h:2380` would be two members of one address. A zone id
    keeps its case, and gets the %25 without which etcd cannot parse it.
    """
    shown = without_login(url)
    try:
        parts = split(url, bare_zone=True)
    except BadUrl as error:
        raise ConfigError(f"{shown!r} is not a URL of the form https://HOST:PORT: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.host or parts.port is None:
        raise ConfigError(f"{shown!r} is not a URL of the form https://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.has_fragment or parts.login is not None:
        raise ConfigError(f"{shown!r} has more than a scheme, a host and a port")
    return f"{parts.scheme}://{url_host(parts.host)}:{parts.port}"


def url_host(address: str) -> str:
    """Returns an address as written in URLs: IPv6 in brackets, a zone id after %25."""
    host, percent, zone = address.partition("%")
    if ":" not in host:
        return address
    return f"[{host}%25{zone}]" if percent else f"[{host}]"


def same_url(a: str, b: str) -> bool:
    """Returns whether both URLs lead to the same port of the same host by the same scheme.

    `http://LOCALHOST:2380`, registered by hand, is `http://localhost:2380`. It is not `http://127.0.0.1:2380`: what a name
    resolves to differs between machines.
    """
    return canonical_url(a) == canonical_url(b)


def urls_of(member: Member) -> frozenset[str]:
    """Returns the peer URLs of a member in the form of `canonical_url`."""
    return frozenset(map(canonical_url, member.peer_urls))


def canonical_url(url: str) -> str:
    """Returns the canonical form of a URL; returns one that cannot be parsed, or has more than scheme, host and port, as is."""
    try:
        plain = normalise_url(url)
    except ConfigError:
        return url
    scheme, port = plain.partition("://")[0], plain.rpartition(":")[2]
    return f"{scheme}://{url_host(_canonical_address(address_of(plain)))}:{port}"


def host_and_port(url: str) -> str:
    """Returns `canonical_url` without the scheme: the same for https and http at one port."""
    return canonical_url(url).rpartition("://")[2]


def _canonical_address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        # With and without the dot of the root it is one name: node-a.example.org.
        return text.rstrip(".") or text
    # Go, and so etcd, treats ::ffff:10.0.0.1 as 10.0.0.1.
    return str((address.ipv4_mapped if address.version == 6 else None) or address)


def normalised(url: str) -> str:
    """Returns a peer URL as records store it; returns text that is not a URL as is."""
    try:
        return normalise_url(url)
    except ConfigError:
        return url
