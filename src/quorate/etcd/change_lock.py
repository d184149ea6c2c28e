"""One removal at a time: two that each look harmless could together cost more than either was allowed to.

A leased key, held from the look to the removal seen. It is courtesy between runs of this tool, as the queue of joins is:
etcd's own checks and our invariants hold without it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from quorate.deadline import Deadline, SystemClock
from quorate.etcd import kv, lease
from quorate.etcd.channel import Channel
from quorate.etcd.errors import CorruptCluster, EtcdError, NoSpace, PermissionDenied
from quorate.report import Notice, Report

KEY = b"/quorate/change"
_TTL_SECONDS = 60
"""Longer than a removal may take; a run that dies gives it back by its lease."""

_RPC_SECONDS = 5.0
_POLL_SECONDS = 0.2


@contextmanager
def change_lock(leader: Callable[[], Channel], what: str, clock: SystemClock, report: Report) -> Iterator[None]:
    """Hold the lock for the block; waits for who has it, at most until its lease ends. `leader` is asked before and behind
    the block: the member that led may be the one removed.

    A cluster that takes no writes of ours is changed without it, and that is said.
    """
    try:
        held = _take(leader, what, clock, report)
    except (NoSpace, PermissionDenied, CorruptCluster) as error:
        report(Notice(f"the lock for changes could not be taken ({error.text}); going on without", "warning"))
        yield
        return
    try:
        yield
    finally:
        with suppress(EtcdError):
            # It ends by itself when this does not get through.
            lease.revoke(leader(), held, timeout=_RPC_SECONDS)


def _take(leader: Callable[[], Channel], what: str, clock: SystemClock, report: Report) -> int:
    """The lease that holds the lock. Who leads is asked anew at each try: it may be the very member that the holder removes."""
    deadline = Deadline(clock, _TTL_SECONDS + 5.0, "the lock for changes is free")
    told = b""
    while not deadline.expired:
        try:
            held, holder = _try(leader(), what)
        except EtcdError as error:
            if error.disposition == "final":
                raise
            held, holder = 0, b""
        if held:
            return held
        if holder and holder != told:
            told = holder
            report(Notice(f"waiting for another change: {told.decode(errors='replace')[:200]}"))
        clock.sleep(_POLL_SECONDS)
    raise deadline.error(advice="'quorate etcd unlock' shows what is held; run the same command again")


def _try(channel: Channel, what: str) -> tuple[int, bytes]:
    """The lease that holds the lock from now on, or 0 and what its holder wrote.

    Each try has a lease of its own: one that waited long would end too soon. Where the answer is lost, the key may be there by
    this lease: nobody keeps it alive, so it is waited for as any other's.
    """
    granted = lease.grant(channel, _TTL_SECONDS, timeout=_RPC_SECONDS)
    if kv.create(channel, KEY, _describe(what), timeout=_RPC_SECONDS, lease=granted):
        return granted, b""
    lease.revoke(channel, granted, timeout=_RPC_SECONDS)
    holder = kv.get(channel, KEY, timeout=_RPC_SECONDS)
    return 0, holder.value if holder else b""


def _describe(what: str) -> bytes:
    return json.dumps({"change": what, "host": socket.gethostname(), "pid": os.getpid()}).encode()
