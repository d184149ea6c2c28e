"""Carries out one action of the autopilot. Each step is judged again, on a look of its own, by the engine that all commands
use: a decision that has become old, or one that two instances made, ends in a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of an action: the words for it before and after, and its member."""

    doing: str
    did: str
    member_id: int


def carry_out(cluster: Cluster, key: ActingKey, act: Act, view: ClusterView) -> None:
    """Carries out the action. It is recorded as begun before, and as done or failed after. Raises what its steps raise, and
    `Refused` where another instance acts by now."""
    store, quick = key.store, replace(cluster, policy=replace(cluster.policy, stall_seconds=_STALL_SECONDS))
    if not key.is_still_ours():
        raise Refused(
            "another instance of the autopilot acts now",
            state="nothing was changed",
            advice="quorate autopilot status    # shows which",
        )
    steps, done = _steps(act), list[_Step]()
    # Before the first step: a replacement that is cut off counts against the budget too.
    store.note(entry_of(act), rule=act.rule, why=act.why, **_begun(steps, view))
    try:
        _do(quick, store, act, view, done)
    except QuorateError as error:
        left = steps[len(done) :]
        seen = _seen_after(cluster, steps, view)
        told = {**_ended(done, view), **_begun(left, view), "error": error.what[:500], "found": seen}
        store.note("failed", rule=act.rule, **told)
        raise
    store.note("done", rule=act.rule, **_ended(steps, view))


def entry_of(act: Act) -> str:
    """Returns what the log calls an action. Of a change of zones only the promotion that begins it counts as one."""
    match act.action:
        case Promote():
            return "spread" if act.leaves else "promote"
        case MoveLeader():
            return "move-leader"
        case Remove():
            return {"replace": "replace", "yield-seat": "remove-standby"}.get(act.rule, "remove")


def _steps(act: Act) -> list[_Step]:
    match act.action:
        case Promote() as promote:
            return [_promoting(promote)]
        case MoveLeader() as move:
            return [_Step("movesLeaderTo", "leads", move.target_id)]
        case Remove() as remove:
            removal = _Step("removing", "removed", remove.member_id)
            return [removal, *([_promoting(act.then)] if act.then is not None else [])]


def _promoting(promote: Promote) -> _Step:
    return _Step("promoting", "promoted", promote.member_id)


def _do(cluster: Cluster, store: AutopilotStore, act: Act, view: ClusterView, done: list[_Step]) -> None:
    """Takes the steps, and adds each to `done` once it is done."""
    left = iter(_steps(act))
    match act.action:
        case Promote() as promote:
            if act.leaves:
                store.begin_swap(promote.member_id, act.leaves)
            _promote(cluster, store, promote, view)
            done.append(next(left))
        case MoveLeader() as move:
            target = view.by_id(move.target_id)
            assert target is not None, "leadership goes to a member of this view"
            cluster.move_leader(target)
            done.append(next(left))
        case Remove() as remove:
            _remove(cluster, remove, view)
            done.append(next(left))
            # At once: there is one voter fewer until then.
            if act.then is not None:
                _promote(cluster, store, act.then, view)
                done.append(next(left))
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


def _begun(steps: Sequence[_Step], view: ClusterView) -> dict[str, object]:
    return {one.doing: _named(one.member_id, view) for one in steps}


def _ended(steps: Sequence[_Step], view: ClusterView) -> dict[str, object]:
    return {one.did: _named(one.member_id, view) for one in steps}


def _named(member_id: int, view: ClusterView) -> dict[str, str]:
    member = view.by_id(member_id)
    return {"id": format_id(member_id), "name": member.name if member is not None else ""}


def _seen_after(cluster: Cluster, steps: Sequence[_Step], view: ClusterView) -> list[dict[str, str]] | None:
    """Returns what the members of a failed action are now: an answer that was lost says nothing about its change. None where no
    list can be read through the quorum."""
    try:
        now = cluster.look()
    except QuorateError:
        return None
    if not now.linearizable:
        return None
    return [{**_named(one.member_id, view), "is": _role(now, one.member_id)} for one in steps]


def _role(view: ClusterView, member_id: int) -> str:
    member = view.by_id(member_id)
    return "no member" if member is None else "learner" if member.is_learner else "voter"
