"""Makes an input from a corpus: the n-th one of a seed is always the same."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, TypeAlias

from fuzz import letters, messages, trees

Kind: TypeAlias = Literal["text", "lines", "json", "yaml", "message", "pem", "journal"]
_Change: TypeAlias = Callable[[bytes, Random, bytes], bytes]

BETWEEN = b"\n=====\n"
"""Stands between the parts of an input of several."""


def parts(content: bytes, count: int) -> list[bytes]:
    """The parts of an input; those that are not there are empty."""
    found = content.split(BETWEEN, count - 1)
    return found + [b""] * (count - len(found))


def _text(content: bytes, rng: Random, other: bytes) -> bytes:
    if rng.random() < 0.2:
        return letters.change_bytes(content, rng, other)
    return letters.change_text(content.decode(errors="replace"), rng).encode("utf-8", "surrogatepass")


def _lines(content: bytes, rng: Random, other: bytes) -> bytes:
    return (letters.change_lines if rng.random() < 0.6 else letters.change_bytes)(content, rng, other)


def _journal(content: bytes, rng: Random, other: bytes) -> bytes:
    """A changed record gets its checksum again, else every change is a torn line."""
    if rng.random() < 0.2:
        return _lines(content, rng, other)
    rows = content.split(b"\n")
    at = rng.randrange(len(rows))
    body = trees.change_json(rows[at].partition(b" ")[2] or b"{}", rng, other.partition(b" ")[2].partition(b"\n")[0])
    body = body.replace(b"\n", b" ")
    rows[at] = f"{zlib.crc32(body):08x} ".encode() + body
    return b"\n".join(rows)


_CHANGES: dict[Kind, _Change] = {
    "text": _text,
    "lines": _lines,
    "json": trees.change_json,
    "yaml": trees.change_yaml,
    "message": messages.change_message,
    "pem": messages.change_pem,
    "journal": _journal,
}


def mutated(pool: Sequence[bytes], kinds: Sequence[Kind], rng: Random) -> bytes:
    """An input from `pool` with a few changes, each in one of its parts by that part's grammar."""
    content, other = rng.choice(pool), rng.choice(pool)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rows, spare = parts(content, len(kinds)), parts(other, len(kinds))
        at = rng.randrange(len(kinds))
        rows[at] = _CHANGES[kinds[at]](rows[at], rng, spare[at])[: letters.MOST_BYTES]
        content = BETWEEN.join(rows)
    return content
