"""Decides the next step to roll back a failed join: remove, see that the id is gone, and only then stop and delete (decision
19)."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.actions import Decision, Do, Done, Refuse, Remove, StartMember, StopMember, Wait, WipeData
from quorate.core.join_memory import JoinMemory, is_our_add
from quorate.core.membership import ClusterView, Member
from quorate.foreign.text import to_paste


@dataclass(frozen=True, slots=True)
class UndoGoal:
    """The goal: the member of this join is not listed and has no data here. `memory`: its id and what was done to it.
    `has_data`: etcd has written data here. `has_leftovers`: there is anything that `WipeData` would delete. `data_member`:
    the member id in the data here; 0 when there is none or it cannot be read."""

    name: str
    peer_urls: tuple[str, ...]
    memory: JoinMemory
    running: bool
    has_data: bool
    has_leftovers: bool
    data_member: int = 0


def decide_undo(view: ClusterView, goal: UndoGoal) -> Decision:
    """Returns the next step towards `goal`, or why there is none.

    Nothing is stopped or deleted before the id is seen to be absent from a list that was read through the quorum. The removal
    goes first, although the learner still runs: an applied removal is the only fence against a promotion that is on its way,
    ours or an operator's, because ids never return. With the order "stop, then remove" a learner that an operator promoted in
    between was a stopped voter, and a cluster of one had lost its quorum (decision 19).
    """
    if not view.linearizable:
        # The list of a voter that was cut off before the join lacks the member: by that list a live voter counted as gone.
        return Wait("undo", goal.name, "no member list can be read through the quorum")
    member = _member(view, goal)
    if member is None:
        if goal.data_member not in (0, goal.memory.member_id):
            # The stop and the deletion would hit the member of this data, not the id that the join remembers.
            return Refuse(f"the data on this host belongs to member {goal.data_member:x}, not to this join", kind="not-ours")
        return _when_absent(goal)
    refusal = _refuse(member, goal)
    return refusal or Do(Remove(member.id, owned=True))


def _member(view: ClusterView, goal: UndoGoal) -> Member | None:
    """Returns the member of this join, by its id; while no id is known, the one at its peer URLs (`is_ours` judges it)."""
    if goal.memory.member_id:
        return view.by_id(goal.memory.member_id)
    return view.by_peer_urls(goal.peer_urls)


def _when_absent(goal: UndoGoal) -> Decision:
    """Returns the next step once the id is absent. Absence is final only when no add of ours can still arrive."""
    if goal.memory.member_id == 0 and goal.memory.adding:
        return _add_unknown(goal)
    if goal.memory.member_id == 0 and goal.has_data:
        return Refuse(f"{goal.name} was not registered, and the data on this host is not from this join", kind="not-ours")
    if goal.running:
        return Do(StopMember(goal.name, goal.memory.member_id))
    if goal.has_leftovers:
        return Do(WipeData(goal.name, goal.memory.member_id))
    # An earlier add of this join may still arrive: not listed is not absent.
    return _add_unknown(goal) if goal.memory.adding else Done()


def _add_unknown(goal: UndoGoal) -> Refuse:
    return Refuse(
        f"it is unknown whether {goal.name} was registered: the answer to the add was lost, and the member is not listed",
        f"check with {to_paste('quorate', 'etcd', 'members')}, then run the same command again",
        "add-unknown",
    )


def _refuse(member: Member, goal: UndoGoal) -> Decision | None:
    """Refuses to roll back a voter, a member that may have a vote, and a member that others registered."""
    if not member.is_learner:
        ours = goal.memory.member_id == member.id and goal.data_member in (0, member.id)
        if not goal.running and goal.has_data and ours:
            # Its vote may be the one that the quorum is missing.
            return Do(StartMember(goal.name, tuple((goal.name, url) for url in member.peer_urls)))
        return Refuse(f"{goal.name} is a voter and stays one", "run the same command again to finish", "voter")
    if goal.memory.may_vote:
        return Refuse(f"it is unknown whether {goal.name} was promoted, so nothing was rolled back", kind="vote-unknown")
    if not is_ours(member, goal.memory):
        who = (
            "may have been registered by this join or by another tool: the answer to the add was lost"
            if goal.memory.adding
            else "was registered by another tool or operator"
        )
        return Refuse(
            f"the learner {member.id:x} at {member.peer_urls[0]} {who}; it was left as it is",
            f"{to_paste('quorate', 'etcd', 'remove', f'{member.id:x}')} removes it",
            "not-ours",
        )
    return None


def is_ours(member: Member, memory: JoinMemory) -> bool:
    """Returns whether this join registered `member`: by the id that MemberAdd answered; after a lost answer, by an id that can
    only have been made from our URLs in the seconds of our call."""
    if memory.member_id:
        return memory.ours and memory.member_id == member.id
    return bool(memory.adding) and is_our_add(member.id, member.peer_urls, memory.adding)
