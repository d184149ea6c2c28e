"""What a cluster looks like at one moment, and the arithmetic of its quorum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Member:
    """One row of etcd's member list. `started` means that it has published its name at least once (etcd's rule): a
    crashed member still counts as started."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    is_learner: bool = False

    @property
    def started(self) -> bool:
        return bool(self.name)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a member said of itself in `Maintenance/Status`. `raft_index` is its commit index; sizes are in bytes.

    `db_quota` is None before etcd 3.6, which does not tell.
    """

    member_id: int
    cluster_id: int
    version: str
    leader: int
    raft_term: int
    raft_index: int
    applied_index: int
    is_learner: bool
    db_size: int
    db_size_in_use: int
    db_quota: int | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Silence:
    """Why a member did not answer, in words a user can act on."""

    reason: str


Reply: TypeAlias = Answer | Silence
AlarmKind: TypeAlias = Literal["NOSPACE", "CORRUPT"]


@dataclass(frozen=True, slots=True)
class Alarm:
    member_id: int
    kind: AlarmKind


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster as observed in one round that began at `taken_at` (monotonic seconds).

    `linearizable` is False when the member list came from one member's local copy: because there is no quorum, or
    because etcd 3.4 knows no other.
    """

    cluster_id: int
    members: tuple[Member, ...]
    replies: Mapping[int, Reply]
    taken_at: float
    linearizable: bool = True
    alarms: tuple[Alarm, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def voters(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if not member.is_learner)

    @property
    def learners(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.is_learner)

    def answer(self, member_id: int) -> Answer | None:
        reply = self.replies.get(member_id)
        return reply if isinstance(reply, Answer) else None

    @property
    def leader(self) -> Member | None:
        """The member that the freshest term names as leader and that says so itself."""
        claims = [reply for reply in self.replies.values() if isinstance(reply, Answer) and reply.leader == reply.member_id]
        newest = max(claims, key=lambda claim: claim.raft_term, default=None)
        return self.by_id(newest.member_id) if newest else None

    def by_id(self, member_id: int) -> Member | None:
        return next((member for member in self.members if member.id == member_id), None)

    def by_name(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)

    def by_peer_urls(self, urls: Iterable[str]) -> Member | None:
        """The member that has any of these peer URLs: etcd allows a URL to belong to one member only."""
        wanted = set(urls)
        return next((member for member in self.members if wanted & set(member.peer_urls)), None)

    @property
    def reachable_voters(self) -> int:
        return sum(1 for member in self.voters if self.answer(member.id) is not None)


def find_members(view: ClusterView, text: str) -> list[Member]:
    """The members meant by a name, a hex id, or a peer URL; several when that is ambiguous."""
    by_name = [member for member in view.members if text and member.name == text]
    by_id = [member for member in view.members if f"{member.id:x}" == text.lower().lstrip("0")]
    by_url = [member for member in view.members if text in member.peer_urls]
    return list(dict.fromkeys([*by_name, *by_id, *by_url]))


def quorum(voters: int) -> int:
    """The smallest majority of `voters`; 0 voters have none."""
    return voters // 2 + 1 if voters > 0 else 0


def margin(voters: int, reachable: int) -> int:
    """How many more voters may fail before writes stop; negative when they have stopped already."""
    return reachable - quorum(voters)


def margin_of(view: ClusterView) -> int:
    return margin(len(view.voters), view.reachable_voters)


def size_advice(voters: int) -> str | None:
    """The field's advice on a number of voters; None when there is nothing to say."""
    if voters > 7:
        return f"{voters} voting members make every write wait for {quorum(voters)} of them; etcd's advice is 7 at most"
    if voters > 0 and voters % 2 == 0:
        less = voters - 1
        return (
            f"{voters} voting members tolerate {margin(voters, voters)} failure{'s' if margin(voters, voters) != 1 else ''},"
            f" no more than {less} would: an odd number is better, {less} or {voters + 1}"
        )
    return None
