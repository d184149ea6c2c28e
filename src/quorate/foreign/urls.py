"""Takes URLs apart that others wrote: what cannot be read has no parts, and is no exception."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class UrlParts:
    """`host` without the brackets of an IPv6 address; `port` is None where none is given, or none that there is."""

    scheme: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""


def parts_of(url: str) -> UrlParts:
    """Returns the parts of a URL, none of one that is no URL."""
    try:
        parts = urlsplit(url)
        return UrlParts(parts.scheme, parts.hostname or "", parts.port, parts.path)
    except ValueError:
        return UrlParts()
