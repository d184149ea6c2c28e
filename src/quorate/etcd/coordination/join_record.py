"""The record of a join in the cluster: which join a learner belongs to, by member id, and what was done to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from quorate.core.ids import format_id, same_url
from quorate.core.join_memory import JoinMemory, as_fields, from_fields, taken_up
from quorate.core.membership import Member
from quorate.errors import Refused
from quorate.etcd.client.kv import KeyValue
from quorate.etcd.coordination import this_run
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.values import integer_of, is_newer, text_of


@dataclass(frozen=True, slots=True)
class SeatRequest:
    """The request of a run to join `name` at `peer_url` to the cluster. `run` is unique. `ends_as`: what the member is to be
    kept as: the autopilot frees the seat of a standby for a voter, never for another standby."""

    run: str
    name: str
    peer_url: str
    cluster_id: int
    ends_as: Literal["voter", "standby"] = "voter"


NOTHING = JoinMemory()
FORMAT = 1
"""The format of a place in the queue, of a record of a join, and of a record of a replacement."""


def describe(request: SeatRequest, memory: JoinMemory = NOTHING) -> bytes:
    """Returns the value of a place in the queue or of a record."""
    fields = {
        "format": FORMAT,
        "run": request.run,
        "name": request.name,
        "peerURL": request.peer_url,
        "clusterId": format_id(request.cluster_id),
        "endsAs": request.ends_as,
        **this_run.fields(),
        **as_fields(memory),
    }
    return json.dumps(fields).encode()


def fields_of(row: KeyValue) -> dict[str, Any]:
    """Returns the fields of a record. Any client may write there, so a value that is not a record gives no fields."""
    try:
        return dict(read_object(row.value, "a record", RECORD))
    except BadDocument:
        return {}


def refuse_newer(row: KeyValue | None, what: str) -> None:
    """Raises `Refused` for a record that a newer version wrote: what this one cannot read may forbid the very step, and what it
    writes over is lost to the run that needs it."""
    if row is None or not is_newer(fields_of(row), FORMAT):
        return
    raise Refused(
        f"a newer version of quorate has recorded {what}: {who(row)}",
        state="nothing was changed",
        advice="run that version, which resumes what it began; or delete the record: 'quorate etcd unlock' shows its run",
    )


def who(row: KeyValue) -> str:
    """Returns a name, for people, of the run that wrote a place or a record."""
    fields = fields_of(row)
    name, host = text_of(fields.get("name"), "?")[:80], text_of(fields.get("host"), "?")[:80]
    return f"the join of {name!r} from {host} (pid {integer_of(fields.get('pid')) or '?'})"


def memory_for(row: KeyValue | None, request: SeatRequest, known: Member | None) -> JoinMemory | None:
    """Returns the record's memory of the member `known`, which is listed at the peer URL of `request`; None when the record is
    void for that member.

    A record of another cluster id is void: a restored snapshot revives records of its past. A record of another member id is
    void too: a later learner of another tool may use the URL. A record of version 0.1 holds no id: its restart and promotion
    count, but do not make the learner ours. A record in a newer format is not understood: its learner is not ours to remove,
    and may have a vote.
    """
    fields = fields_of(row) if row is not None else {}
    here = fields.get("clusterId") == format_id(request.cluster_id) and same_url(
        text_of(fields.get("peerURL")), request.peer_url
    )
    if not here:
        return None
    if is_newer(fields, FORMAT):
        return JoinMemory(known.id, listed=True, vote="asked", vote_before="asked") if known is not None else None
    memory = from_fields(fields)
    if known is None:
        # The member is not listed, but an add whose answer was lost may still arrive.
        return JoinMemory(adding=memory.adding) if memory.adding else None
    if memory.member_id == known.id:
        return replace(memory, listed=True)
    if memory.member_id:
        return None
    return taken_up(memory, known.id, known.peer_urls)
