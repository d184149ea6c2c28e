"""What runs hold or left behind in a cluster: places in the queue, records of joins, learners; and how to free or adopt it.

A place lives as long as its run, and ten seconds longer. A record without a place belongs to a run that ended: the same
command again takes it up, `unlock` drops it, `adopt` writes one for a learner that somebody else registered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from quorate.core.membership import ClusterView, Member
from quorate.errors import Refused
from quorate.etcd import kv, lease
from quorate.etcd.alignment import RECORDS as PROOFS
from quorate.etcd.alignment import record_key as proof_key
from quorate.etcd.channel import Channel
from quorate.etcd.claim import RECORDS, SEATS, Bid, describe, fields_of, record_key
from quorate.etcd.kv import KeyValue


@dataclass(frozen=True, slots=True)
class Leftover:
    """One join as its keys tell. `place` is its rank in the queue, 1 has the seat, None when its run has ended; `seconds`
    is how long the place lives if it is not renewed. `member` is who is listed at its peer URL."""

    run: str
    name: str
    peer_url: str
    host: str
    pid: int
    place: int | None
    seconds: int | None
    member: Member | None
    keys: tuple[bytes, ...]


def find(channel: Channel, view: ClusterView, *, timeout: float) -> list[Leftover]:
    """All joins that have a place or a record, those in the queue first and in its order."""
    seats = sorted(kv.get_prefix(channel, SEATS, timeout=timeout), key=lambda row: row.create_revision)
    records = kv.get_prefix(channel, RECORDS, timeout=timeout)
    by_run: dict[str, list[KeyValue]] = {}
    for row in (*seats, *records):
        by_run.setdefault(_run_of(row), []).append(row)
    places = {row.key: number for number, row in enumerate(seats, 1)}
    seconds_left = partial(lease.time_to_live, channel, timeout=timeout)
    return [_leftover(rows, places, view, seconds_left) for rows in by_run.values()]


def _run_of(row: KeyValue) -> str:
    return str(fields_of(row).get("run", row.key.decode(errors="replace")))


def _leftover(
    rows: list[KeyValue], places: dict[bytes, int], view: ClusterView, seconds_left: Callable[[int], int | None]
) -> Leftover:
    fields = fields_of(rows[0])
    held = next((row for row in rows if row.lease), None)
    url = str(fields.get("peerURL", ""))
    return Leftover(
        _run_of(rows[0]),
        str(fields.get("name", "")),
        url,
        str(fields.get("host", "")),
        _number(fields.get("pid")),
        places.get(held.key) if held else None,
        seconds_left(held.lease) if held else None,
        view.by_peer_urls((url,)),
        tuple(row.key for row in rows),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def free(channel: Channel, leftover: Leftover, *, timeout: float) -> None:
    """Delete the keys of a join: its place goes to the next, its record is forgotten. The member list stays as it is."""
    for key in leftover.keys:
        kv.delete(channel, key, timeout=timeout)


def drop_old_proofs(channel: Channel, view: ClusterView, *, timeout: float) -> int:
    """Delete what proofs of alignment wrote for members that are no learners (any more); returns how many keys."""
    needed = {proof_key(learner.id) for learner in view.learners}
    old = [row.key for row in kv.get_prefix(channel, PROOFS, timeout=timeout) if row.key not in needed]
    return sum(kv.delete(channel, key, timeout=timeout) for key in old)


def adopt(channel: Channel, member: Member, bid: Bid, *, timeout: float) -> None:
    """Record that the learner `member` is the one `bid` joins, so that the join may also take it back.

    Raises `Refused` for a voter, and while the run that registered it is still at work.
    """
    if not member.is_learner:
        raise Refused(
            f"{member.name or format(member.id, 'x')} is a voter: there is nothing to adopt", state="nothing was changed"
        )
    for row in kv.get_prefix(channel, SEATS, timeout=timeout):
        fields = fields_of(row)
        if fields.get("peerURL") in member.peer_urls:
            raise Refused(
                f"the join of {fields.get('name')!r} from {fields.get('host')} (pid {fields.get('pid')}) is at work on it",
                state="nothing was changed",
                advice="wait for it, or end it; its place is free ten seconds later",
            )
    kv.put(channel, record_key(bid.peer_url), describe(bid), timeout=timeout)
