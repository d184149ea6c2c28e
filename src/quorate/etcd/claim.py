"""Who is joining what: a place in the queue for the learner seat, and a record that outlives a crash.

Both are courtesy between runs of this tool: kubeadm and others know nothing of them, and every invariant holds without
them. The queue is a leased key per run under `/quorate/seat/`; the oldest has the seat, and a run that died leaves it
when its lease ends. The record under `/quorate/joins/` has no lease: the same command, run again, finds there that the
learner at its peer URL is its own, and may take it back.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from quorate.core.ids import format_id
from quorate.deadline import SystemClock
from quorate.errors import QuorateError
from quorate.etcd import kv, lease
from quorate.etcd.change import Note
from quorate.etcd.channel import Channel
from quorate.etcd.errors import CorruptCluster, EtcdError, LeaseNotFound, NoSpace, PermissionDenied
from quorate.etcd.kv import KeyValue
from quorate.etcd.observe import member_list
from quorate.report import Notice, Report

SEATS = b"/quorate/seat/"
RECORDS = b"/quorate/joins/"
_TTL_SECONDS = 10
_RPC_SECONDS = 5.0
_POLL_SECONDS = 0.2
NOTHING: Mapping[str, bool] = {}


@dataclass(frozen=True, slots=True)
class Bid:
    """What a run wants: to join `name` at `peer_url` to the cluster. `run` is unique; `registered` tells that a member
    is listed at that peer URL already."""

    run: str
    name: str
    peer_url: str
    cluster_id: int
    registered: bool


def forget(_kind: str, _fields: dict[str, object]) -> None:
    """For runs without a record."""


@dataclass(slots=True)
class Claim:
    """A seat held. `ours`: the learner at the peer URL was registered by this tool. `restarted` and `promotion_unknown`:
    what an earlier run of the join did to it (see `JoinSpec`). Call `keep` now and then, and `note` for every journal
    record, so that a later run knows the same of this one."""

    ours: bool
    keep: Callable[[], None]
    note: Note = forget
    restarted: bool = False
    promotion_unknown: bool = False


def record_key(peer_url: str) -> bytes:
    return RECORDS + hashlib.sha256(peer_url.encode()).hexdigest()[:16].encode()


@contextmanager
def claimed(channel: Channel, bid: Bid, clock: SystemClock, report: Report) -> Iterator[Claim]:
    """Wait for the learner seat, hold it for the block, and keep the record of the join; the record goes when the block
    ends without an error, the seat in any case.

    A cluster that takes no writes of ours, or none at all, is joined without either, and that is said.
    """
    try:
        granted = _take_place(channel, bid)
    except (NoSpace, PermissionDenied, CorruptCluster) as error:
        report(Notice(f"no place in the queue could be taken ({error.text}); going on without", "warning"))
        yield Claim(ours=False, keep=lambda: None)
        return
    keep = _keeper(channel, granted, clock)
    try:
        _wait_for_seat(channel, bid, clock, report, keep)
        found = _take_up(channel, bid, report)
        yield Claim(
            found is not None and bid.registered,
            keep,
            _rememberer(channel, bid, dict(found or {})),
            restarted=bool(found and found.get("restarted")),
            promotion_unknown=bool(found and found.get("promoting")),
        )
        kv.delete(channel, record_key(bid.peer_url), timeout=_RPC_SECONDS)
    except QuorateError:
        with suppress(EtcdError):
            # The record stays when this does not get through: it says no more than that we were here.
            _forget_if_absent(channel, bid)
        raise
    finally:
        with suppress(EtcdError):
            # It ends by itself when this does not get through.
            lease.revoke(channel, granted, timeout=_RPC_SECONDS)


def _take_place(channel: Channel, bid: Bid) -> int:
    """Stand at the end of the queue; returns the lease that holds the place."""
    granted = lease.grant(channel, _TTL_SECONDS, timeout=_RPC_SECONDS)
    kv.put(channel, _seat_key(bid), describe(bid), timeout=_RPC_SECONDS, lease=granted)
    return granted


def _seat_key(bid: Bid) -> bytes:
    return SEATS + bid.run.encode()


def forget_record(channel: Channel, peer_url: str) -> None:
    """Delete what a run left that was cut off behind its promotion."""
    with suppress(EtcdError):
        kv.delete(channel, record_key(peer_url), timeout=_RPC_SECONDS)


def _forget_if_absent(channel: Channel, bid: Bid) -> None:
    """A join that was taken back leaves no record: a later learner at that peer URL may be somebody else's."""
    listed = member_list(channel, timeout=_RPC_SECONDS)
    if not any(bid.peer_url in member.peer_urls for member in listed.members):
        kv.delete(channel, record_key(bid.peer_url), timeout=_RPC_SECONDS)


