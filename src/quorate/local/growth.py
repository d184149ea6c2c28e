"""How many members an `up` was asked for, until it has them: the same command is to finish what a kill cut off."""

from __future__ import annotations

import json

from quorate.files import remove_file, write_atomic
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.local_files import read_trusted
from quorate.foreign.values import integer_of
from quorate.local.layout import Layout

_MOST = 100


def begin(layout: Layout, members: int) -> None:
    """Records the number; 0 records nothing."""
    if members > 0:
        write_atomic(layout.wanted, json.dumps({"members": members}).encode(), mode=0o600)


def asked_for(layout: Layout) -> int:
    """Returns what an `up` that was cut off was asked for, 0 when none was."""
    stored = read_trusted(layout.wanted, RECORD.size, what="the number of members")
    try:
        told = read_object(stored, str(layout.wanted), RECORD) if stored is not None else {}
    except BadDocument:
        return 0
    members = integer_of(told.get("members"))
    return members if 0 < members < _MOST else 0


def reached(layout: Layout) -> None:
    remove_file(layout.wanted)
