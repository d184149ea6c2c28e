"""One removal at a time: two that each look harmless could together cost more than either was allowed to.

A leased key, renewed from the look to the removal seen. It is courtesy between runs of this tool, as the queue of joins is:
etcd's own checks and our invariants hold without it, and whoever stood still while he held it looks again before he acts.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from quorate.deadline import Deadline, SystemClock
from quorate.errors import QuorateError
from quorate.etcd.client import kv, lease
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import (
    CorruptCluster,
    EtcdError,
    LeaseNotFound,
    LoginFailed,
    NoSpace,
    PermissionDenied,
    Unavailable,
)
from quorate.etcd.keys import CHANGE
from quorate.report import Notice, Report

T = TypeVar("T")
_TTL_SECONDS = 20
"""Twice as long as an absence is watched by default: a look that is slow meanwhile must not cost the lock."""
_MOST_WAIT_SECONDS = 90.0
"""A removal that proves an absence, moves leadership and waits for an election takes about half of this."""
_RPC_SECONDS = 5.0
_CHECK_SECONDS = 2.0
"""Between the last look and the removal: a lock that cannot be read in this time is not known to be ours."""
_POLL_SECONDS = 0.2
_AGAIN = "somebody else may have removed a member meanwhile: look with 'quorate etcd status', then run the same command again"


class LockLost(Unavailable):
    """The lock for removals is not ours any more: this run stood still for longer than its lease, and somebody else may have
    removed a member meanwhile."""

    code = "lock-lost"
    next_step = "run the same command again"


@dataclass(slots=True)
class RemovalLock:
    """The lock as this run holds it; `lease` is 0 where the cluster takes no writes of ours."""

    access: Access
    seeds: Sequence[Endpoint]
    clock: SystemClock
    lease: int = 0
    renewed_at: float = 0.0

    def ask(self, what: Callable[[Channel, float], T], seconds: float) -> T:
        return ask_anyone(self.access, self.seeds, what, self.clock, seconds=seconds)

    def keep(self) -> None:
        """Renews the lease when a third of its time has passed. Raises `LockLost` when it is gone."""
        if not self.lease or self.clock.now() - self.renewed_at < _TTL_SECONDS / 3:
            return
        held = self.lease
        try:
            self.ask(lambda channel, seconds: lease.keep_alive(channel, held, timeout=seconds), _CHECK_SECONDS)
        except LeaseNotFound:
            raise LockLost("the lock for removals was lost", advice=_AGAIN) from None
        except EtcdError:
            return
        self.renewed_at = self.clock.now()

    def check(self) -> None:
        """Raises `LockLost` unless the key is ours now, read through the quorum: the last thing before a removal is sent."""
        if not self.lease:
            return
        held = self.ask(lambda channel, seconds: kv.get(channel, CHANGE, timeout=seconds), _CHECK_SECONDS)
        if held is None or held.lease != self.lease:
            raise LockLost("the lock for removals was lost", advice=_AGAIN)


@contextmanager
def removal_lock(
    access: Access, seeds: Sequence[Endpoint], what: str, clock: SystemClock, report: Report
) -> Iterator[RemovalLock]:
    """Hold the lock for the block; waits for who has it, at most until its lease ends. Whoever answers is asked: the
    member that led may be the one removed.

    A cluster that takes no writes of ours is changed without it, and that is said.
    """
    lock = RemovalLock(access, seeds, clock)
    try:
        _take(lock, what, report)
    except (NoSpace, PermissionDenied, CorruptCluster, LoginFailed) as error:
        report(Notice(f"the lock for removals could not be taken ({error.text}); going on without", "warning"))
        yield lock
        return
    try:
        yield lock
    finally:
        with suppress(QuorateError), clock.cancel.shielded():
            # It ends by itself when this does not get through.
            lock.ask(lambda channel, seconds: lease.revoke(channel, lock.lease, timeout=seconds), _CHECK_SECONDS)


def _take(lock: RemovalLock, what: str, report: Report) -> None:
    deadline = Deadline(lock.clock, _MOST_WAIT_SECONDS, "the lock for removals is free")
    said = b""
    while not deadline.expired:
        try:
            held, holder = lock.ask(lambda channel, seconds: _try(channel, what, seconds), _RPC_SECONDS)
        except EtcdError as error:
            if error.disposition == "final":
                raise
            held, holder = 0, b""
        if held:
            lock.lease, lock.renewed_at = held, lock.clock.now()
            return
        if holder and holder != said:
            said = holder
            report(Notice(f"waiting for another change: {said.decode(errors='replace')[:200]}"))
        lock.clock.sleep(_POLL_SECONDS)
    raise deadline.error(advice="'quorate etcd unlock' shows what is held and frees it; run the same command again")


def _try(channel: Channel, what: str, seconds: float) -> tuple[int, bytes]:
    """The lease that holds the lock from now on, or 0 and what its holder wrote.

    Each try has a lease of its own: one that waited long would end too soon. Where the answer is lost, the key may be there by
    this lease: nobody keeps it alive, so it is waited for as any other's.
    """
    granted = lease.grant(channel, _TTL_SECONDS, timeout=seconds)
    if kv.create(channel, CHANGE, _describe(what), timeout=seconds, lease=granted):
        return granted, b""
    lease.revoke(channel, granted, timeout=seconds)
    holder = kv.get(channel, CHANGE, timeout=seconds)
    return 0, holder.value if holder else b""


def _describe(what: str) -> bytes:
    return json.dumps({"change": what, "host": socket.gethostname(), "pid": os.getpid()}).encode()
