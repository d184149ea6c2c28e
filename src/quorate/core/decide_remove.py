"""Decides the next step to remove one member: move leadership away, remove it once, then see that it is absent."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.absence import Absence
from quorate.core.actions import Decision, Do, Done, MoveLeader, Refuse, Remove, Wait
from quorate.core.membership import ClusterView


@dataclass(frozen=True, slots=True)
class RemoveGoal:
    """The goal: the member `member_id`, named by the operator, is not in the member list. `absence`: the proof that it is
    dead, if there is one."""

    member_id: int
    name: str
    absence: Absence | None = None


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
        heir = _heir(view, leader.id)
        if heir is None:
            return Refuse(f"{goal.name} leads and no other voter follows it, so leadership cannot be moved away")
        return Do(MoveLeader(heir))
    return Do(Remove(goal.member_id, named=True, absence=goal.absence))


def _heir(view: ClusterView, leader_id: int) -> int | None:
    """Returns the voter that follows the leader and has applied most: it can take over at once. One that answers but does not
    follow may be cut off from the leader, and a transfer to it stops writes until the transfer is abandoned."""
    answers = [view.answer(voter.id) for voter in view.voters if voter.id != leader_id and view.follows(voter.id)]
    ready = [answer for answer in answers if answer is not None]
    return max(ready, key=lambda answer: answer.applied_index).member_id if ready else None
