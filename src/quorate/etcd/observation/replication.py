"""The leader's transfer of its database to a learner, for joiners whose disks cannot be seen from here."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.decide_join import FedBy
from quorate.core.membership import ClusterView, Member
from quorate.etcd.client.connections import Access
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.observation.look import endpoint_of

_ASK_EVERY_SECONDS = 1.0
_SLOWEST_BYTES_PER_SECOND = 256 * 1024
"""A sender does not notice for minutes that its receiver is gone: a transfer gets no more time than at this rate."""

_MORE_THAN_HEARTBEATS = 16 * 1024
"""Bytes a second: a link without entries carries a few hundred."""


def leader_metrics(access: Access, view: ClusterView) -> Metrics | None:
    """Returns the leader's metrics, or None when they cannot be read."""
    where = endpoint_of(access, view.leader) if view.leader else None
    return access.scrape(where, of=view.leader.id, timeout=1.0) if where and view.leader else None


def fed_by(told: Metrics | None, member_id: int) -> FedBy:
    """Returns how the leader, by its metrics, gave `member_id` its data; "unknown" where they cannot be read. Its counters
    begin with its process: one that leads only since a snapshot says "log", and then a lost publish is waited out."""
    if told is None or not told.leads:
        return "unknown"
    return "snapshot" if told.snapshot_sent(member_id) else "log"


@dataclass(slots=True)
class ReplicationActivity:
    """The transfer to one learner, by the leader's last metrics. Times are monotonic seconds."""

    began_at: float | None = None
    asked_at: float = float("-inf")
    sent: float = 0.0
    _snapshot: bool = False
    _entries: bool = False

    def is_on(self, access: Access, view: ClusterView, member: Member, now: float) -> bool:
        """Returns whether entries or a snapshot are in flight to `member`; a snapshot for no longer than its size explains."""
        if now - self.asked_at >= _ASK_EVERY_SECONDS:
            self._ask(leader_metrics(access, view), member.id, now)
        leader = view.answer(view.leader.id) if view.leader else None
        if leader is None or self.began_at is None:
            return self._entries
        return self._entries or now - self.began_at < leader.db_size / _SLOWEST_BYTES_PER_SECOND

    def _ask(self, told: Metrics | None, member_id: int, now: float) -> None:
        sent = told.sent_bytes(member_id) if told else 0.0
        self._entries = sent - self.sent > _MORE_THAN_HEARTBEATS * (now - max(self.asked_at, now - 60))
        self._snapshot = told is not None and told.snapshot_in_flight(member_id)
        self.began_at = (self.began_at or now) if self._snapshot else None
        self.sent, self.asked_at = sent, now
