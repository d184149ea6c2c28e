"""What to do next to turn the members there are into the members wanted: one join or one removal at a time.

Dead members that are not wanted go first, for a dead voter counts against the quorum. Then joins and removals take turns,
so that there is never more than one voter above the larger of the two sizes, and no step lowers how many may fail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from quorate.core.actions import Done, Refuse
from quorate.core.ids import format_id, same_url
from quorate.core.membership import ClusterView, Member, MemberStatus, StatusResult, margin_of, removal_margins
from quorate.core.quorum import quorum


@dataclass(frozen=True, slots=True)
class Wanted:
    """One member that there shall be."""

    name: str
    peer_url: str


@dataclass(frozen=True, slots=True)
class ConvergeGoal:
    """The goal: the voters are exactly `wanted`, and there is no learner. Fewer voters than now may tolerate fewer
    failures, which needs consent."""

    wanted: tuple[Wanted, ...]
    accept_reduced_tolerance: bool = False


@dataclass(frozen=True, slots=True)
class JoinNext:
    """Make `member` a verified voter: add it, or take up the learner that is there."""

    member: Wanted

    def as_dict(self) -> dict[str, object]:
        """The step as `-o json` shows it."""
        return {"action": "join", "id": None, "name": self.member.name, "peerURL": self.member.peer_url, "reason": ""}


@dataclass(frozen=True, slots=True)
class RemoveNext:
    """Remove `member`, which is not wanted; `why` says what it is now."""

    member: Member
    why: str

    def as_dict(self) -> dict[str, object]:
        """The step as `-o json` shows it."""
        gone = self.member
        return {
            "action": "remove",
            "id": format_id(gone.id),
            "name": gone.name,
            "peerURL": gone.peer_urls[0],
            "reason": self.why,
        }


NextStep: TypeAlias = JoinNext | RemoveNext
Choice: TypeAlias = NextStep | Done | Refuse


def decide_converge(view: ClusterView, goal: ConvergeGoal, dead: Collection[int] = ()) -> Choice:
    """The next step towards `goal`; `dead`: the voters whose absence is proved. Whether the step
    itself is safe is checked again when it is done.

    The law: no step lowers how many voters may fail, unless the last removals of a smaller goal do and the operator agreed. Why
    it holds: the dead go first, which lowers nothing; then a live member goes only where that leaves the margin as it is, such
    as from four voters to three, and a wanted one joins otherwise: joins and removals take turns."""
    if not goal.wanted:
        return Refuse("no member is wanted", "a cluster has at least one voter: name the members to have")
    if margin_of(view) < 0:
        # Each step would be refused by itself. Said here, an operator reads one reason and not a failed step.
        return Refuse(
            f"there is no quorum: {view.reachable_voters} of {len(view.voters)} voters answer",
            "start the members that are down first",
        )
    unwanted = [member for member in view.members if not _is_wanted(member, goal)]
    missing = [row for row in goal.wanted if not _is_voter_already(row, view)]
    # A wanted learner that is there already has the seat that the others wait for.
    missing.sort(key=lambda row: view.by_peer_urls((row.peer_url,)) is None)
    return _remove_dead(unwanted, dead) or _clash(unwanted, missing) or _take_turns(view, unwanted, missing, goal)


def _is_wanted(member: Member, goal: ConvergeGoal) -> bool:
    return any(same_url(row.peer_url, url) for row in goal.wanted for url in member.peer_urls)


def _is_voter_already(row: Wanted, view: ClusterView) -> bool:
    member = view.by_peer_urls((row.peer_url,))
    return member is not None and not member.is_learner


def unwanted_silent(view: ClusterView, goal: ConvergeGoal) -> list[Member]:
    """The voters that are not wanted and do not answer: whether they are dead is to be watched before anything is decided."""
    return [row for row in view.voters if not _is_wanted(row, goal) and view.answer(row.id) is None]


def _remove_dead(unwanted: list[Member], dead: Collection[int]) -> RemoveNext | None:
    """Learners have no vote, and a dead voter weighs on the quorum: removing either lowers nothing. Where the one seat for
    learners is taken by a learner nobody wants, nothing else could join."""
    for member in unwanted:
        if member.is_learner:
            return RemoveNext(member, "a learner that is not wanted")
        if member.id in dead:
            return RemoveNext(member, "it is dead and is not wanted")
    return None


def _clash(unwanted: list[Member], missing: list[Wanted]) -> Refuse | None:
    """A wanted name that a live member has at another peer URL: two members of one name cannot be told apart."""
    names = {member.name for member in unwanted if member.name}
    clash = next((row for row in missing if row.name in names), None)
    if clash is None:
        return None
    return Refuse(
        f"a member named {clash.name} is already there, at another peer URL than {clash.peer_url}",
        "want it under another name, or remove that member first",
    )


def _take_turns(view: ClusterView, unwanted: list[Member], missing: list[Wanted], goal: ConvergeGoal) -> Choice:
    removal = _removal(view, unwanted)
    before, left = removal_margins(view, removal.member.id, dead=False) if removal else (0, 0)
    if removal is not None and len(view.voters) > 1 and left >= before:
        return removal
    if missing:
        return JoinNext(missing[0])
    if removal is None:
        return Done()
    if left < 0:
        return Refuse(f"without {removal.member.name} there would be no quorum", "bring back the voters that are down first")
    if goal.accept_reduced_tolerance:
        return removal
    return Refuse(
        f"without {removal.member.name} the cluster could lose {left} more voters instead of {before}",
        "accept it with --accept-reduced-tolerance",
    )


def _removal(view: ClusterView, unwanted: list[Member]) -> RemoveNext | None:
    """The leader goes last: each removal of a leader costs a transfer."""
    leader = view.leader.id if view.leader else 0
    order = sorted(unwanted, key=lambda member: (member.id == leader, member.name, member.id))
    return RemoveNext(order[0], "it is not wanted") if order else None


def steps(view: ClusterView, goal: ConvergeGoal, dead: Collection[int] = ()) -> Iterator[Choice]:
    """All steps from here if nothing else changes, the last one `Done` or `Refuse`; for people to read beforehand."""
    while True:
        choice = decide_converge(view, goal, dead)
        yield choice
        if isinstance(choice, Done | Refuse):
            return
        view = after(view, choice)


def after(view: ClusterView, step: NextStep) -> ClusterView:
    """The view as it would be when the step has worked out."""
    if isinstance(step, RemoveNext):
        rest = tuple(member for member in view.members if member.id != step.member.id)
        return replace(view, members=rest, replies=_led_by_one_of(view, rest))
    joined, taken = step.member, view.by_peer_urls((step.member.peer_url,))
    member_id = taken.id if taken else max((member.id for member in view.members), default=0) + 1
    others = tuple(member for member in view.members if member.id != member_id)
    voter = Member(member_id, joined.name, (joined.peer_url,))
    read_by = None if view.read_by is None else view.read_by | {member_id}
    replies = {**view.replies, member_id: _answer(view, member_id)}
    return replace(view, members=(*others, voter), replies=replies, read_by=read_by)


def _answer(view: ClusterView, member_id: int) -> MemberStatus:
    leader = view.leader.id if view.leader else member_id
    known = view.answer(leader)
    if known is not None:
        return replace(known, member_id=member_id, is_learner=False)
    return MemberStatus(member_id, view.cluster_id, "", leader, 0, 0, 0, is_learner=False, db_size=0, db_size_in_use=0)


def _led_by_one_of(view: ClusterView, rest: tuple[Member, ...]) -> dict[int, StatusResult]:
    """The replies of those who stay; leadership passes to the first of them that answers when the leader went."""
    kept = {member.id: view.replies[member.id] for member in rest if member.id in view.replies}
    voters = [member.id for member in rest if not member.is_learner and isinstance(kept.get(member.id), MemberStatus)]
    if not voters or (view.leader is not None and view.leader.id in voters):
        return dict(kept)
    return {key: replace(reply, leader=voters[0]) if isinstance(reply, MemberStatus) else reply for key, reply in kept.items()}


def margin_after(view: ClusterView, step: NextStep) -> tuple[int, int, int]:
    """Voters, their quorum and how many of them may fail, once the step has worked out."""
    later = after(view, step)
    voters = len(later.voters)
    return voters, quorum(voters), margin_of(later)
