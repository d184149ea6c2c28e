"""Marks of standbys: without one a learner is somebody's join, or a leftover."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.deadline import SystemClock
from quorate.errors import Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.coordination.autopilot_store import AutopilotStore


def mark(access: Access, seeds: Sequence[Endpoint], clock: SystemClock, view: ClusterView, member_id: int) -> None:
    """Marks a learner as a standby. Raises `Refused` for a member that is none by now."""
    member = view.by_id(member_id)
    if member is None or not member.is_learner:
        what = "has a vote by now" if member is not None else "is no member by now"
        raise Refused(f"{format_id(member_id)} {what}: it is not marked as a standby", advice="quorate etcd members")
    AutopilotStore(access, seeds, clock, view.cluster_id).mark(member)
