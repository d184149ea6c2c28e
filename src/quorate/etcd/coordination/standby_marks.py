"""Which learners are standbys of the autopilot: the marks of a few keys, for whoever shows learners or advises about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quorate.core.membership import ClusterView
from quorate.deadline import Clock
from quorate.etcd.client import kv
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.coordination.autopilot_records import STANDBYS, orders_of


def marked(channel: Channel, view: ClusterView, *, timeout: float) -> frozenset[int]:
    """Returns the ids of the learners that are marked, by one read through the quorum."""
    found = orders_of(kv.get_prefix(channel, STANDBYS, timeout=timeout), view.cluster_id).standbys
    return frozenset(learner.id for learner in view.learners if learner.id in found)


def with_standbys(access: Access, seeds: Sequence[Endpoint], clock: Clock, view: ClusterView, *, seconds: float) -> ClusterView:
    """Returns the view with the standbys among its learners. Reads nothing where there is no learner, or no quorum to read
    through. The marks stay unknown where they cannot be read: a user without permission for them may still see the members."""
    if not view.learners:
        return replace(view, standbys=frozenset())
    if not view.linearizable:
        return view
    try:
        found = ask_anyone(
            access, seeds, lambda channel, timeout: marked(channel, view, timeout=timeout), clock, seconds=seconds
        )
    except EtcdError:
        return view
    return replace(view, standbys=found)
