"""The size that an unfinished `up` was asked for, kept so that the same command can finish it after a kill."""

from __future__ import annotations

import json

from quorate.files import remove_file, write_atomic
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.local_files import read_trusted
from quorate.foreign.values import integer_of
from quorate.local.layout import Layout

_MOST = 100


def begin(layout: Layout, members: int) -> None:
    """Records the number of members; 0 records nothing."""
    if members > 0:
        write_atomic(layout.wanted, json.dumps({"members": members}).encode(), mode=0o600)


def asked_for(layout: Layout) -> int:
    """Returns the size that a cut-off `up` was asked for; 0 when there is none."""
    stored = read_trusted(layout.wanted, RECORD.size, what="the number of members")
    try:
        told = read_object(stored, str(layout.wanted), RECORD) if stored is not None else {}
    except BadDocument:
        return 0
    members = integer_of(told.get("members"))
    return members if 0 < members < _MOST else 0


def restore(layout: Layout, members: int) -> None:
    """Records what was recorded before a size that was refused: that one must not be tried again by a later `up`."""
    if members > 0:
        begin(layout, members)
    else:
        reached(layout)


def reached(layout: Layout) -> None:
    """Deletes the record."""
    remove_file(layout.wanted)