def _keeper(channel: Channel, granted: int, clock: SystemClock) -> Callable[[], None]:
    """Renews the lease when a third of its time has passed."""
    renewed = [clock.now()]

    def keep() -> None:
        if clock.now() - renewed[0] < _TTL_SECONDS / 3:
            return
        with suppress(EtcdError):
            # Lost or late: only courtesy is lost with it.
            lease.keep_alive(channel, granted, timeout=_RPC_SECONDS)
        renewed[0] = clock.now()

    return keep


def _wait_for_seat(channel: Channel, bid: Bid, clock: SystemClock, report: Report, keep: Callable[[], None]) -> None:
    """Stand in the queue until every older bid is gone."""
    told = b""
    while True:
        queue = sorted(kv.get_prefix(channel, SEATS, timeout=_RPC_SECONDS), key=lambda row: row.create_revision)
        if _seat_key(bid) not in [row.key for row in queue]:
            raise LeaseNotFound("the place in the queue was lost", endpoint=str(channel.endpoint))
        first = queue[0]
        if first.key == _seat_key(bid):
            return
        if first.key != told:
            told = first.key
            report(Notice(f"waiting for {_who(first)}, which joins first"))
        clock.sleep(_POLL_SECONDS)
        keep()


def _rememberer(channel: Channel, bid: Bid, known: dict[str, Any]) -> Note:
    """Keeps in the record what a later run must know: a restart, and a promotion whose outcome is not known."""
    memory = {key: bool(known.get(key)) for key in ("restarted", "promoting")}

    def note(kind: str, fields: dict[str, object]) -> None:
        before = dict(memory)
        if kind == "restart":
            memory["restarted"] = True
        elif fields.get("do") == "promote":
            memory["promoting"] = kind == "intent" or fields.get("result") != "declined"
        if memory != before:
            with suppress(EtcdError):
                # The journal has it too; only a run on another machine would miss this one.
                kv.put(channel, record_key(bid.peer_url), describe(bid, memory), timeout=_RPC_SECONDS)

    return note


def _take_up(channel: Channel, bid: Bid, report: Report) -> dict[str, Any] | None:
    """Find the record of an earlier run, or write one; returns what it says when it is about this join.

    A record of another cluster id is void: a restored snapshot revives records of its past.
    """
    found = kv.get(channel, record_key(bid.peer_url), timeout=_RPC_SECONDS)
    fields = fields_of(found) if found else {}
    began_here = fields.get("clusterId") == format_id(bid.cluster_id) and fields.get("peerURL") == bid.peer_url
    if began_here and bid.registered and found is not None:
        report(Notice(f"taking up the join that {_who(found)} began"))
    if began_here or not bid.registered:
        memory = {key: bool(fields.get(key)) for key in ("restarted", "promoting") if bid.registered}
        kv.put(channel, record_key(bid.peer_url), describe(bid, memory), timeout=_RPC_SECONDS)
    return fields if began_here and bid.registered else None


def describe(bid: Bid, memory: Mapping[str, bool] = NOTHING) -> bytes:
    """The value of a place in the queue and of a record."""
    fields = {
        "run": bid.run,
        "name": bid.name,
        "peerURL": bid.peer_url,
        "clusterId": format_id(bid.cluster_id),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        **memory,
    }
    return json.dumps(fields).encode()


def fields_of(row: KeyValue) -> dict[str, Any]:
    """What a record says; anybody may have written there, so nonsense is nothing."""
    try:
        fields = json.loads(row.value)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _who(row: KeyValue) -> str:
    fields = fields_of(row)
    return f"the join of {fields.get('name', '?')!r} from {fields.get('host', '?')} (pid {fields.get('pid', '?')})"
