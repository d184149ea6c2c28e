"""Carries out one action of the autopilot. Each step is judged again, on a look of its own, by the engine that all commands
use: a decision that has become old, or one that two instances made, ends in a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from quorate.core.actions import MoveLeader, Promote, Remove
from quorate.core.autopilot.case import Act
from quorate.core.decide_remove import RemoveGoal
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.errors import QuorateError, Refused
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination.autopilot_store import ActingKey, AutopilotStore
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
    store.note(entry_of(act), **fields)
    try:
        _do(quick, store, act, view)
    except QuorateError as error:
        store.note("failed", **fields, error=error.what[:500])
        raise
    store.note("done", **fields)


def entry_of(act: Act) -> str:
    """Returns what the log calls an action. Of a change of zones only the promotion that begins it counts as one."""
    match act.action:
        case Promote():
            return "spread" if act.leaves else "promote"
        case MoveLeader():
            return "move-leader"
        case Remove():
            return {"replace": "replace", "yield-seat": "remove-standby"}.get(act.rule, "remove")


def _do(cluster: Cluster, store: AutopilotStore, act: Act, view: ClusterView) -> None:
    match act.action:
        case Promote() as promote:
            if act.leaves:
                store.begin_swap(promote.member_id, act.leaves)
            _promote(cluster, store, promote, view)
        case MoveLeader() as move:
            target = view.by_id(move.target_id)
            assert target is not None, "leadership goes to a member of this view"
            cluster.move_leader(target)
        case Remove() as remove:
            _remove(cluster, remove, view)
            # At once: there is one voter fewer until then.
            if act.then is not None:
                _promote(cluster, store, act.then, view)
            # A standby that gave up its seat is none any more, and a change of zones is over.
            store.unmark(remove.member_id)
            store.end_swap()


def _remove(cluster: Cluster, action: Remove, view: ClusterView) -> None:
    member = view.by_id(action.member_id)
    assert member is not None, "a removal is decided on the members of this view"
    goal = RemoveGoal(member.id, member.name or format_id(member.id), action.absence)
    # No shorter watch takes the place of the proof: a voter that lived meanwhile is not lost.
    policy = RemovePolicy(cluster.policy.stall_seconds, absence_seconds=None)
    Removal(cluster.access, cluster.clock, cluster.endpoints, goal, cluster.report, cluster.note, policy).run()


def _promote(cluster: Cluster, store: AutopilotStore, action: Promote, view: ClusterView) -> None:
    learner = view.by_id(action.member_id)
    assert learner is not None, "a promotion is decided on the members of this view"
    cluster.promote(learner)
    store.unmark(learner.id)


def _fields(act: Act, view: ClusterView) -> dict[str, object]:
    names = {member.id: member.name for member in view.members}
    found: dict[str, object] = {"rule": act.rule, "why": act.why}
    for label, member_id in _members_of(act):
        found[label] = {"id": format_id(member_id), "name": names.get(member_id, "")}
    return found


def _members_of(act: Act) -> Iterator[tuple[str, int]]:
    match act.action:
        case Promote() as promote:
            yield "promoted", promote.member_id
        case MoveLeader() as move:
            yield "leads", move.target_id
        case Remove() as remove:
            yield "removed", remove.member_id
    if act.then is not None:
        yield "promoted", act.then.member_id
