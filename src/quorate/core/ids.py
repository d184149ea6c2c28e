"""Identifiers as the field writes them: member ids in hex, peer URLs in one canonical form."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from quorate.errors import ConfigError

_MAX_ID = 2**64 - 1


def format_id(member_id: int) -> str:
    """A member or cluster id as etcdctl prints it: lower-case hex without leading zeros."""
    return f"{member_id:x}"


def parse_id(text: str) -> int:
    """Read a hex member id, as etcdctl does; raises `ConfigError` for anything else.

    A decimal id, as etcd's JSON output prints them, is longer than 16 digits and named as the mistake it is.
    """
    try:
        value = int(text, 16)
    except ValueError:
        raise ConfigError(f"{text!r} is not a member id: ids are hex numbers such as 8e9e05c52164694d") from None
    if not 0 < value <= _MAX_ID:
        hint = f" (did you mean {int(text):x}, its hex form?)" if text.isdecimal() and 0 < int(text) <= _MAX_ID else ""
        raise ConfigError(f"{text!r} is not a member id: it does not fit 64 bits{hint}")
    return value


def host_of(url: str) -> str:
    """The host of a URL, without the brackets of an IPv6 address; empty when there is none."""
    return urlsplit(url).hostname or ""


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine itself, so that no other machine could reach it."""
    host = host_of(url)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def normalise_url(url: str) -> str:
    """`scheme://host:port` in lower case, without a trailing slash; raises `ConfigError` when a part is missing.

    etcd compares peer URLs as text, so `https://H:2380/` and `https://h:2380` would be two members of one address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{url!r} is not a URL of the form https://HOST:PORT") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
        raise ConfigError(f"{url!r} is not a URL of the form https://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.username is not None:
        raise ConfigError(f"{url!r} has more than a scheme, a host and a port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"
