"""Decides the next step to remove one member: move leadership away, remove it once, then see that it is absent."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.absence import Absence
from quorate.core.actions import Decision, Do, Done, MoveLeader, Refuse, Remove, Wait
from quorate.core.heirs import heirs, named_links, without
from quorate.core.membership import ClusterView
from quorate.foreign.text import to_paste


@dataclass(frozen=True, slots=True)
class RemoveGoal:
    """The goal: the member `member_id`, named by the operator, is not in the member list. `absence`: the proof that it is
    dead, if there is one. `as_learner`: it goes only while it has no vote. `tried`: the voters that did not take over
    leadership from it when they were asked to."""

    member_id: int
    name: str
    absence: Absence | None = None
    as_learner: bool = False
    tried: frozenset[int] = frozenset()


def decide_remove(view: ClusterView, goal: RemoveGoal) -> Decision:
    """Returns the next step towards `goal`; `invariants.check` judges whether that step is safe."""
    if not view.linearizable:
        # One member's own copy proves nothing: it may lack a member that is there, or show one that is gone.
        return Wait("remove", goal.name, "no member list can be read through the quorum")
    if view.by_id(goal.member_id) is None:
        return Done()
    leader = view.leader
    if leader is None:
        return Wait("remove", goal.name, "no member reports that it leads: waiting for an election")
    if leader.id == goal.member_id and len(view.voters) > 1:
        # etcd lets a leader remove itself. It then exits, and writes stop for one to two seconds, until the others notice and
        # elect a leader. Moving leadership first costs tens of milliseconds.
        found = heirs(view, leader.id, goal.tried)
        return Do(MoveLeader(found[0], leaving=leader.id)) if found else _no_heir(view, goal)
    return Do(Remove(goal.member_id, named=not goal.as_learner, owned=goal.as_learner, absence=goal.absence))


def _no_heir(view: ClusterView, goal: RemoveGoal) -> Refuse:
    stay = without(view, goal.member_id)
    if not any(map(view.follows, stay)):
        return Refuse(f"{goal.name} leads and no other voter follows it, so leadership cannot be moved away")
    why = f"{goal.name} leads, and no other voter could lead those that stay"
    missing = named_links(view, stay, view.linked)
    if not missing:
        status = to_paste("quorate", "etcd", "status")
        return Refuse(why, f"wait until another voter has caught up ({status} shows it), then run the same command again")
    return Refuse(f"{why}: no link works between {missing}", f"open the peer ports, in both directions, between {missing}")
