"""The fields of KubeletConfiguration and KubeProxyConfiguration in each Kubernetes minor, as their Go types declare them.

The table is `component_fields.json`, which engines/component_fields.py writes from the Go modules. Paths name what is in a list
or a map with []: registerWithTaints[].key.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from quorate.config.versions import NEWEST, OLDEST
from quorate.foreign.documents import read_object

_TABLE = Path(__file__).with_name("component_fields.json")
_ALWAYS_WRITTEN = frozenset(["object", "duration", "nanoseconds or duration", "quantity", "time"])
"""Structs in Go, which `omitempty` does not leave out."""


class Field(Struct, frozen=True):
    """A field in the minors `since` to `until`. `type`: as in Go, without the * of a pointer; object is a mapping with fields
    of its own. `optional`: a pointer, so that an explicit zero differs from none. `omitted`: left out when it is empty."""

    type: str
    optional: bool
    omitted: bool
    since: int
    until: int


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, tuple[Field, ...]]]:
    found: Any = read_object(_TABLE.read_bytes(), _TABLE.name)
    return {kind: {path: tuple(map(_field, rows)) for path, rows in paths.items()} for kind, paths in found.items()}


def _field(row: dict[str, str | int | bool]) -> Field:
    text = str(row["type"])
    kind = text.removeprefix("*")
    optional = kind != text
    omitted = bool(row.get("omitempty")) and (optional or kind not in _ALWAYS_WRITTEN)
    return Field(kind, optional, omitted, int(row.get("since", OLDEST)), int(row.get("until", NEWEST)))


@lru_cache(maxsize=32)
def fields_of(kind: str, minor: int) -> dict[str, Field]:
    """Returns the fields of a kind in a minor, by path; those of the nearest known minor when it is outside the table."""
    at = min(max(minor, OLDEST), NEWEST)
    return {path: field for path, rows in _table()[kind].items() for field in rows if field.since <= at <= field.until}


def minors_of(kind: str, path: str) -> tuple[int, int] | None:
    """Returns the first and the last known minor that have a field; None for none."""
    rows = _table()[kind].get(path)
    return (rows[0].since, rows[-1].until) if rows else None


@lru_cache(maxsize=256)
def children(kind: str, minor: int, path: str) -> tuple[str, ...]:
    """Returns the names of the fields of an object; `path` is empty for the document."""
    inside = f"{path}." if path else ""
    below = (one.removeprefix(inside) for one in fields_of(kind, minor) if one.startswith(inside))
    return tuple(one for one in below if "." not in one and "[" not in one)
