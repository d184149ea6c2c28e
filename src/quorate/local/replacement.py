"""The record of a replacement between commands: the old member, the new one, and the margin before it began."""

from __future__ import annotations

import json

from quorate.core.ids import format_id
from quorate.core.membership import margin_of, removal_margins
from quorate.errors import Refused
from quorate.files import remove_file, write_atomic
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.local_files import read_trusted
from quorate.foreign.values import integer_of
from quorate.local.home import Home


def began(home: Home, old: str, new: str | None) -> int:
    """Records the replacement of the live member `old`. Returns how many voters the cluster could lose before it began: as an
    earlier run of this replacement recorded, or as now if that is less. Raises as `check`."""
    margin, recorded = check(home, old, new)
    if not recorded:
        told = {"old": old, "new": new, "margin": margin}
        write_atomic(home.layout.replacement, json.dumps(told).encode(), mode=0o600)
    return margin


def check(home: Home, old: str, new: str | None) -> tuple[int, bool]:
    """Returns that margin, and whether an earlier run recorded one. Raises `Refused` when `new` is a voter already and the
    removal of `old` would lower the margin."""
    view = home.look()
    margin, recorded = margin_of(view), _recorded(home, old, new)
    if recorded is not None:
        return min(recorded, margin), True
    target = next((row for row in view.voters if row.name == old), None)
    if target is not None and new is not None and any(row.name == new for row in view.voters):
        before, after = removal_margins(view, target.id, dead=False)
        if after < before:
            raise Refused(
                f"{new} is a voter already, so nothing would take the place of {old} ({format_id(target.id)}): "
                f"the cluster could lose {after} more voters instead of {before}",
                state="nothing was changed",
                advice=f"quorate local leave {old} {home.layout.option}    # or choose another name for the new member",
            )
    return margin, False


def _recorded(home: Home, old: str, new: str | None) -> int | None:
    stored = read_trusted(home.layout.replacement, RECORD.size, what="the record of a replacement")
    try:
        told = read_object(stored, str(home.layout.replacement), RECORD) if stored is not None else {}
    except BadDocument:
        return None
    return max(integer_of(told.get("margin")), 0) if told.get("old") == old and told.get("new") == new else None


def ended(home: Home) -> None:
    """Deletes the record."""
    remove_file(home.layout.replacement)
