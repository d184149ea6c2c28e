"""Places in the queue, records of joins and learners that runs hold or left in a cluster; and how to free or adopt them.

A place outlives its run by ten seconds. A record without a place belongs to a run that ended: the same command resumes it,
`unlock` deletes it, `adopt` writes one for a learner that another tool registered.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from quorate.core.finding import Finding
from quorate.core.ids import format_id, normalised, same_url
from quorate.core.join_memory import JoinMemory, from_fields
from quorate.core.membership import ClusterView, Member
from quorate.core.new_member import freeing
from quorate.deadline import Clock
from quorate.errors import ConfigError, Refused
from quorate.etcd.client import kv, lease
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.client.kv import KeyValue
from quorate.etcd.coordination.join_record import NOTHING, SeatRequest, describe, fields_of, who
from quorate.etcd.coordination.standby_marks import marked
from quorate.etcd.coordination.this_run import Origin, origin_of
from quorate.etcd.keys import CHANGE, JOINS, PROOFS, SEATS, join_key, proof_key
from quorate.foreign.text import to_paste
from quorate.foreign.values import integer_of, text_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PendingJoin:
    """One join as its keys show it. `place` is its rank in the queue: 1 has the seat; None when its run has ended. `seconds`
    is the lifetime of the place without a renewal. `member` is the member listed at the peer URL.
    `origin`: the process of the run; `memory`: what its record says that it did; `ends_as`: what its member is to be."""

    run: str
    name: str
    peer_url: str
    host: str
    pid: int
    place: int | None
    seconds: int | None
    member: Member | None
    keys: tuple[bytes, ...]
    origin: Origin
    memory: JoinMemory = NOTHING
    ends_as: str = "voter"

    def as_dict(self) -> dict[str, object]:
        """Returns the join as `-o json` shows it."""
        return {
            "run": self.run,
            "name": self.name,
            "peerURL": self.peer_url,
            "host": self.host,
            "pid": self.pid,
            "place": self.place,
            "secondsLeft": self.seconds,
            "member": format_id(self.member.id) if self.member else None,
            "isLearner": self.member.is_learner if self.member else None,
        }


def find(channel: Channel, view: ClusterView, *, timeout: float) -> list[PendingJoin]:
    """Returns all joins that have a place or a record, those in the queue first and in its order."""
    return _joins(channel, _rows(channel, timeout=timeout), view, timeout=timeout)


def find_all(channel: Channel, view: ClusterView, *, timeout: float) -> tuple[list[PendingJoin], HeldLock | None]:
    """Returns what `find` and `find_lock` return, of one moment, by one call: an autopilot asks every second."""
    rows = _rows(channel, timeout=timeout)
    lock = next((row for row in rows if row.key == CHANGE), None)
    joins = _joins(channel, rows, view, timeout=timeout)
    return joins, _lock(channel, lock, timeout=timeout) if lock is not None else None


def _rows(channel: Channel, *, timeout: float) -> list[KeyValue]:
    """Returns the rows of the lock, the records and the queue, and what lies between them."""
    return kv.get_range(channel, CHANGE, kv.prefix_end(SEATS), timeout=timeout)


def _joins(channel: Channel, rows: list[KeyValue], view: ClusterView, *, timeout: float) -> list[PendingJoin]:
    seats = sorted((row for row in rows if row.key.startswith(SEATS)), key=lambda row: row.create_revision)
    records = [row for row in rows if row.key.startswith(JOINS)]
    by_run: dict[str, list[KeyValue]] = {}
    for row in (*seats, *records):
        by_run.setdefault(_run_of(row), []).append(row)
    places = {row.key: number for number, row in enumerate(seats, 1)}
    seconds_left = partial(lease.time_to_live, channel, timeout=timeout)
    return [_leftover(rows, places, view, seconds_left) for rows in by_run.values()]


@dataclass(frozen=True, slots=True)
class HeldLock:
    """The lock for removals while it is held; `seconds`: its lifetime without a renewal, None without a lease;
    `origin`: the process that holds it."""

    change: str
    host: str
    pid: int
    seconds: int | None
    origin: Origin

    def as_dict(self) -> dict[str, object]:
        """Returns the lock as `-o json` shows it."""
        return {"change": self.change, "host": self.host, "pid": self.pid, "secondsLeft": self.seconds}


def find_lock(channel: Channel, *, timeout: float) -> HeldLock | None:
    """Returns the holder of the lock for removals, or None."""
    row = kv.get(channel, CHANGE, timeout=timeout)
    return _lock(channel, row, timeout=timeout) if row is not None else None


def _lock(channel: Channel, row: KeyValue, *, timeout: float) -> HeldLock:
    fields = fields_of(row)
    seconds = lease.time_to_live(channel, row.lease, timeout=timeout) if row.lease else None
    origin = origin_of(fields)
    return HeldLock(text_of(fields.get("change")), origin.host, origin.pid, seconds, origin)


def free_lock(channel: Channel, *, timeout: float) -> None:
    """Frees the lock for removals. A run that holds it notices before it removes anything, and gives up."""
    kv.delete(channel, CHANGE, timeout=timeout)


def _run_of(row: KeyValue) -> str:
    return text_of(fields_of(row).get("run"), row.key.decode(errors="replace"))


def _leftover(
    rows: list[KeyValue], places: dict[bytes, int], view: ClusterView, seconds_left: Callable[[int], int | None]
) -> PendingJoin:
    fields = fields_of(rows[0])
    held = next((row for row in rows if row.lease), None)
    url = text_of(fields.get("peerURL"))
    return PendingJoin(
        _run_of(rows[0]),
        text_of(fields.get("name")),
        url,
        text_of(fields.get("host")),
        integer_of(fields.get("pid")),
        places.get(held.key) if held else None,
        seconds_left(held.lease) if held else None,
        view.by_peer_urls((url,)),
        tuple(row.key for row in rows),
        origin_of(fields),
        next((from_fields(fields_of(row)) for row in rows if row.key.startswith(JOINS)), NOTHING),
        text_of(fields.get("endsAs"), "voter"),
    )


def free(channel: Channel, leftover: PendingJoin, *, timeout: float) -> None:
    """Deletes the keys of a join, its place and its record. The member list stays as it is."""
    for key in leftover.keys:
        kv.delete(channel, key, timeout=timeout)


def drop_old_proofs(channel: Channel, view: ClusterView, *, timeout: float) -> int:
    """Deletes the keys that proofs of alignment wrote for members that are not learners now; returns how many."""
    needed = {proof_key(learner.id) for learner in view.learners}
    old = [row.key for row in kv.get_prefix(channel, PROOFS, timeout=timeout) if row.key not in needed]
    return sum(kv.delete(channel, key, timeout=timeout) for key in old)


def refuse_adoption(channel: Channel, view: ClusterView, member: Member, *, timeout: float) -> None:
    """Raises `Refused` for a voter, for a standby, and while the run that registered the learner is still running."""
    if not member.is_learner:
        raise Refused(
            f"{member.name or format(member.id, 'x')} is a voter: there is nothing to adopt",
            state="nothing was changed",
            advice="name a learner: quorate etcd members shows them",
        )
    if member.id in marked(channel, view, timeout=timeout):
        promote, remove = (to_paste("quorate", "etcd", verb, f"{member.id:x}") for verb in ("promote", "remove"))
        raise Refused(
            f"{member.name or format_id(member.id)} is a standby of the autopilot: its join is done",
            state="nothing was changed",
            advice=f"'{promote}' gives it a vote now; '{remove}' takes it from the autopilot",
        )
    for row in kv.get_prefix(channel, SEATS, timeout=timeout):
        fields = fields_of(row)
        if any(same_url(text_of(fields.get("peerURL")), url) for url in member.peer_urls):
            raise Refused(
                f"{who(row)} is still running for this learner",
                state="nothing was changed",
                advice="wait for it, or stop it; its place is free ten seconds later",
            )


def adopt(channel: Channel, view: ClusterView, member: Member, request: SeatRequest, *, timeout: float) -> None:
    """Records that the learner `member` belongs to the join `request`, so that the join may also roll it back. Raises as
    `refuse_adoption`."""
    refuse_adoption(channel, view, member, timeout=timeout)
    memory = JoinMemory(member_id=member.id, ours=True, listed=True)
    kv.put(channel, join_key(request.peer_url), describe(request, memory), timeout=timeout)


@dataclass(frozen=True, slots=True)
class PendingJoins:
    """The functions of this module on a member that answers now. `timeout`: seconds for one answer."""

    access: Access
    seeds: Sequence[Endpoint]
    clock: Clock
    timeout: float

    def find(self, view: ClusterView) -> list[PendingJoin]:
        return self._ask(lambda channel, seconds: find(channel, view, timeout=seconds))

    def find_all(self, view: ClusterView) -> tuple[list[PendingJoin], HeldLock | None]:
        return self._ask(lambda channel, seconds: find_all(channel, view, timeout=seconds))

    def lock(self) -> HeldLock | None:
        return self._ask(lambda channel, seconds: find_lock(channel, timeout=seconds))

    def free_lock(self) -> HeldLock | None:
        held = self.lock()
        self._ask(lambda channel, seconds: free_lock(channel, timeout=seconds))
        return held

    def named(self, which: str, view: ClusterView) -> list[PendingJoin]:
        """Returns the joins whose run, member name or peer URL is `which`. Raises `ConfigError` when there is none."""
        found = [row for row in self.find(view) if which in (row.run, row.name, row.peer_url)]
        if not found:
            raise ConfigError(f"no join named {which!r} has a place or a record", state="nothing was changed")
        return found

    def free(self, which: str, view: ClusterView) -> list[PendingJoin]:
        found = self.named(which, view)
        for row in found:
            self._ask(partial(_free, row))
        self._ask(lambda channel, seconds: drop_old_proofs(channel, view, timeout=seconds))
        return found

    def check_adopt(self, member: Member, name: str, view: ClusterView) -> Member:
        """Raises what `adopt` would raise now, changing nothing; otherwise returns the learner."""
        self._check_name(member, name, view)
        self._ask(lambda channel, seconds: refuse_adoption(channel, view, member, timeout=seconds))
        return member

    def adopt(self, member: Member, name: str, view: ClusterView) -> Member:
        self._check_name(member, name, view)
        request = SeatRequest(secrets.token_hex(8), name, normalised(member.peer_urls[0]), view.cluster_id)
        self._ask(lambda channel, seconds: adopt(channel, view, member, request, timeout=seconds))
        return member

    def _check_name(self, member: Member, name: str, view: ClusterView) -> None:
        if member.name and member.name != name:
            raise ConfigError(f"that learner already runs with the name {member.name}", state="nothing was changed")
        namesake = next((row for row in view.members if row.name == name and row.id != member.id), None)
        if namesake is not None:
            raise ConfigError(
                f"{name} is the name of another member ({namesake.id:x})",
                state="nothing was changed",
                advice="choose another name",
            )

    def _ask(self, what: Callable[[Channel, float], T]) -> T:
        return ask_anyone(self.access, self.seeds, what, self.clock, seconds=2 * self.timeout)


def _free(row: PendingJoin, channel: Channel, seconds: float) -> None:
    free(channel, row, timeout=seconds)


def learners_there(channel: Channel, view: ClusterView, peer_url: str, *, timeout: float) -> Iterator[Finding]:
    """Yields findings for learners at other peer URLs, which may hold the only seat, and the joins they belong to."""
    others = [learner for learner in view.learners if peer_url not in learner.peer_urls]
    if not others:
        return
    try:
        known = {left.peer_url: left for left in find(channel, view, timeout=timeout)}
    except EtcdError:
        known = {}
    with suppress(EtcdError):
        view = replace(view, standbys=marked(channel, view, timeout=timeout))
    for learner in others:
        left = known.get(learner.peer_urls[0])
        whose = "a standby of the autopilot" if view.is_standby(learner) else "of an unknown join"
        if left is not None:
            # A place outlives a run that was killed by seconds: that it is running would be said of a dead one.
            at_work = "which holds its place" if left.place is not None else "interrupted"
            whose = f"of the join of {left.name!r} from {left.host} (pid {left.pid}), {at_work}"
        text = f"there is a learner already: {learner.name or learner.peer_urls[0]} ({learner.id:x}), {whose}"
        yield Finding(
            "learner-there",
            "warning",
            text,
            f"the join waits for its seat; {freeing(view, [learner])}",
        )
