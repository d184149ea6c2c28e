"""Carries out one action of the autopilot. Each step is judged again, on a look of its own, by the engine that all commands
use: a decision that has become old, or one that two instances made, ends in a refusal."""

from __future__ import annotations

from dataclasses import replace

from quorate.core.actions import Promote, Remove
from quorate.core.decide_autopilot import Act
from quorate.core.decide_remove import RemoveGoal
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.errors import QuorateError, Refused
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.autopilot_store import ActingKey
from quorate.etcd.membership.removal_judge import RemovePolicy
from quorate.etcd.membership.remove import Removal

_STALL_SECONDS = 10.0
"""For a learner that is proved to be aligned. One that then does not get its vote is looked at anew."""


def carry_out(cluster: Cluster, key: ActingKey, act: Act, view: ClusterView) -> None:
    """Carries out the action, and records it before and after. Raises what its steps raise, and `Refused` where another
    instance acts by now."""
    store, quick = key.store, replace(cluster, policy=replace(cluster.policy, stall_seconds=_STALL_SECONDS))
    fields = _fields(act, view)
    if not key.is_still_ours():
        raise Refused(
            "another instance of the autopilot acts now",
            state="nothing was changed",
            advice="quorate autopilot status    # shows which",
        )
    # Before the first step: a replacement that is cut off counts against the budget too.
    store.note("replace" if isinstance(act.action, Remove) else "promote", **fields)
    try:
        if isinstance(act.action, Remove):
            _remove(quick, act.action, view)
            _promote(quick, act.then, view)
        else:
            _promote(quick, act.action, view)
    except QuorateError as error:
        store.note("failed", **fields, error=error.what[:500])
        raise
    promoted = act.then if isinstance(act.action, Remove) else act.action
    if promoted is not None:
        store.unmark(promoted.member_id)
    store.note("done", **fields)


def _remove(cluster: Cluster, action: Remove, view: ClusterView) -> None:
    member = view.by_id(action.member_id)
    assert member is not None, "a removal is decided on the members of this view"
    goal = RemoveGoal(member.id, member.name or format_id(member.id), action.absence)
    # No shorter watch takes the place of the proof: a voter that lived meanwhile is not lost.
    policy = RemovePolicy(cluster.policy.stall_seconds, absence_seconds=None)
    Removal(cluster.access, cluster.clock, cluster.endpoints, goal, cluster.report, cluster.note, policy).run()


def _promote(cluster: Cluster, action: Promote | None, view: ClusterView) -> None:
    learner = view.by_id(action.member_id) if action is not None else None
    if learner is not None:
        cluster.promote(learner)


def _fields(act: Act, view: ClusterView) -> dict[str, object]:
    removed = act.action.member_id if isinstance(act.action, Remove) else 0
    promoted = act.then.member_id if act.then is not None else 0 if removed else act.action.member_id
    names = {member.id: member.name for member in view.members}
    found: dict[str, object] = {"rule": act.rule, "why": act.why}
    for label, member_id in (("removed", removed), ("promoted", promoted)):
        if member_id:
            found[label] = {"id": format_id(member_id), "name": names.get(member_id, "")}
    return found
