"""The queue for the one learner seat, and the record of the join that holds it (decision 7).

Both are courtesy between runs of this tool: kubeadm and others do not know them, and every invariant holds without them.
The queue is a leased key per run under `/quorate/seat/`. The oldest key has the seat; a run that died loses it when its
lease ends. The record under `/quorate/joins/` has no lease: the same command, run again, reads there that the learner is its
own, and may roll it back. Every call goes to a member that answers now: the leader at the start may be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from quorate.core.join_memory import JoinMemory
from quorate.core.membership import Member
from quorate.deadline import Deadline, SystemClock
from quorate.errors import QuorateError, Refused
from quorate.etcd.client import kv, lease
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import CorruptCluster, EtcdError, LeaseNotFound, LoginFailed, NoSpace, PermissionDenied
from quorate.etcd.client.kv import KeyValue
from quorate.etcd.coordination.join_record import (
    FORMAT,
    NOTHING,
    SeatRequest,
    describe,
    fields_of,
    memory_for,
    refuse_newer,
    who,
)
from quorate.etcd.keys import SEATS, join_key
from quorate.foreign.text import to_paste
from quorate.foreign.values import is_newer, text_of
from quorate.report import Notice, Report
from quorate.spelling import spelled

T = TypeVar("T")
_TTL_SECONDS = 10
"""A killed run blocks the seat for this long; a run that is paused for longer loses its place, and notices."""
_RPC_SECONDS = 10.0
"""Long enough for an election with its retries: joins run just when members come and go."""
_COURTESY_SECONDS = 1.5
"""For calls that only spare others a wait: they must not delay a join whose learner may have caught up meanwhile."""
_POLL_SECONDS = 0.2
SEAT_SECONDS = 60.0
"""How long the same run may be first in the queue before the next run gives up."""
_DEAD_PLACE_SECONDS = 2 * _TTL_SECONDS + 5
"""The longest time that the place of a killed run outlives it: its lease, which a new leader starts again. With a shorter wait,
a join with a short limit that is run again after `kill -9` would be refused each time."""


@dataclass(slots=True)
class SeatLease:
    """The held seat. `memory`: what an earlier run of this join recorded. Call `keep` regularly to renew the lease, and
    `remember` when the memory changes, so that a later run can read it."""

    memory: JoinMemory
    keep: Callable[[], None]
    remember: Callable[[JoinMemory], None]
    undone: bool = field(default=False)


@dataclass(frozen=True, slots=True)
class _Queue:
    """One run in the queue."""

    access: Access
    seeds: Sequence[Endpoint]
    request: SeatRequest
    clock: SystemClock
    report: Report

    @property
    def key(self) -> bytes:
        return SEATS + self.request.run.encode()

    def ask(self, what: Callable[[Channel, float], T], seconds: float = _RPC_SECONDS) -> T:
        return ask_anyone(self.access, self.seeds, what, self.clock, seconds=seconds)

    def take_place(self) -> int:
        """Takes a place at the end of the queue; returns the lease that holds it."""
        granted = self.ask(lambda channel, seconds: lease.grant(channel, _TTL_SECONDS, timeout=seconds))
        value = describe(self.request)
        self.ask(lambda channel, seconds: kv.put(channel, self.key, value, timeout=seconds, lease=granted))
        return granted

    def rows(self) -> list[KeyValue]:
        """Returns the places, oldest first. A key without a lease is not a place: it would block the queue for ever."""
        found = self.ask(lambda channel, seconds: kv.get_prefix(channel, SEATS, timeout=seconds))
        return sorted((row for row in found if row.lease), key=lambda row: row.create_revision)

    def record(self) -> KeyValue | None:
        key = join_key(self.request.peer_url)
        return self.ask(lambda channel, seconds: kv.get(channel, key, timeout=seconds))

    def write(self, memory: JoinMemory, seconds: float = _RPC_SECONDS) -> None:
        key, value = join_key(self.request.peer_url), describe(self.request, memory)
        self.ask(lambda channel, left: kv.put(channel, key, value, timeout=left), seconds)


@contextmanager
def learner_seat(  # noqa: PLR0917
    access: Access,
    seeds: Sequence[Endpoint],
    request: SeatRequest,
    known: Callable[[], Member | None],
    clock: SystemClock,
    report: Report,
    seconds: float = SEAT_SECONDS,
) -> Iterator[SeatLease]:
    """Waits for the learner seat, holds it for the block, and keeps the record of the join. The record is deleted when the
    block ends without an error, or with everything undone. `known` returns the member listed at the peer URL. It is called
    once the seat is held, because the list may change during the wait. Raises `Refused` when the queue did not move for
    `seconds`.

    When the cluster does not accept our writes, the join runs without seat and record, after a warning.
    """
    queue = _Queue(access, seeds, request, clock, report)
    try:
        place = _Place(queue, queue.take_place(), clock.now())
    except (NoSpace, PermissionDenied, CorruptCluster, LoginFailed) as error:
        _say_without(report, error)
        listed = known()
        yield SeatLease(_unowned(listed), keep=lambda: None, remember=lambda _: None)
        return
    held: SeatLease | None = None
    try:
        place.wait_for_turn(seconds)
        held = SeatLease(_take_up(queue, known()), place.keep, partial(_write_quietly, queue))
        yield held
        _forget(queue)
    except BaseException:
        if held is not None and held.undone:
            _forget(queue)
        raise
    finally:
        place.leave()


def _say_without(report: Report, error: EtcdError) -> None:
    why = "with authentication on, changing members needs the role root" if isinstance(error, PermissionDenied) else error.text
    report(Notice(f"cannot write the join queue and the record of this join ({why}); continuing without them", "warning"))


def _unowned(listed: Member | None) -> JoinMemory:
    """Returns the memory when there is no record: nothing shows that the learner is ours, so it is used and never removed."""
    return JoinMemory(member_id=listed.id, listed=True) if listed else NOTHING


@dataclass(slots=True)
class _Place:
    """A place in the queue: a key that lives as long as its lease is renewed."""

    queue: _Queue
    lease: int
    renewed_at: float

    def keep(self) -> None:
        """Renews the lease when a third of its time has passed. A failure is ignored: it costs only courtesy."""
        if self.queue.clock.now() - self.renewed_at < _TTL_SECONDS / 3:
            return
        held = self.lease
        with suppress(EtcdError):
            self.queue.ask(lambda channel, seconds: lease.keep_alive(channel, held, timeout=seconds), _COURTESY_SECONDS)
        self.renewed_at = self.queue.clock.now()

    def wait_for_turn(self, seconds: float) -> None:
        """Waits until every older place is gone. A place that was lost meanwhile is taken again, at the end of the queue.

        A place is a key that any client may renew for ever, so the wait ends when one run is first for `seconds`.
        """
        said, seconds = b"", max(seconds, _DEAD_PLACE_SECONDS)
        patience = Deadline(self.queue.clock, seconds, "the queue moves")
        while True:
            queue = self.queue.rows()
            if self.queue.key not in [row.key for row in queue]:
                self.lease, self.renewed_at = self.queue.take_place(), self.queue.clock.now()
                continue
            first = queue[0]
            if first.key == self.queue.key:
                return
            frees = to_paste("quorate", "etcd", "unlock", text_of(fields_of(first).get("run")) or "NAME")
            if first.key != said:
                said, patience = first.key, Deadline(self.queue.clock, seconds, "the queue moves")
                self.queue.report(Notice(f"waiting for {who(first)}, which joins first; '{frees}' frees its place"))
            if patience.expired:
                raise Refused(
                    f"{who(first)} has held the learner seat for {seconds:g} s",
                    state="nothing was changed",
                    advice=f"wait for it with a longer {spelled('--timeout')}; if it no longer runs: {frees}",
                )
            self.queue.clock.sleep(_POLL_SECONDS)
            self.keep()

    def leave(self) -> None:
        """Revokes the lease, best effort: it expires by itself."""
        held = self.lease
        with suppress(QuorateError), self.queue.clock.cancel.shielded():
            self.queue.ask(lambda channel, seconds: lease.revoke(channel, held, timeout=seconds), _COURTESY_SECONDS)


def _take_up(queue: _Queue, known: Member | None) -> JoinMemory:
    """Returns what an earlier run of this join recorded, and writes the record of this run."""
    found = queue.record()
    refuse_newer(found, f"a join at {queue.request.peer_url}")
    memory = memory_for(found, queue.request, known)
    if memory is not None and found is not None and known is not None:
        queue.report(Notice(f"resuming {who(found)}"))
    taken = memory or _unowned(known)
    with suppress(LeaseNotFound):
        queue.write(taken)
    return taken


def _write_quietly(queue: _Queue, memory: JoinMemory) -> None:
    """Writes the record, best effort: the journal has the memory too, and only a run on another machine needs this copy."""
    with suppress(EtcdError):
        queue.write(memory, _COURTESY_SECONDS)


def _forget(queue: _Queue) -> None:
    """Deletes the record, best effort: one that stays is about a member id that never returns."""
    with suppress(QuorateError), queue.clock.cancel.shielded():
        forget_record(queue.access, queue.seeds, queue.request.peer_url, queue.clock)


def forget_record(access: Access, seeds: Sequence[Endpoint], peer_url: str, clock: SystemClock) -> None:
    """Deletes the record of a run that was cut off after its promotion, unless a newer version wrote it; best effort."""

    def delete(channel: Channel, seconds: float) -> object:
        row = kv.get(channel, join_key(peer_url), timeout=seconds)
        newer = row is not None and is_newer(fields_of(row), FORMAT)
        return None if newer else kv.delete(channel, join_key(peer_url), timeout=seconds)

    with suppress(EtcdError):
        ask_anyone(access, seeds, delete, clock, seconds=_COURTESY_SECONDS)
