"""What to do next to remove one member: leadership moved away first, then one removal, then seen to be absent."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.absence import Absence
from quorate.core.actions import Decision, Do, Done, MoveLeader, Refuse, Remove, Wait
from quorate.core.membership import ClusterView


@dataclass(frozen=True, slots=True)
class RemoveGoal:
    """The goal: the member `member_id`, named by the operator, is not in the member list. `absence`: the proof that it is dead,
    where there is one."""

    member_id: int
    name: str
    absence: Absence | None = None


def decide_remove(view: ClusterView, goal: RemoveGoal) -> Decision:
    """The next step towards `goal`. Whether it is safe is for `invariants.check` to say."""
    if not view.linearizable:
        # A local list proves nothing: it may lack a member that is there, or show one that is gone.
        return Wait("remove", goal.name, "no member list can be read through the quorum")
    if view.by_id(goal.member_id) is None:
        return Done()
    leader = view.leader
    if leader is None:
        return Wait("remove", goal.name, "no member says that it leads: waiting for an election")
    if leader.id == goal.member_id and len(view.voters) > 1:
        # etcd lets a leader remove itself; it then ends, and writes stop until the others have noticed and elected: one to two
        # seconds. Moving leadership first costs tens of milliseconds.
        heir = _heir(view, leader.id)
        if heir is None:
            return Refuse(f"{goal.name} leads and no other voter answers, so leadership cannot be moved away")
        return Do(MoveLeader(heir))
    return Do(Remove(goal.member_id, named=True, absence=goal.absence))


def _heir(view: ClusterView, leader_id: int) -> int | None:
    """The voter that follows the leader and has applied most: it can take over at once. One that only answers may be cut off
    from the leader, and a transfer to it stops writes until it is given up."""
    answers = [view.answer(voter.id) for voter in view.voters if voter.id != leader_id and view.follows(voter.id)]
    ready = [answer for answer in answers if answer is not None]
    return max(ready, key=lambda answer: answer.applied_index).member_id if ready else None
