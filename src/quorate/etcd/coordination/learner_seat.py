"""The queue for the one learner seat, and the record of the join that holds it.

Both are courtesy between runs of this tool: kubeadm and others know nothing of them, and every invariant holds without
them. The queue is a leased key per run under `/quorate/seat/`; the oldest has the seat, and a run that died leaves it
when its lease ends. The record under `/quorate/joins/` has no lease: the same command, run again, finds there that the
learner is its own, and may roll it back. Every call goes to whoever answers now: the member that led at the start may be gone.
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
from quorate.etcd.coordination.join_record import NOTHING, SeatRequest, describe, fields_of, memory_for, who
from quorate.etcd.keys import SEATS, join_key
from quorate.foreign.text import to_paste
from quorate.foreign.values import text_of
from quorate.report import Notice, Report

T = TypeVar("T")
_TTL_SECONDS = 10
"""A killed run keeps the seat from others for this long; a run that stands still for longer loses its place, and notices."""
_RPC_SECONDS = 10.0
"""Long enough for an election with its retries: joins are run exactly when members come and go."""
_COURTESY_SECONDS = 1.5
"""For what only spares others a wait. It must not hold up a join whose learner may have caught up meanwhile."""
_POLL_SECONDS = 0.2
SEAT_SECONDS = 60.0
"""How long the same run may be first in the queue before whoever waits behind it gives up."""
_DEAD_PLACE_SECONDS = 2 * _TTL_SECONDS + 5
"""The longest that the place of a killed run outlives it: its lease, which starts anew when a leader is elected meanwhile.
Waiting less would refuse a join after every `kill -9` that is run again with a short limit."""


@dataclass(slots=True)
class SeatLease:
    """A seat held. `memory`: what an earlier run of this join left behind. Call `keep` now and then, and `remember` when the
    memory changes, so that a later run knows the same."""

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
        """Stand at the end of the queue; returns the lease that holds the place."""
        granted = self.ask(lambda channel, seconds: lease.grant(channel, _TTL_SECONDS, timeout=seconds))
        value = describe(self.request)
        self.ask(lambda channel, seconds: kv.put(channel, self.key, value, timeout=seconds, lease=granted))
        return granted

    def rows(self) -> list[KeyValue]:
        """The places, oldest first. A key without a lease is nobody's place: it would hold the queue for ever."""
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
    """Wait for the learner seat, hold it for the block, and keep the record of the join; the record goes when the block ends
    without an error, or with everything undone. `known` tells who is listed at the peer URL, asked once the seat is held: what
    was true before the wait may be true no more. Raises `Refused` when the queue did not move for `seconds`.

    A cluster that takes no writes of ours is joined without either, and that is said.
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
    report(Notice(f"no place in the queue could be taken and no record is kept ({why}); going on without", "warning"))


def _unowned(listed: Member | None) -> JoinMemory:
    """Without a record nobody can say that a learner is ours: it is used, and never removed."""
    return JoinMemory(member_id=listed.id, listed=True) if listed else NOTHING


@dataclass(slots=True)
class _Place:
    """A place in the queue: a key that lives as long as its lease is renewed."""

    queue: _Queue
    lease: int
    renewed_at: float

    def keep(self) -> None:
        """Renews the lease when a third of its time has passed. Lost or late: only courtesy is lost with it."""
        if self.queue.clock.now() - self.renewed_at < _TTL_SECONDS / 3:
            return
        held = self.lease
        with suppress(EtcdError):
            self.queue.ask(lambda channel, seconds: lease.keep_alive(channel, held, timeout=seconds), _COURTESY_SECONDS)
        self.renewed_at = self.queue.clock.now()

    def wait_for_turn(self, seconds: float) -> None:
        """Stand in the queue until every older place is gone. A place that was lost meanwhile is taken anew, at the end.

        A place is a key, and anybody who may write can renew one for ever: who is first for `seconds` is not waited for.
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
                    f"{who(first)} holds the learner seat since {seconds:g} s",
                    state="nothing was changed",
                    advice=f"wait for it with a longer --timeout; or, when it does not run any more: {frees}",
                )
            self.queue.clock.sleep(_POLL_SECONDS)
            self.keep()

    def leave(self) -> None:
        """It ends by itself when this does not get through."""
        held = self.lease
        with suppress(QuorateError), self.queue.clock.cancel.shielded():
            self.queue.ask(lambda channel, seconds: lease.revoke(channel, held, timeout=seconds), _COURTESY_SECONDS)


def _take_up(queue: _Queue, known: Member | None) -> JoinMemory:
    """What an earlier run of this join left, and a record for this one."""
    found = queue.record()
    memory = memory_for(found, queue.request, known)
    if memory is not None and found is not None and known is not None:
        queue.report(Notice(f"taking up the join that {who(found)} began"))
    taken = memory or _unowned(known)
    with suppress(LeaseNotFound):
        queue.write(taken)
    return taken


def _write_quietly(queue: _Queue, memory: JoinMemory) -> None:
    """The journal has it too; only a run on another machine would miss this one."""
    with suppress(EtcdError):
        queue.write(memory, _COURTESY_SECONDS)


def _forget(queue: _Queue) -> None:
    """Best effort: a record that stays says no more than that we were here, and is about an id that never returns."""
    with suppress(QuorateError), queue.clock.cancel.shielded():
        forget_record(queue.access, queue.seeds, queue.request.peer_url, queue.clock)


def forget_record(access: Access, seeds: Sequence[Endpoint], peer_url: str, clock: SystemClock) -> None:
    """Deletes what a run left that was cut off after its promotion; best effort."""

    def delete(channel: Channel, seconds: float) -> object:
        return kv.delete(channel, join_key(peer_url), timeout=seconds)

    with suppress(EtcdError):
        ask_anyone(access, seeds, delete, clock, seconds=_COURTESY_SECONDS)
