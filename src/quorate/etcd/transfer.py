"""Whether the leader is still sending its database to a learner, for joiners whose disks cannot be seen from here."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.membership import ClusterView, Member
from quorate.etcd import metrics
from quorate.etcd.access import Access
from quorate.etcd.metrics import Metrics
from quorate.etcd.observe import endpoint_of

_ASK_EVERY_SECONDS = 1.0
_SLOWEST_BYTES_PER_SECOND = 256 * 1024
"""A sender does not notice for minutes that nobody reads any more: no transfer is waited for longer than at this rate."""


def leader_metrics(access: Access, view: ClusterView) -> Metrics | None:
    """The leader's numbers, or None when it does not tell."""
    where = endpoint_of(view.leader) if view.leader else None
    return metrics.scrape(where, access.tls, timeout=1.0) if where else None


@dataclass(slots=True)
class Feeding:
    """What the leader last said about one learner. Times are monotonic seconds."""

    began_at: float | None = None
    asked_at: float = float("-inf")
    _on: bool = False

    def is_on(self, access: Access, view: ClusterView, member: Member, now: float) -> bool:
        """Whether a snapshot is on its way to `member`, and not for longer than its size explains."""
        if now - self.asked_at >= _ASK_EVERY_SECONDS:
            self.asked_at = now
            told = leader_metrics(access, view)
            self._on = told is not None and told.snapshot_in_flight(member.id)
            self.began_at = (self.began_at or now) if self._on else None
        leader = view.answer(view.leader.id) if view.leader else None
        if not self._on or leader is None or self.began_at is None:
            return False
        return now - self.began_at < leader.db_size / _SLOWEST_BYTES_PER_SECOND
