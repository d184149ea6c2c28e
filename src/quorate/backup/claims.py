"""Which host makes the backup of a period: the first that writes the claim of it into the store.

There is no lock in etcd: etcd may be what is broken. A claim whose host made no backup is taken over by the next one after a
while.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from quorate.backup.catalog import catalog
from quorate.backup.store import Store
from quorate.core.ids import format_id
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.values import text_of

_TAKEN_OVER_SECONDS, _KEPT_SECONDS = 1800.0, 90 * 86400.0
_MOST_TRIES, _MOST_BYTES = 100, 1 << 16


def claim(store: Store, cluster_id: int, every: float, wall: float, host: str) -> str:
    """Takes the present period, of `every` seconds, for this host. Returns empty where it is ours; else the
    backup of this period, or the host that may still be at it. Raises `HostError`."""
    start = wall - wall % every
    if made := _made_in(store, cluster_id, start, start + every):
        return made
    name = f"{format_id(cluster_id)}/{datetime.fromtimestamp(start, UTC):%Y%m%dT%H%M%SZ}.claim"
    for attempt in range(_MOST_TRIES):
        path = f"{name}.{attempt}"
        if store.create(path, json.dumps({"host": host, "at": wall}).encode()):
            return ""
        holder, since = _holder(store, path)
        # A run of this host that failed is repeated at once.
        if holder != host and wall - since < _TAKEN_OVER_SECONDS:
            return holder
    return "many hosts"


def _made_in(store: Store, cluster_id: int, start: float, end: float) -> str:
    """Returns the backup of a period. One of the future, of a host whose clock is ahead, is of none."""
    found = [one for one in catalog(store).of(cluster_id) if one.damaged is None and start <= one.taken_at.timestamp() < end]
    return found[0].id if found else ""


def _holder(store: Store, path: str) -> tuple[str, float]:
    try:
        fields = read_object(store.read(path, _MOST_BYTES), path, RECORD)
    except BadDocument:
        return "somebody", 0.0
    at = fields.get("at")
    return text_of(fields.get("host")) or "somebody", float(at) if isinstance(at, int | float) else 0.0


def sweep(store: Store, wall: float) -> None:
    """Deletes the claims of periods that are long over."""
    for one in store.stored():
        if ".claim." in one.name and wall - one.modified > _KEPT_SECONDS:
            store.delete(one.name)
