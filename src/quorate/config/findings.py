"""What a check across several documents found, with the document that it belongs to."""

from __future__ import annotations

from msgspec import Struct


class Finding(Struct, frozen=True):
    """A problem, or a note, in the document of `kind`. `path`: as in `Problem`."""

    kind: str
    path: str
    text: str
    is_note: bool = False
