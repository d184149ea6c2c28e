"""The record of a replacement: the old member, written before the first change. With it the same command continues when that
member is already gone, and a mistyped name does not start a join."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from quorate.core.ids import format_id
from quorate.core.membership import Member
from quorate.deadline import SystemClock
from quorate.etcd.client import kv
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.coordination.join_record import FORMAT, fields_of, refuse_newer
from quorate.etcd.keys import replacement_key
from quorate.foreign.values import integer_of, text_of

_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Replacements:
    """The record for the new member at `peer_url` of the cluster `cluster_id`."""

    access: Access
    seeds: Sequence[Endpoint]
    clock: SystemClock
    cluster_id: int
    peer_url: str

    def began(self, old: Member, text: str, margin: int) -> int:
        """Records that `old`, given as `text`, is to be replaced in a cluster that could lose `margin` voters. Returns the
        margin that counts: an earlier run's, if it recorded a lower one. Best effort: without it only the resume is lost."""
        recorded = self._fields()
        if recorded.get("old") == format_id(old.id) and "margin" in recorded:
            return min(max(integer_of(recorded["margin"]), 0), margin)
        fields = {
            "format": FORMAT,
            "clusterId": format_id(self.cluster_id),
            "old": format_id(old.id),
            "name": old.name,
            "given": text,
            "margin": margin,
        }
        value = json.dumps(fields).encode()

        def put(channel: Channel, seconds: float) -> object:
            return kv.put(channel, replacement_key(self.peer_url), value, timeout=seconds)

        with suppress(EtcdError):
            ask_anyone(self.access, self.seeds, put, self.clock, seconds=_SECONDS)
        return margin

    def is_about(self, text: str) -> bool:
        """Returns whether an earlier run of this replacement named the member `text`."""
        fields = self._fields()
        return bool(text) and text.lower() in {text_of(fields.get(name)).lower() for name in ("old", "name", "given")}

    def _fields(self) -> Mapping[str, object]:
        def get(channel: Channel, seconds: float) -> kv.KeyValue | None:
            return kv.get(channel, replacement_key(self.peer_url), timeout=seconds)

        try:
            row = ask_anyone(self.access, self.seeds, get, self.clock, seconds=_SECONDS)
        except EtcdError:
            return {}
        refuse_newer(row, f"a replacement by the member at {self.peer_url}")
        fields = fields_of(row) if row else {}
        return fields if fields.get("clusterId") == format_id(self.cluster_id) else {}

    def ended(self) -> None:
        def delete(channel: Channel, seconds: float) -> object:
            return kv.delete(channel, replacement_key(self.peer_url), timeout=seconds)

        with suppress(EtcdError):
            ask_anyone(self.access, self.seeds, delete, self.clock, seconds=_SECONDS)
