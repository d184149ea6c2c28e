"""The values of a decision of the autopilot: what is known, and what may be decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from quorate.core.absence import Absence
from quorate.core.actions import MoveLeader, Promote, Remove
from quorate.core.autopilot.policy import Policy
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member

Rule: TypeAlias = Literal[
    "paused",
    "bad-record",
    "policy-fight",
    "stale-look",
    "unreachable",
    "two-clusters",
    "not-read",
    "no-list",
    "no-quorum",
    "alarm",
    "busy",
    "brake",
    "held",
    "never-started",
    "silent",
    "budget",
    "no-standby",
    "not-prepared",
    "standby-not-proved",
    "standby-links",
    "standby-not-fit",
    "replace",
    "grow",
    "grow-not-aligned",
    "foreign-learner",
    "too-few-voters",
    "yield-seat",
    "seat-kept",
    "spread",
    "provide",
    "provide-failed",
    "too-few-standbys",
    "standby-lost",
    "no-witness",
    "failed",
    "cannot-act",
    "nothing",
]


_FIRST_REST, _LONGEST_REST = 5.0, 300.0
_AHEAD_SECONDS = 600.0
"""So far may the clock of another host be ahead: a moment further in the future says nothing of when it was."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done now; `why` is for people."""

    rule: Rule
    why: str


@dataclass(frozen=True, slots=True)
class Page:
    """Somebody has to look: nothing that the autopilot may do helps."""

    rule: Rule
    why: str


@dataclass(frozen=True, slots=True)
class Act:
    """The next action on the members. `then`: what follows at once, whose proof is given already. `leaves`: the voter that is
    to go once the promotion is done; its removal is a later action. `successor`: the voter that has its place by then."""

    rule: Rule
    why: str
    action: Promote | Remove | MoveLeader
    then: Promote | None = None
    leaves: int = 0
    successor: int = 0


@dataclass(frozen=True, slots=True)
class AddStandby:
    """A new standby is to be made, by the program that the operator gave for that."""

    rule: Rule
    why: str


Next: TypeAlias = Wait | Page | Act | AddStandby

Provider: TypeAlias = Literal["none", "ready", "at work", "failed"]
"""The program that makes standbys: not given, ready, at work, or not asked again yet because it failed."""


@dataclass(frozen=True, slots=True)
class Written:
    """A policy that was written: when, by whom, and which one (`digest`)."""

    at: float
    digest: str
    by: str


