"""Splits URLs that others wrote, as Go's net/url reads them.

What is checked here is written into manifests and files as it stands, and read there by programs in Go. Python's urlsplit takes
tabs and line breaks out of a URL before it reads it, takes `h%41` for the name of a host, and skips what stands between `]` and
the port: it would check another URL than the one that is used. Nothing is repaired here, so what is read is what was written.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_to_bytes

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_LOGIN = re.compile(r"(?:[a-zA-Z0-9._:~!$&'()*+,;=@-]|%[0-9a-fA-F]{2})*")
_NAME = re.compile(r"[a-zA-Z0-9._~!$&'()*+,;=<>\"-]*")
_ZONE = re.compile(r"[a-zA-Z0-9._~-]+")
_PORT = re.compile(r"(?::0*([0-9]{0,5}))?")
_WRONG_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_NOT_ESCAPED = "/:@!$&'()*+,;=~-._[]"
_MOST_PORT = 65535
_CACHED = 512


class BadUrl(ValueError):
    """The text is no URL. The message does not repeat it: it may hold a password."""


@dataclass(frozen=True, slots=True)
class UrlParts:
    """The parts of a URL. `scheme` and `host`: in lower case, the host without the brackets of an IPv6 address, and with its
    zone as sockets take it (fe80::1%eth0). `port`: None when there is none. `path` and `query`: as written. `login`: user and
    password as written, None when there is none."""

    scheme: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""
    query: str = ""
    has_fragment: bool = False
    login: str | None = field(default=None, repr=False)

    @property
    def file_path(self) -> str:
        """Returns the path as a name of a file: %20 is a blank."""
        return unquote(self.path, errors="surrogateescape")

    @property
    def target(self) -> str:
        """Returns path and query as a request names them, in ASCII."""
        text = f"{self.path or '/'}?{self.query}" if self.query else self.path or "/"
        return quote(text, safe=f"{_NOT_ESCAPED}%?", errors="surrogateescape")


def parts_of(url: str) -> UrlParts:
    """Returns the parts of a URL; all are empty when it is not a URL. An IPv6 zone may stand after a bare %, as `ip address`
    prints it."""
    try:
        return split(url, bare_zone=True)
    except BadUrl:
        return UrlParts()


@lru_cache(maxsize=_CACHED)
def split(url: str, *, bare_zone: bool = False) -> UrlParts:
    """Returns the parts of a URL. Raises `BadUrl` for what Go refuses, and for hosts that are not ASCII: which name is asked
    for would depend on who asks. `bare_zone`: take `[fe80::1%eth0]`, too, which Go refuses."""
    if any(letter < " " or letter == "\x7f" for letter in url):
        raise BadUrl("it has a control character")
    rest, hash_, fragment = url.partition("#")
    match = _SCHEME.match(rest)
    scheme, rest = (match[1].lower(), rest[match.end() :]) if match else ("", rest)
    rest, _, query = rest.partition("?")
    if _WRONG_ESCAPE.search(fragment):
        raise BadUrl("it has a % without two hex digits after it")
    if not rest.startswith("/"):
        return _without_authority(scheme, rest, query, has_fragment=bool(hash_))
    authority, path = "", rest
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        path = slash + path
    if _WRONG_ESCAPE.search(path):
        raise BadUrl("it has a % without two hex digits after it")
    user, at, place = authority.rpartition("@")
    if not _LOGIN.fullmatch(user):
        raise BadUrl("its user or password has a character that must be written as % and two hex digits")
    host, port = _place(place, bare_zone=bare_zone)
    return UrlParts(scheme, host, port, path, query, bool(hash_), user if at else None)


def _without_authority(scheme: str, rest: str, query: str, *, has_fragment: bool) -> UrlParts:
    """Returns the parts of `mailto:x`, which has no path either, or of a relative path."""
    if scheme:
        return UrlParts(scheme, query=query, has_fragment=has_fragment)
    if ":" in rest.partition("/")[0] or _WRONG_ESCAPE.search(rest):
        raise BadUrl("it has no scheme, such as https://")
    return UrlParts(path=rest, query=query, has_fragment=has_fragment)


def _place(text: str, *, bare_zone: bool) -> tuple[str, int | None]:
    if text.startswith("["):
        inner, bracket, rest = text[1:].rpartition("]")
        if not bracket:
            raise BadUrl("it has a [ without a ]")
        return _bracketed(inner, bare_zone=bare_zone), _port(rest)
    name, colon, number = text.partition(":")
    if not name.isascii():
        raise BadUrl("its host has a letter that is not ASCII: write the name as DNS has it (xn--…)")
    if not _NAME.fullmatch(name):
        raise BadUrl("its host has a character that no host has")
    return name.lower(), _port(colon + number)


def _bracketed(text: str, *, bare_zone: bool) -> str:
    """Returns what is between the brackets, with its zone as sockets take it."""
    address, percent, zone = text.partition("%")
    if percent and not zone.startswith("25") and not bare_zone:
        raise BadUrl("the zone of its address must stand after %25")
    # After a bare %, 25 alone is the interface with this number.
    zone = zone.removeprefix("25") or zone
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        raise BadUrl("it has no IPv6 address between its brackets") from None
    if percent and not _ZONE.fullmatch(zone):
        raise BadUrl("the zone of its address has a character that no interface has")
    return f"{address.lower()}%{zone}" if percent else address.lower()


def _port(text: str) -> int | None:
    """Returns the port of `:PORT`; None for an empty one, which Go allows."""
    match = _PORT.fullmatch(text)
    if match is None or int(match[1] or 0) > _MOST_PORT:
        raise BadUrl("it has something that is no port after its host")
    if not text.strip(":"):
        return None
    return int(match[1] or 0)


def socket_path(text: str) -> str:
    """Returns the path of a unix socket of its URL, or of a path, as the kubelet reads it: unix:///run/a%20b is `/run/a b`."""
    return text if text.startswith("/") else parts_of(text).file_path


def socket_url(path: str) -> str:
    """Returns the URL of a socket's path, of which `socket_path` gives the path again."""
    return f"unix://{quote(path, safe=_NOT_ESCAPED, errors='surrogateescape')}"


def without_login(text: str) -> str:
    """Returns a text that should be a URL, for a message: what stands before an @, such as a password, is not repeated. The
    text may be wrong in any way, so nothing is concluded from its form."""
    start, at, rest = text.rpartition("@")
    if not at:
        return text
    scheme, slashes, _ = start.partition("://")
    return f"{scheme}{slashes}…@{rest}" if slashes and _SCHEME.fullmatch(f"{scheme}:") else f"…@{rest}"


def login_of(parts: UrlParts) -> bytes:
    """Returns USER:PASSWORD as a server is told them."""
    return unquote_to_bytes(parts.login or "")
