"""The lock for removals: without it, two removals that are each harmless could together cost more than either was allowed to.

The lock is a leased key, renewed from the look until the removal is seen. It is courtesy between runs of this tool, as the
queue of joins is: etcd's checks and our invariants hold without it. A holder that was paused looks again before it acts.
"""

from __future__ import annotations

import json
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
from quorate.etcd.coordination import this_run
from quorate.etcd.keys import CHANGE
from quorate.report import Notice, Report

T = TypeVar("T")
_TTL_SECONDS = 20
"""Twice the default watch of an absence: a slow look meanwhile must not cost the lock."""
_MOST_WAIT_SECONDS = 90.0
"""A removal that proves an absence, moves leadership and waits for an election takes about half of this."""
_RPC_SECONDS = 5.0
_CHECK_SECONDS = 2.0
"""Between the last look and the removal: a lock that cannot be read in this time is not known to be ours."""
_POLL_SECONDS = 0.2
_AGAIN = "another run may have removed a member meanwhile: check 'quorate etcd status', then run the same command again"


class LockLost(Unavailable):
    """This run no longer holds the lock for removals: it was paused for longer than its lease, and another run may have removed
    a member meanwhile."""

    code = "lock-lost"
    next_step = "run the same command again"


@dataclass(slots=True)
class RemovalLock:
    """The lock of this run; `lease` is 0 when the cluster does not accept our writes."""

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
        """Raises `LockLost` unless the key is ours now, read through the quorum: the last check before a removal is sent."""
        if not self.lease:
            return
        held = self.ask(lambda channel, seconds: kv.get(channel, CHANGE, timeout=seconds), _CHECK_SECONDS)
        if held is None or held.lease != self.lease:
            raise LockLost("the lock for removals was lost", advice=_AGAIN)


@contextmanager
def removal_lock(
    access: Access, seeds: Sequence[Endpoint], what: str, clock: SystemClock, report: Report
) -> Iterator[RemovalLock]:
    """Holds the lock for the block. Waits for another holder, at most 90 s; then raises `DeadlineExceeded`. Every call goes to
    a member that answers now: the leader may be the member to remove.

    When the cluster does not accept our writes, the block runs without the lock, after a warning.
    """
    lock = RemovalLock(access, seeds, clock)
    try:
        _take(lock, what, report)
    except (NoSpace, PermissionDenied, CorruptCluster, LoginFailed) as error:
        report(Notice(f"could not take the lock for removals ({error.text}); continuing without it", "warning"))
        yield lock
        return
    try:
        yield lock
    finally:
        with suppress(QuorateError), clock.cancel.shielded():
            # Best effort: the lease expires by itself.
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
    raise deadline.error(
        advice="'quorate etcd unlock' shows the holder, 'quorate etcd unlock removals' frees the lock; "
        "then run the same command again"
    )


def _try(channel: Channel, what: str, seconds: float) -> tuple[int, bytes]:
    """Returns the lease that holds the lock from now on, or 0 and the value of its holder.

    Each try has a new lease: an old one would expire too soon. When the answer is lost, the key may exist with this lease.
    Nothing renews that lease, so the next tries wait for it as for any other holder.
    """
    granted = lease.grant(channel, _TTL_SECONDS, timeout=seconds)
    if kv.create(channel, CHANGE, _describe(what), timeout=seconds, lease=granted):
        return granted, b""
    lease.revoke(channel, granted, timeout=seconds)
    holder = kv.get(channel, CHANGE, timeout=seconds)
    return 0, holder.value if holder else b""


def _describe(what: str) -> bytes:
    return json.dumps({"change": what, **this_run.fields()}).encode()