@dataclass(frozen=True, slots=True)
class Swap:
    """A voter that was promoted so that another one, in a zone with more voters, goes. `at`: unix seconds."""

    promoted: int
    leaves: int
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Owed:
    """A learner whose vote is to follow the removal of the voter `instead` at once. `at`: unix seconds; `voters`: how many
    there were before, 0 where an earlier version did not say."""

    member: int
    instead: int
    at: float = 0.0
    voters: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """An action that could not be done: how often in turn, when last, and why."""

    count: int
    at: float
    why: str

    @property
    def rest(self) -> float:
        """Seconds until the next try: none after the first failure, which may be of the moment; then twice as many each time,
        up to `_LONGEST_REST`."""
        return 0.0 if self.count < 2 else min(_FIRST_REST * 2.0 ** (self.count - 2), _LONGEST_REST)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the looks of one autopilot add up to; times are on the clock of `now`.

    `absences`: voters whose absence over `Policy.after` is proved. `silent_since`: since when each silent voter has given no
    sign of life. `aligned_since`: since when each learner has been aligned at every look. `mute_since`: since when it has
    answered none. `proofs`: fresh proofs of learners. `owed`: a replacement that was begun. `owned`: learners that a join of
    this tool added; `standbys`: those that are marked as such; `joining`: those on which somebody's join is at work; `waiting`:
    the names of joins of this tool that wait for a learner seat. `busy`: who changes the member list now, or upgrades it; empty
    when nobody does. `held`: members that an operator exempts until a time. `replaced`: when members were replaced. `written`:
    the policies of the past, the latest last. `swap`: a change of zones that is half done. `unwitnessed`: voters whose counters
    cannot be read; `unlinked_yet`: learners of whose links more is known in a moment. `is_stacked`: each voter serves the API
    server of its own node; `prepared`: members on whose node an instance runs that starts an API server once they have a vote.
    `failed`: the actions that could not be done, by the member that would have got a vote, or gone. `counted`: over how many
    seconds this instance has proved each silent voter absent so far.
    """

    absences: Mapping[int, Absence] = field(default_factory=dict[int, Absence])
    silent_since: Mapping[int, float] = field(default_factory=dict[int, float])
    aligned_since: Mapping[int, float] = field(default_factory=dict[int, float])
    mute_since: Mapping[int, float] = field(default_factory=dict[int, float])
    proofs: Mapping[int, Proof] = field(default_factory=dict[int, Proof])
    owned: frozenset[int] = frozenset()
    standbys: frozenset[int] = frozenset()
    joining: frozenset[int] = frozenset()
    waiting: tuple[str, ...] = ()
    busy: str = ""
    held: Mapping[int, float] = field(default_factory=dict[int, float])
    paused_until: float | None = None
    replaced: tuple[float, ...] = ()
    written: tuple[Written, ...] = ()
    swap: Swap | None = None
    owed: Owed | None = None
    provider: Provider = "none"
    unwitnessed: frozenset[int] = frozenset()
    unlinked_yet: frozenset[int] = frozenset()
    is_stacked: bool = False
    prepared: frozenset[int] = frozenset()
    provider_why: str = ""
    failed: Mapping[int, Failed] = field(default_factory=dict[int, Failed])
    counted: Mapping[int, float] = field(default_factory=dict[int, float])


@dataclass(frozen=True, slots=True)
class Case:
    """One decision: what is seen, what is wanted, what is remembered. `now`: on the clock of the view."""

    view: ClusterView
    policy: Policy
    memory: Memory
    now: float

    def is_past(self, at: float) -> bool:
        """Returns whether a moment that some host wrote down is not of a clock that is wrong."""
        return at - self.now <= _AHEAD_SECONDS

    def silent(self) -> list[Member]:
        """Returns the voters that do not answer."""
        return [voter for voter in self.view.voters if self.view.answer(voter.id) is None]

    def standbys(self) -> list[Member]:
        """Returns the learners that may take a voter's place: marked, and at nobody's work."""
        marked = [one for one in self.view.learners if one.id in self.memory.standbys]
        return [one for one in marked if one.id not in self.memory.joining]

    def lost_standbys(self) -> list[Member]:
        """Returns the standbys that have not answered for as long as makes a voter lost: they take nobody's place."""
        return [one for one in self.standbys() if self.now - self.mute_since(one) >= self.policy.window]

    def mute_since(self, learner: Member) -> float:
        """Returns since when the learner has not answered; now where it does."""
        return self.memory.mute_since.get(learner.id, self.now)

    def is_prepared(self, standby: Member) -> bool:
        """Returns whether the standby replaces all that a lost voter was: where each voter serves the API server of its own
        node, a vote without one leaves the control plane as small as the loss made it."""
        return not self.memory.is_stacked or standby.id in self.memory.prepared

    def proof(self, member: Member) -> Proof | None:
        """Returns the proof that this learner is aligned now, with the leader of now."""
        proof, leader = self.memory.proofs.get(member.id), self.view.leader
        holds = proof is not None and proof.holds(member_id=member.id, cluster_id=self.view.cluster_id, now=self.now)
        answer = self.view.answer(leader.id) if leader is not None else None
        is_of_now = answer is None or (proof is not None and proof.term == answer.raft_term)
        return proof if holds and is_of_now else None

    def failures(self, member: Member) -> tuple[bool, int]:
        """Returns whether the action on a member rests because it failed, and how often it has: what sorts others before it."""
        failed = self.memory.failed.get(member.id)
        return self.rest_left(member.id) > 0, failed.count if failed is not None else 0

    def rest_left(self, member_id: int) -> float:
        """Returns for how many seconds an action on a member is not tried again."""
        failed = self.memory.failed.get(member_id)
        return max(0.0, failed.at + failed.rest - self.now) if failed is not None else 0.0

    def is_held(self, member: Member) -> bool:
        """Returns whether an operator exempts the member."""
        return self.memory.held.get(member.id, self.now) > self.now

    def aligned_since(self, learner: Member) -> float:
        """Returns since when the learner has been aligned; now where it is not."""
        return self.memory.aligned_since.get(learner.id, self.now)

    def owes_a_vote(self) -> bool:
        """Returns whether a replacement was cut off behind its removal: the lost voter is gone, the other is a learner, and
        nobody has its place. A second standby had it by then once, and the first one got a vote too."""
        owed, view = self.memory.owed, self.view
        if owed is None or view.by_id(owed.instead) is not None:
            return False
        if owed.voters and len(view.voters) >= owed.voters:
            return False
        return any(one.id == owed.member for one in view.learners)

    def swap(self) -> Swap | None:
        """Returns the change of zones that is half done: the new voter has its vote, and the other one is still there. It is
        over when either is not so, whoever ended it."""
        swap, voters = self.memory.swap, {voter.id for voter in self.view.voters}
        if swap is None or not {swap.promoted, swap.leaves} <= voters or len(voters) <= self.policy.voters:
            return None
        return swap


def supposed(view: ClusterView, learner: Member, now: float) -> Proof:
    """Returns a proof as it would be now: to see what speaks against a promotion apart from it."""
    status = view.answer(view.leader.id) if view.leader is not None else None
    term, index, leader = (status.raft_term, status.raft_index, status.member_id) if status is not None else (0, 0, 0)
    return Proof(learner.id, view.cluster_id, term, index, index, now, ROUNDS, leader_id=leader, heard=True)


def named(member: Member) -> str:
    """Returns the member's name; its id where it has none."""
    return member.name or format_id(member.id)


def names_of(members: list[Member]) -> str:
    return ", ".join(map(named, members))


def lasting(seconds: float) -> str:
    """Returns a length of time for people, to the second: 59m59s."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun: 1 standby, 2 standbys."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def are(members: list[Member]) -> str:
    """Returns the members' names with the verb: m1 is, m1 and m2 are."""
    names = [named(one) for one in members]
    if len(names) < 2:
        return f"{''.join(names)} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
