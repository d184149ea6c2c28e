"""Converts values of others to our own types. A value of another type counts as absent. We never call `str(value)`: it expands
a list of aliases to gigabytes, and makes text of any other type."""

from __future__ import annotations

from collections.abc import Mapping

MOST_TEXT = 1 << 20


def text_of(value: object, default: str = "") -> str:
    """Returns a string of at most `MOST_TEXT` characters; `default` for anything else."""
    return value if isinstance(value, str) and len(value) <= MOST_TEXT else default


def mapping_of(value: object) -> Mapping[str, object]:
    """Returns a mapping; an empty one for anything else. Keys that are not strings are left out."""
    return {key: inner for key, inner in value.items() if isinstance(key, str)} if isinstance(value, dict) else {}


def rows_of(value: object) -> list[Mapping[str, object]]:
    """Returns the mappings of a list; none for anything else."""
    return [mapping_of(row) for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def texts_of(value: object) -> tuple[str, ...]:
    """Returns the strings of a list; none for anything else."""
    return tuple(row for row in value if isinstance(row, str)) if isinstance(value, list | tuple) else ()


def integer_of(value: object, default: int = 0) -> int:
    """Returns a whole number of at most 64 bits; `default` for anything else, booleans too."""
    if isinstance(value, bool) or not isinstance(value, int):
        return default
    return value if -(2**63) <= value < 2**64 else default


def is_newer(fields: Mapping[str, object], known: int) -> bool:
    """Returns whether a document of ours has a newer format than `known`: fields that we cannot read may forbid a step. Version
    0.1 wrote no format. A format that is not a positive integer was not written by us, and counts as newer."""
    return "format" in fields and not 0 < integer_of(fields["format"]) <= known
