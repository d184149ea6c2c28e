"""The record of a replacement between commands: the member that leaves and the one that takes its place, by their ids, and the
margin before it began. Names come back with other members, and a record that counted for a name was standing consent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, TypeAlias

from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member, margin_of, removal_margins
from quorate.core.quorum import fewer_may_fail
from quorate.errors import Refused
from quorate.files import remove_file, write_atomic
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.local_files import read_trusted
from quorate.foreign.values import integer_of, is_newer, text_of
from quorate.local.home import Home
from quorate.local.rows import row_of
from quorate.spelling import spelled

_FORMAT = 1


Order: TypeAlias = Literal["join first", "remove first", "join only"]


def order_of(home: Home, old: str) -> Order:
    """Returns which half goes first: a dead member is removed before the join, because it counts against the quorum. One that
    an earlier run removed leaves only the join."""
    if all(member.name != old for member in home.load().members):
        return "join only"
    return "remove first" if home.daemon(old).identity() is None else "join first"


def has_joined(home: Home, new: str) -> bool:
    """Returns whether an earlier run has joined the new member."""
    return any(member.name == new and member.phase == "member" for member in home.load().members)


def began(home: Home, old: str, new: str, *, accept_reduced_tolerance: bool = False) -> int:
    """Records the replacement of the live member `old`. Returns how many voters the cluster could lose before it began: as an
    earlier run of this replacement recorded, or as now if that is less. Raises as `check`."""
    view = home.look()
    margin, counts = _judged(home, view, old, new, consent=accept_reduced_tolerance)
    if not counts:
        _record(home, view, old, new, margin)
    return margin


def began_with_removal(home: Home, old: str, new: str) -> None:
    """Records the replacement of a member that does not run and is therefore removed before `new` joins: the same command
    resumes by it when `old` is gone. Raises `Refused` for a record of a newer version."""
    _refuse_newer(home, _read(home))
    view = home.look()
    _record(home, view, old, new, margin_of(view))


def refuse_nobody(home: Home, old: str, new: str) -> None:
    """Raises `ConfigError` for an `old` that is no member, unless an earlier run of this very replacement may have removed it:
    a mistyped name would start a join that replaces nobody. Raises `Refused` for a record of a newer version."""
    fields, saved = _read(home), home.load()
    if any(member.name == old for member in saved.members):
        return
    _refuse_newer(home, fields)
    if (fields.get("oldName"), fields.get("newName")) != (old, new):
        saved.member(old)


def _record(home: Home, view: ClusterView, old: str, new: str, margin: int) -> None:
    target = row_of(home, view, home.load().member(old))
    if target is not None:
        told = {
            "format": _FORMAT,
            "clusterId": format_id(view.cluster_id),
            "old": format_id(target.id),
            "oldName": old,
            "new": "",
            "newName": new,
            "margin": margin,
        }
        _write(home, told)


def check(home: Home, old: str, new: str, *, accept_reduced_tolerance: bool = False) -> None:
    """Raises `Refused` when `new` is a voter already and the removal of `old` would lower the margin: it takes no place, unless
    an earlier run of this replacement gave it the vote. Refuses a record of a newer version, which may forbid the step."""
    _judged(home, home.look(), old, new, consent=accept_reduced_tolerance)


def _judged(home: Home, view: ClusterView, old: str, new: str, *, consent: bool) -> tuple[int, bool]:
    """Returns the margin that counts, and whether it is that of a record of this very replacement. Raises as `check`."""
    fields, margin = _read(home), margin_of(view)
    _refuse_newer(home, fields)
    target, successor = row_of(home, view, home.load().member(old)), _row_named(home, view, new)
    if target is not None and _is_of(fields, view, target, successor, new):
        return min(max(integer_of(fields.get("margin")), 0), margin), True
    if target is not None and successor is not None and not successor.is_learner and not consent:
        before, after = removal_margins(view, target.id, dead=False)
        if after < before:
            raise Refused(
                f"{new} is a voter already, so nothing would take the place of {old} ({format_id(target.id)}): "
                f"{fewer_may_fail(after, before)}",
                state="nothing was changed",
                advice="choose another name for the new member, or accept the lower tolerance with "
                f"{spelled('--accept-reduced-tolerance')}",
            )
    return margin, False


def _refuse_newer(home: Home, fields: Mapping[str, object]) -> None:
    if is_newer(fields, _FORMAT):
        raise Refused(
            f"a newer version of quorate has recorded a replacement in {home.layout.replacement}",
            state="nothing was changed",
            advice="run that version, which resumes what it began",
        )


def _row_named(home: Home, view: ClusterView, new: str) -> Member | None:
    """Returns the member `new`: the one of this directory, else any of that name, which a refusal is about as well."""
    ours = next((member for member in home.load().members if member.name == new), None)
    return (row_of(home, view, ours) if ours else None) or view.by_name(new)


def _is_of(fields: Mapping[str, object], view: ClusterView, old: Member, new: Member | None, name: str) -> bool:
    """Returns whether the record is of these very members. Before `new` is listed it is as good as none: a later run records
    the margin of its own beginning."""
    if new is None:
        return False
    ids = {"clusterId": view.cluster_id, "old": old.id, "new": new.id}
    return fields.get("newName") == name and all(fields.get(key) == format_id(one) for key, one in ids.items())


def joined(home: Home, name: str, member_id: int) -> None:
    """Adds to a record that waits for the member `name` the id under which it is registered. Of another member of that name,
    which joins later, the record says nothing."""
    fields = _read(home)
    if member_id and not is_newer(fields, _FORMAT) and fields.get("newName") == name and fields.get("new") == "":
        _write(home, {**fields, "new": format_id(member_id)})


def overtaken(home: Home) -> None:
    """Deletes a record whose new member is not begun, before another command joins members: that join is no replacement."""
    fields = _read(home)
    names = {member.name for member in home.load().members}
    if fields and not is_newer(fields, _FORMAT) and not fields.get("new") and text_of(fields.get("newName")) not in names:
        ended(home)


def left(home: Home, name: str) -> None:
    """Deletes the record of a replacement whose new member has left, or whose old one has once the new one was registered. By
    that of an old one which left first the same command resumes."""
    fields = _read(home)
    over = (fields.get("newName"), fields.get("oldName") if fields.get("new") else None)
    if not is_newer(fields, _FORMAT) and name in over:
        ended(home)


def _read(home: Home) -> Mapping[str, object]:
    """Returns the fields of the record; none where there is no record, or what is there is none."""
    stored = read_trusted(home.layout.replacement, RECORD.size, what="the record of a replacement")
    try:
        return read_object(stored, str(home.layout.replacement), RECORD) if stored is not None else {}
    except BadDocument:
        return {}


def _write(home: Home, fields: Mapping[str, object]) -> None:
    write_atomic(home.layout.replacement, json.dumps(fields).encode(), mode=0o600)


def ended(home: Home) -> None:
    """Deletes the record."""
    remove_file(home.layout.replacement)
