"""A cluster as observed at one moment, and the arithmetic of its quorum."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from quorate.core.catch_up import lag_entries
from quorate.core.ids import format_id, same_url
from quorate.core.links import NO_LINKS, Links, pair
from quorate.core.quorum import margin, margin_on_links, quorum
from quorate.core.suggestions import close, did_you_mean
from quorate.errors import ConfigError, NoSuchMember

NO_LEADER = "etcdserver: no leader"
"""The error in a member's Status while it has no leader (3.4 to 3.7)."""

UP_TO_DATE_ENTRIES = 1000
"""A voter at most this many entries behind the leader's commit index catches up within an election; others may not."""


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

    def as_dict(self) -> dict[str, object]:
        """Returns the member as `-o json` shows it, without the fields that need a view of the cluster."""
        return {
            "id": format_id(self.id),
            "name": self.name,
            "status": "started" if self.started else "unstarted",
            "isLearner": self.is_learner,
            "peerURLs": list(self.peer_urls),
            "clientURLs": list(self.client_urls),
        }


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """What a member reported in `Maintenance/Status`. `raft_index` is its commit index, `revision` that of its keys; sizes
    are in bytes.

    `db_quota` is None before etcd 3.6, which does not report it.
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
    revision: int = 0

    def as_dict(self) -> dict[str, object]:
        """Returns the status as `-o json` shows it, next to the member's own fields."""
        return {
            "healthy": not self.errors,
            "version": self.version,
            "dbSize": self.db_size,
            "dbSizeInUse": self.db_size_in_use,
            "dbQuota": self.db_quota,
            "raftTerm": self.raft_term,
            "raftIndex": self.raft_index,
            "appliedIndex": self.applied_index,
            "errors": list(self.errors),
        }


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The reason why a member did not answer, in words a user can act on."""

    reason: str


StatusResult: TypeAlias = MemberStatus | NoResponse
AlarmKind: TypeAlias = Literal["NOSPACE", "CORRUPT"]


@dataclass(frozen=True, slots=True)
class Alarm:
    member_id: int
    kind: AlarmKind


@dataclass(frozen=True)
class ClusterView:
    """The cluster as observed in one look that began at `taken_at` (seconds of the caller's clock).

    `linearizable` is False when the member list is one member's own copy, because no member could read it through the quorum:
    such a list may be as old as its member has been cut off. `read_by`: the voters that answered a linearizable read in this
    look, which proves a two-way link between each of them and the leader; None when no voter was asked. `links`: what else is
    known of the links between members. `alarms_known`: False where they could not be read. `standbys`: the learners
    that are marked as standbys of the autopilot; None where the marks were not read.
    """

    cluster_id: int
    members: tuple[Member, ...]
    replies: Mapping[int, StatusResult]
    taken_at: float
    linearizable: bool = True
    alarms: tuple[Alarm, ...] = ()
    alarms_known: bool = True
    warnings: tuple[str, ...] = field(default=())
    read_by: frozenset[int] | None = None
    links: Links = NO_LINKS
    standbys: frozenset[int] | None = None

    # What is asked of a view some sixty times in a look of the autopilot is worked out once: a view does not change.
    @cached_property
    def voters(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if not member.is_learner)

    @cached_property
    def learners(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.is_learner)

    def answer(self, member_id: int) -> MemberStatus | None:
        reply = self.replies.get(member_id)
        return reply if isinstance(reply, MemberStatus) else None

    @cached_property
    def leader(self) -> Member | None:
        """Returns the voter that leads: it reports so itself and has answered a linearizable read, or all voters that have
        answered one follow it. In the second case it may be out of our reach but not out of theirs.

        The higher term decides only where no voter was asked to read: without pre-vote (etcd 3.4) a voter that is cut off
        raises its term at each try, and a leader that is cut off reports itself as leader for up to two election timeouts.
        """
        voters = {voter.id for voter in self.voters}
        answers = [one for one in self.replies.values() if isinstance(one, MemberStatus) and one.member_id in voters]
        claims = [one for one in answers if one.leader == one.member_id]
        proven = self.read_by or frozenset()
        followed = {one.leader for one in answers if one.member_id in proven and NO_LEADER not in one.errors}
        named = [claim for claim in claims if claim.member_id in proven]
        if not named and len(followed) == 1 and followed <= voters:
            return self.by_id(next(iter(followed)))
        newest = max(named or claims, key=lambda claim: claim.raft_term, default=None)
        return self.by_id(newest.member_id) if newest else None

    def is_standby(self, member: Member) -> bool:
        """Returns whether the member is known to be a standby of the autopilot."""
        return member.is_learner and self.standbys is not None and member.id in self.standbys

    def by_id(self, member_id: int) -> Member | None:
        return next((member for member in self.members if member.id == member_id), None)

    def by_name(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)

    def by_peer_urls(self, urls: Iterable[str]) -> Member | None:
        """Returns the member that has any of these peer URLs, compared as URLs: in etcd a URL belongs to one member only."""
        wanted = list(urls)
        return next((row for row in self.members if any(same_url(one, url) for one in wanted for url in row.peer_urls)), None)

    def follows(self, member_id: int) -> bool:
        """Returns whether this voter answers, follows the leader of this view, and answered a linearizable read if asked.

        A Status alone is not enough: a voter that is cut off names the old leader for up to two election timeouts, and one
        without a leader also answers.
        """
        answer, leader = self.answer(member_id), self.leader
        if answer is None or leader is None or NO_LEADER in answer.errors:
            return False
        return answer.leader == leader.id and (self.read_by is None or member_id in self.read_by)

    @property
    def answering_voters(self) -> int:
        """Returns the number of voters that answer, whether or not they follow a leader: without a quorum there is none."""
        return sum(1 for member in self.voters if self.answer(member.id) is not None)

    @property
    def reachable_voters(self) -> int:
        return sum(1 for member in self.voters if self.follows(member.id))

    @property
    def margin(self) -> int:
        """How many voters may still fail; below 0 there is no quorum."""
        return margin_of(self)

    def linked(self, one: int, other: int) -> bool:
        """Returns whether two voters count as linked: seen, or assumed because both follow the leader."""
        if self._leads_to(one, other) or self._leads_to(other, one):
            return True
        match self.links.state(one, other):
            case "up":
                return True
            case "down":
                return False
            case "assumed":
                return self.follows(one) and self.follows(other)

    def proven_link(self, one: int, other: int) -> bool:
        """Returns whether a link was seen to work, not only assumed."""
        return self._leads_to(one, other) or self._leads_to(other, one) or self.links.state(one, other) == "up"

    def _leads_to(self, leader_id: int, follower_id: int) -> bool:
        """Returns whether a linearizable read on the follower has just proved its two-way link to this leader."""
        leader = self.leader
        if leader is None or leader.id != leader_id or pair(leader_id, follower_id) in self.links.unproved:
            return False
        return bool(self.read_by) and self.follows(follower_id)

    def may_lead(self, voter_id: int) -> bool:
        """Returns whether this voter has, or will have in a moment, every committed entry. One that lags, or is not seen, may
        vote but not lead: voters that hold a newer entry refuse it."""
        answer, leader = self.answer(voter_id), self.answer(self.leader.id) if self.leader else None
        if answer is None or leader is None or not self.follows(voter_id):
            return False
        return leader.raft_index - answer.raft_index <= UP_TO_DATE_ENTRIES

    def as_dict(self) -> dict[str, object]:
        """Returns the cluster as `-o json` shows it (docs/reference/json.md)."""
        return {
            "clusterId": format_id(self.cluster_id),
            "linearizable": self.linearizable,
            "leader": self.leader.name if self.leader else None,
            "margin": _margin_fields(self),
            "alarms": [{"member": format_id(alarm.member_id), "alarm": alarm.kind} for alarm in self.alarms],
            "members": [self._status_fields(member) for member in in_order(self)],
        }

    def member_fields(self, member: Member) -> dict[str, object]:
        """Returns the member's fields, whether it leads, and whether it is a standby: null for a learner whose mark was not
        read."""
        marked = self.is_standby(member) if self.standbys is not None or not member.is_learner else None
        leads = self.leader is not None and self.leader.id == member.id
        return {**member.as_dict(), "isStandby": marked, "isLeader": leads}

    def _status_fields(self, member: Member) -> dict[str, object]:
        """Returns the member's fields with its status, or with the reason why it did not answer."""
        reply = self.replies.get(member.id)
        if isinstance(reply, MemberStatus):
            return {**self.member_fields(member), **reply.as_dict(), "lagEntries": lag_of(self, member)}
        reason = reply.reason if isinstance(reply, NoResponse) else "not asked"
        return {**self.member_fields(member), "healthy": False, "reason": reason}


def _margin_fields(view: ClusterView) -> dict[str, object]:
    """Returns how many voters may still fail. `margin` below 0: there is no quorum. `lowestMargin`: the margin if every link
    that is only assumed to work is missing."""
    voters, left = len(view.voters), margin_of(view)
    return {
        "voters": voters,
        "reachable": view.reachable_voters,
        "quorum": quorum(voters),
        "margin": left,
        "lowestMargin": min(lowest_margin_of(view), left),
    }


def in_order(view: ClusterView) -> list[Member]:
    """Returns the members in natural order of their names: m2 before m10; unstarted ones last."""
    return sorted(view.members, key=lambda member: (not member.name, len(member.name), member.name, member.id))


def lag_of(view: ClusterView, member: Member) -> int:
    """Returns the raft entries `member` has still to apply, by the leader's commit index; all of them when it is silent."""
    leader = view.answer(view.leader.id) if view.leader else None
    if leader is None:
        return 0
    answer = view.answer(member.id)
    return lag_entries(leader.raft_index, answer.applied_index if answer else 0)


_LEAST_DIGITS = 12
"""etcd's ids are random numbers of 64 bits: one in 65 536 has fewer digits than this."""


def find_members(view: ClusterView, text: str) -> list[Member]:
    """Returns the members meant by a name, a hex id, or a peer URL; several when `text` is ambiguous.

    A whole id, as it is printed or with all 16 digits, means that member and no other: a learner had a voter's id as its name,
    and neither could be named any more. A short one may be meant as a name.
    """
    whole = [row for row in view.members if text.lower() in (format_id(row.id), f"{row.id:016x}")]
    if whole and len(text) >= _LEAST_DIGITS:
        return whole
    by_name = [member for member in view.members if text and member.name == text]
    by_id = [member for member in view.members if format_id(member.id) == text.lower().lstrip("0")]
    by_url = [member for member in view.members if any(same_url(text, url) for url in member.peer_urls)]
    return list(dict.fromkeys([*by_name, *by_id, *by_url]))


def margin_of(view: ClusterView, *, alive: Collection[int] = ()) -> int:
    """Returns how many more voters may fail. Unknown links are assumed to work between voters that follow the leader.

    `alive`: voters that count as alive and linked to all that follow, although they do not answer: silence does not prove
    death.
    """

    def follows(voter_id: int) -> bool:
        return voter_id in alive or view.follows(voter_id)

    def linked(one: int, other: int) -> bool:
        if one in alive or other in alive:
            return view.links.state(one, other) != "down" and follows(one) and follows(other)
        return view.linked(one, other)

    voters = [voter.id for voter in view.voters]
    found = margin_on_links(voters, linked, lambda voter_id: voter_id in alive or view.may_lead(voter_id))
    # Below zero the margin counts by answers how many voters must come back: an operator needs more than a yes or no.
    answering = sum(voter_id in alive or view.answer(voter_id) is not None for voter_id in voters)
    return found if found >= 0 else min(found, margin(len(voters), answering))


def lowest_margin_of(view: ClusterView) -> int:
    """Returns a lower bound of the margin: as `margin_of`, but a link that is only assumed counts as missing."""
    return margin_on_links([voter.id for voter in view.voters], view.proven_link, view.may_lead)


def removal_margins(view: ClusterView, member_id: int, *, dead: bool) -> tuple[int, int]:
    """Returns how many voters may fail before and after the removal of the voter `member_id`, which counts as alive unless its
    absence is proved (`dead`). When it leads, its followers elect another leader."""
    before = margin_of(view, alive=() if dead else (member_id,))
    stay = [voter.id for voter in view.voters if voter.id != member_id]
    after = margin_on_links(stay, view.linked, view.may_lead)
    return before, after if after >= 0 else min(after, margin(len(stay), sum(map(view.follows, stay))))


def silent_voters(view: ClusterView) -> list[str]:
    """Returns the voters that do not answer, by name; by id where they have none."""
    return [voter.name or format_id(voter.id) for voter in in_order(view) if not voter.is_learner and not view.answer(voter.id)]


def starting_advice(view: ClusterView) -> str:
    """Returns what can bring the quorum back: the voters to start, by name. Where all answer, they elect a leader."""
    silent = silent_voters(view)
    named = ", ".join(name if len(name) <= _MOST_OF_NAME else f"{name[:_MOST_OF_NAME]}…" for name in silent[:_MOST_NAMED])
    more = f" and {len(silent) - _MOST_NAMED} more" if len(silent) > _MOST_NAMED else ""
    return f"start the members that are down ({named}{more})" if silent else "wait for the election"


_MOST_OF_NAME, _MOST_NAMED = 40, 7
"""A member may have any name: long ones would push the rest of a message out of sight."""


def size_advice(voters: int) -> str | None:
    """Returns etcd's advice on a number of voters; None when there is none."""
    if voters > 7:
        return f"{voters} voting members make every write wait for {quorum(voters)} of them; etcd's advice is 7 at most"
    if voters > 0 and voters % 2 == 0:
        less = voters - 1
        return (
            f"{voters} voting members tolerate {margin(voters, voters)} failure{'s' if margin(voters, voters) != 1 else ''},"
            f" no more than {less} would: an odd number is better, {less} or {voters + 1}"
        )
    return None


def odd_advice(view: ClusterView) -> str:
    """Returns a sentence on how many members may fail, and on an even number of them."""
    count, margin = len(view.voters), margin_of(view)
    text = f"etcd has {count} member{'s' if count != 1 else ''} now: {max(margin, 0)} may fail"
    return text if count % 2 else f"{text}; an odd number, one member less, tolerates as many failures"


def name_of(which: str | Member) -> str:
    """Returns what a member is called by: its id, when it is given as a member."""
    return format_id(which.id) if isinstance(which, Member) else which


def pick(view: ClusterView, which: str | Member) -> Member:
    """Returns the one member meant by `which`; raises `NoSuchMember` or, when there are several,
    `ConfigError`, with the choices. A `Member` is found by its id only: another member may be named like that."""
    found = [row for row in view.members if row.id == which.id] if isinstance(which, Member) else find_members(view, which)
    which = name_of(which)
    if len(found) == 1:
        return found[0]
    rows = ", ".join(f"{member.name or '(unstarted)'} ({member.id:x})" for member in found or view.members)
    if found:
        why, advice = "names several members", f"name it by its whole hex id, such as {found[0].id:016x}"
    else:
        named = close(which, [member.name for member in view.members if member.name])[:1]
        why, advice = "is not a member of this cluster", did_you_mean(named) or "name one of these"
    kind = ConfigError if found else NoSuchMember
    raise kind(f"{which!r} {why}: {rows}", state="nothing was changed", advice=advice)
