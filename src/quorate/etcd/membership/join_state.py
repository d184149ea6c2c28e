"""The policy of one join, and what the join learns of each joiner beyond what the cluster shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from quorate.arguments import checked
from quorate.core.catch_up import Proof
from quorate.core.decide_join import FedBy
from quorate.core.invariants import Limits
from quorate.core.join_memory import JoinMemory
from quorate.core.meters import LagMeter, RateMeter
from quorate.core.outcome import Joined
from quorate.core.restarts import StartBudget
from quorate.errors import ConfigError
from quorate.etcd.membership.runtime import JoinSpec, Runtime
from quorate.etcd.observation.replication import ReplicationActivity

JoinResult: TypeAlias = Joined
"""The result of a join that reached its goal."""


Remember: TypeAlias = Callable[[str, JoinMemory], None]
"""Stores what a later run must know of the joiner of that name."""


def forget(_name: str, _memory: JoinMemory) -> None:
    """Does nothing: for runs that keep no memory beyond their journal."""


@checked
@dataclass(frozen=True, slots=True)
class JoinPolicy:
    """How joins are done. `stall_seconds`: how long a join may go without any progress. `learner_seats`, `voter_join` and
    `accept_reduced_tolerance` as in `invariants.Limits`. `restart_learner`: whether a learner that lost its publish may be
    restarted once. `keep_on_failure`: roll nothing back. `ends_as`: "standby" keeps a learner that is aligned."""

    stall_seconds: float = 60.0
    learner_seats: int = 1
    keep_on_failure: bool = False
    restart_learner: bool = True
    voter_join: bool = False
    accept_reduced_tolerance: bool = False
    ends_as: Literal["voter", "standby"] = "voter"

    def __post_init__(self) -> None:
        seconds: object = self.stall_seconds
        if not isinstance(seconds, int | float) or not 0 < seconds < math.inf or self.learner_seats < 1:
            raise ConfigError(
                f"no policy: stall_seconds={seconds!r}, learner_seats={self.learner_seats!r}", advice="pass seconds above 0"
            )


@dataclass(frozen=True, slots=True)
class Progress:
    """The furthest point that a joiner reached. Only what grows is progress: an etcd that is started again and again, or lists
    that contradict each other, change all the time without progress."""

    marks: int = 0
    received: int = 0
    applied: int = 0

    def passes(self, other: Progress) -> bool:
        """Returns whether this point is further than `other` in any respect."""
        return self.marks > other.marks or self.received > other.received or self.applied > other.applied

    def furthest(self, other: Progress) -> Progress:
        return Progress(max(self.marks, other.marks), max(self.received, other.received), max(self.applied, other.applied))


@dataclass(slots=True)
class JoinState:
    """The state of one joiner in this run. `memory`: what later runs must also know. `peer_answers`: its peer port was seen to
    serve. `dialled_at`, `dialled`: when its peer port was dialled last to see whether anything listens, and why nothing did.
    `fed_by`: by what its data came. `received`: bytes of the database that arrived, where this host can tell.
    `links_missed_at`: for each link to a voter that is not up, since when it is missed; `links_unknown`: the voters of whose
    link nothing is known; `links_began_at`, `links_looked_at`: since when, and when last, links were looked for without a
    pause."""

    spec: JoinSpec
    runtime: Runtime
    lag: LagMeter
    began_at: float
    memory: JoinMemory
    listed_itself_at: float | None = None
    fed_by: FedBy = "unknown"
    peer_answers: bool = False
    dialled_at: float = -math.inf
    dialled: str = ""
    received: int | None = None
    rate: RateMeter = field(default_factory=RateMeter)
    feeding: ReplicationActivity = field(default_factory=ReplicationActivity)
    furthest: Progress = field(default_factory=Progress)
    starts: StartBudget = field(default_factory=StartBudget)
    proof: Proof | None = None
    verified: bool = False
    links_missed_at: dict[int, float] = field(default_factory=dict[int, float])
    links_unknown: frozenset[int] = frozenset()
    links_began_at: float | None = None
    links_looked_at: float | None = None
    marks: dict[str, float] = field(default_factory=dict[str, float])

    def mark(self, step: str, now: float) -> None:
        self.marks.setdefault(step, now)

    def timings(self) -> dict[str, float]:
        start = self.marks.get("added", self.began_at)
        return {step: round(at - start, 3) for step, at in self.marks.items()}

    def result(self) -> Joined:
        return Joined(self.spec.name, self.memory.member_id, self.timings(), self.memory.restarted)


def state_of(spec: JoinSpec, runtime: Runtime, now: float) -> JoinState:
    """Returns a new state, with the memory that an earlier run left."""
    return JoinState(spec, runtime, LagMeter(now), now, spec.memory)


def limits_of(policy: JoinPolicy, cluster_id: int) -> Limits:
    """Returns the limits of a run of joins."""
    return Limits(cluster_id, policy.learner_seats, policy.accept_reduced_tolerance, policy.voter_join)
