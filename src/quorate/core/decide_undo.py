"""What to do next to take back a join that failed: stop, remove, see that it is gone, and only then delete its data."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.actions import Decision, Do, Done, Refuse, Remove, StartMember, StopMember, Wait, WipeData
from quorate.core.membership import ClusterView, Member


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The goal: the joiner at `peer_url` is no member and has no data. `ours`: this run, or a record of an earlier one,
    shows that we registered it. `promotion_unknown`: its promotion was asked for and not refused.
    `has_data`: etcd has written there; `has_leftovers`: so did we."""

    name: str
    peer_url: str
    ours: bool
    promotion_unknown: bool
    running: bool
    has_data: bool
    has_leftovers: bool


def decide_undo(view: ClusterView, goal: TakeBack) -> Decision:
    """The next step towards `goal`, or why there is none.

    The process ends first: a learner has no vote, so nothing depends on it, and one that applies its own removal while it
    is asked for its status panics (etcd issue 21966).
    """
    member = view.by_peer_urls((goal.peer_url,))
    if member is not None and not member.is_learner and not goal.running and goal.has_data:
        # Somebody promoted it while we were about to stop it: its vote may be the one the quorum is missing.
        return Do(StartMember(goal.name, ((goal.name, goal.peer_url),)))
    refusal = _refuse(member, goal)
    if refusal is not None:
        return refusal
    if goal.running:
        return Do(StopMember(goal.name))
    if view.leader is None and not view.linearizable:
        return Wait("undo", goal.name, "no member says that it leads, and the list is one member's own copy")
    if member is not None:
        return Do(Remove(member.id, owned=True))
    return Do(WipeData(goal.name)) if goal.has_leftovers else Done()


def _refuse(member: Member | None, goal: TakeBack) -> Refuse | None:
    """From the promotion on, the way is forward only."""
    if member is not None and not member.is_learner:
        return Refuse(f"{goal.name} is a voter and stays one", "run the same command again to finish")
    if member is not None and goal.promotion_unknown:
        return Refuse(f"whether {goal.name} was promoted is not known, so nothing was undone", "run the same command again")
    return None if goal.ours else Refuse(f"nothing was registered for {goal.name}")
