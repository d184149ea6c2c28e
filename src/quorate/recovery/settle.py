"""Cleans what the old cluster left in the new one, once that serves: what a restore brings back, and nobody needs.

An alarm of NOSPACE keeps the id of an old member and stops every write. Seats and locks of runs that died with the old cluster
block the first join. The autopilot's records are of another cluster and void: it would begin anew, by its defaults, while an
operator looks at what is left; so it stays paused until he resumes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from quorate.core.ids import format_id, parse_id
from quorate.errors import PreflightFailed, Refused
from quorate.etcd.client import kv, maintenance
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.autopilot_store import AutopilotStore
from quorate.etcd.keys import CHANGE, JOINS, PROOFS, RECOVERED, REPLACEMENTS, SEATS
from quorate.etcd.observation.look import endpoint_of
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.values import is_newer, text_of, texts_of
from quorate.recovery.progress import Recovered, note_settled, recovered_here

FORMAT = 1
_MOST_OLDER = 20
_OLD = (SEATS, JOINS, REPLACEMENTS, CHANGE, PROOFS)
_PAUSE_SECONDS = 10 * 365 * 86400.0
"""Until an operator resumes it; no order of the autopilot is without an end."""


@dataclass(frozen=True, slots=True)
class Settled:
    """`disarmed`: the old members whose NOSPACE is cleared; `deleted`: how many records of dead runs; `revision`: of a write
    that the new cluster took."""

    disarmed: tuple[str, ...]
    deleted: int
    revision: int

    def as_dict(self) -> dict[str, object]:
        return {"disarmed": list(self.disarmed), "deleted": self.deleted, "revision": self.revision}


def settle(cluster: Cluster, data_dir: Path) -> Settled:
    """Cleans the cluster that a recovery has made in `data_dir`. Raises `PreflightFailed` where none has, `Refused` for
    another cluster, `EtcdError`. It may be run again."""
    made = recovered_here(data_dir)
    if made is None:
        raise PreflightFailed(
            f"no recovery was done in {data_dir}",
            state="nothing was changed",
            advice="name the directory that 'quorate etcd recover' was given",
        )
    view = cluster.status()
    if view.cluster_id != made.cluster_id or not view.linearizable or view.leader is None:
        raise Refused(
            f"the cluster that answers is {format_id(view.cluster_id)}, and the one that was made is "
            f"{format_id(made.cluster_id)}"
            if view.cluster_id != made.cluster_id
            else "the new cluster has no leader yet",
            state="nothing was changed",
            advice="pass the client URL of the new voter with --endpoints, once its etcd runs",
        )
    where = endpoint_of(cluster.access, view.leader)
    if where is None:
        raise Refused("its leader has no client URL", state="nothing was changed", advice="start its etcd as before")
    channel, seconds = cluster.access.channel(where), cluster.timeout
    members = {one.id for one in view.members}
    old = [
        one for one in maintenance.alarms(channel, timeout=seconds) if one.kind == "NOSPACE" and one.member_id not in members
    ]
    for alarm in old:
        maintenance.disarm_no_space(channel, alarm.member_id, timeout=seconds)
    deleted = _forget(channel, made.revision, seconds)
    AutopilotStore(cluster.access, [where], cluster.clock, view.cluster_id).pause(
        _PAUSE_SECONDS, f"this cluster was recovered from {format_id(made.old_cluster)} (run {made.run})"
    )
    record = _record(made, cluster.clock.wall(), _older(kv.get(channel, RECOVERED, timeout=seconds), made))
    written = kv.put(channel, RECOVERED, record, timeout=seconds)
    note_settled(data_dir, cluster.clock.wall())
    return Settled(tuple(format_id(one.member_id) for one in old), deleted, written.revision)


def recovered_from(cluster: Cluster, cluster_id: int) -> tuple[int, ...]:
    """Returns the ids of the clusters from which this one, `cluster_id`, was made, the last one first, by the note of `settle`;
    none where there is none of this cluster. A backup of it has the note, too, and what is restored from that has another id.
    Raises `EtcdError`, `Refused`."""
    held = ask_anyone(
        cluster.access,
        cluster.endpoints,
        lambda channel, seconds: kv.get(channel, RECOVERED, timeout=seconds),
        cluster.clock,
        seconds=cluster.timeout,
    )
    if held is None:
        return ()
    name = RECOVERED.decode()
    try:
        told = read_object(held.value, name, RECORD)
    except BadDocument as error:
        raise Refused(error.what, state="nothing was changed", advice="look at the record, and mend or delete it") from None
    if is_newer(told, FORMAT):
        raise Refused(f"a newer version of quorate wrote {name}", state="nothing was changed", advice="use that one")
    if text_of(told.get("clusterId")) != format_id(cluster_id):
        return ()
    return tuple(map(parse_id, [text_of(told.get("oldClusterId")), *texts_of(told.get("olderClusterIds"))]))


def _forget(channel: Channel, before: int, seconds: float) -> int:
    """Deletes the records that were written before the revision to which the new cluster jumped."""
    rows = [row for prefix in _OLD for row in kv.get_prefix(channel, prefix, timeout=seconds) if row.mod_revision <= before]
    return sum(kv.delete(channel, row.key, timeout=seconds) for row in rows)


def _older(held: kv.KeyValue | None, made: Recovered) -> list[str]:
    """Returns the clusters of which the old one was made in turn: a node may have been away for several recoveries."""
    try:
        told = read_object(held.value, RECOVERED.decode(), RECORD) if held is not None else {}
    except BadDocument:
        return []
    known = [text_of(told.get("oldClusterId")), *texts_of(told.get("olderClusterIds"))]
    if text_of(told.get("clusterId")) == format_id(made.old_cluster):
        return list(filter(None, known))[:_MOST_OLDER]
    # Cleaned once more: it is the note of this recovery.
    return list(texts_of(told.get("olderClusterIds"))) if text_of(told.get("clusterId")) == format_id(made.cluster_id) else []


def _record(made: Recovered, wall: float, older: list[str]) -> bytes:
    told = {"format": FORMAT, "at": wall, **made.as_dict(), "olderClusterIds": older}
    return json.dumps(told, sort_keys=True).encode()
