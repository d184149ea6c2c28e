"""What a cluster would look like after a change, for plans: nothing here allows a step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quorate.core.membership import ClusterView, Member, MemberStatus, StatusResult, margin_of
from quorate.core.quorum import quorum


@dataclass(frozen=True, slots=True)
class Afterwards:
    """The voters after a change, their quorum, and how many of them may fail; below 0 there is no quorum."""

    voters: int
    quorum: int
    margin: int

    def as_dict(self) -> dict[str, object]:
        """Returns the numbers as `-o json` shows them."""
        return {"voters": self.voters, "quorum": self.quorum, "margin": self.margin}


def afterwards(later: ClusterView) -> Afterwards:
    """Returns the numbers of a cluster that a change leads to."""
    voters = len(later.voters)
    return Afterwards(voters, quorum(voters), margin_of(later))


def having_left(view: ClusterView, member_id: int) -> ClusterView:
    """Returns the view without the member."""
    rest = tuple(member for member in view.members if member.id != member_id)
    return replace(view, members=rest, replies=_led_by_one_of(view, rest))


def having_joined(view: ClusterView, name: str, peer_url: str = "") -> ClusterView:
    """Returns the view in which `name` is a voter that serves: the member at that peer URL, or a new one."""
    taken = view.by_peer_urls((peer_url,)) if peer_url else None
    member_id = taken.id if taken else max((member.id for member in view.members), default=0) + 1
    others = tuple(member for member in view.members if member.id != member_id)
    voter = Member(member_id, name, (peer_url,))
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
    """Returns the replies of the remaining members. When the leader was removed, the first voter that answers leads."""
    kept = {member.id: view.replies[member.id] for member in rest if member.id in view.replies}
    voters = [member.id for member in rest if not member.is_learner and isinstance(kept.get(member.id), MemberStatus)]
    if not voters or (view.leader is not None and view.leader.id in voters):
        return dict(kept)
    return {key: replace(reply, leader=voters[0]) if isinstance(reply, MemberStatus) else reply for key, reply in kept.items()}
