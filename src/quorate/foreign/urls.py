"""Splits URLs that others wrote. A URL that cannot be read has no parts, and raises nothing."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class UrlParts:
    """The parts of a URL. `host`: without the brackets of an IPv6 address. `port`: None when there is none."""

    scheme: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""


def parts_of(url: str) -> UrlParts:
    """Returns the parts of a URL; all are empty when it is not a URL."""
    try:
        parts = urlsplit(url)
        return UrlParts(parts.scheme, parts.hostname or "", parts.port, parts.path)
    except ValueError:
        return UrlParts()
