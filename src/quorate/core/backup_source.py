"""Which member a backup is taken from."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.membership import ClusterView, Member, MemberStatus, name_of, pick
from quorate.errors import Refused


@dataclass(frozen=True, slots=True)
class Source:
    """The member to be asked. `index`: what it must have applied first, a raft index: all that the leader knew to be committed
    at the look. None where no quorum answers: then nothing proves that the content is the newest."""

    member: Member
    role: str
    index: int | None

    @property
    def name(self) -> str:
        return self.member.name or name_of(self.member)


def choose(view: ClusterView, wanted: str, *, allow_no_quorum: bool) -> Source:
    """Returns the member to ask. `wanted`: auto, learner, or a member's name, id or peer URL. By itself it takes a standby or
    another learner, which serves no client; then a follower; the leader last: the stream costs its disk and its network.
    Raises `Refused` where no quorum answers, unless `allow_no_quorum`: such a file may lack what clients were told; and where
    nobody can be asked."""
    through_quorum = view.linearizable and view.leader is not None and view.answer(view.leader.id) is not None
    if not through_quorum and not allow_no_quorum:
        raise Refused(
            "no quorum answers: a backup of one member may lack writes that were acknowledged",
            state="nothing was saved",
            advice="save it all the same with --allow-no-quorum, which the manifest then says; a directory of a stopped member "
            "holds more: quorate etcd look DIR",
        )
    member = _named(view, wanted) if wanted not in ("auto", "learner") else _best(view, learners_only=wanted == "learner")
    leader = view.answer(view.leader.id) if view.leader is not None else None
    return Source(member, role_of(view, member), leader.raft_index if through_quorum and leader is not None else None)


def role_of(view: ClusterView, member: Member) -> str:
    if view.is_standby(member):
        return "standby"
    return "learner" if member.is_learner else "voter"


def _named(view: ClusterView, wanted: str) -> Member:
    member = pick(view, wanted)
    if view.answer(member.id) is None:
        raise Refused(
            f"{member.name or name_of(member)} does not answer",
            state="nothing was saved",
            advice="choose another member, or --from auto",
        )
    return member


def _best(view: ClusterView, *, learners_only: bool) -> Member:
    asked = [(member, status) for member in view.members if (status := view.answer(member.id)) is not None]
    able = [row for row in asked if not _is_damaged(view, row[0]) and (row[0].is_learner or not learners_only)]
    if not able:
        what = "no learner answers" if learners_only else "no member that is fit for it answers"
        raise Refused(what, state="nothing was saved", advice="see who answers: quorate etcd status")
    leader = view.leader.id if view.leader is not None else 0

    def order(row: tuple[Member, MemberStatus]) -> tuple[int, int, int]:
        member, status = row
        rank = 0 if view.is_standby(member) else 1 if member.is_learner else 3 if member.id == leader else 2
        # Of two followers the one that is further: it is waited for less.
        return rank, -status.applied_index, member.id

    return min(able, key=order)[0]


def _is_damaged(view: ClusterView, member: Member) -> bool:
    """Returns whether etcd says that this member's data is corrupt: its backup would be, too."""
    return any(one.member_id == member.id and one.kind == "CORRUPT" for one in view.alarms)
