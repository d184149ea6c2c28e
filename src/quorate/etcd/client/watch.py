"""Changes of keys as they happen."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import Compacted, EtcdError
from quorate.etcd.client.kv import prefix_end


@dataclass(frozen=True, slots=True)
class Change:
    kind: Literal["put", "delete"]
    key: bytes
    value: bytes
    revision: int


def watch(channel: Channel, prefix: bytes, *, timeout: float, start_revision: int = 0) -> Iterator[Change]:
    """Yields all changes of keys with `prefix` from `start_revision` on (0: from now), for `timeout` seconds at most.

    Close the iterator to end the watch. Raises `Compacted` when the requested revisions are gone, `NoAnswer` at the timeout.
    """
    create = wire.WatchCreateRequest(key=prefix or b"\0", range_end=prefix_end(prefix), start_revision=start_revision)
    # The request side stays open until the stream ends: closing it would end the watch.
    requests: queue.SimpleQueue[wire.WatchRequest | None] = queue.SimpleQueue()
    requests.put(wire.WatchRequest(create_request=create))
    try:
        for answer in channel.bidi_stream(rpc.WATCH, iter(requests.get, None), timeout):
            _refuse_cancelled(answer, channel)
            yield from map(_change, answer.events)
    finally:
        requests.put(None)


def _refuse_cancelled(answer: wire.WatchResponse, channel: Channel) -> None:
    if answer.compact_revision:
        raise Compacted(f"revisions before {answer.compact_revision} are gone", endpoint=str(channel.endpoint))
    if answer.canceled:
        raise EtcdError(f"the watch was cancelled: {answer.cancel_reason}", endpoint=str(channel.endpoint))


def _change(event: wire.Event) -> Change:
    kind: Literal["put", "delete"] = "put" if event.type == wire.Event.PUT else "delete"
    return Change(kind, event.kv.key, event.kv.value, event.kv.mod_revision)
