"""What one join knows and reports of each joiner beside what the cluster shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quorate.core.lag import LagMeter
from quorate.core.rate import RateMeter
from quorate.core.readiness import Proof
from quorate.etcd.runtime import JoinSpec
from quorate.etcd.transfer import Feeding


@dataclass(frozen=True, slots=True)
class Settings:
    """`stall_seconds`: how long a join may go without any progress. `learner_seats` and `voter_join` as in
    `invariants.Limits`. `restart_learner`: whether a learner that lost its publish may be restarted once."""

    stall_seconds: float = 60.0
    learner_seats: int = 1
    keep_on_failure: bool = False
    restart_learner: bool = True
    voter_join: bool = False


@dataclass(frozen=True, slots=True)
class JoinResult:
    """`timings`: seconds from the MemberAdd to each step: started, aligned, promoted, serving."""

    name: str
    member_id: int
    timings: Mapping[str, float]
    restarted: bool


@dataclass(slots=True)
class Track:
    """What this run learnt of one joiner. `received`: bytes of the database that arrived, where this host can tell."""

    spec: JoinSpec
    lag: LagMeter
    began_at: float
    listed_itself_at: float | None = None
    received: int | None = None
    rate: RateMeter = field(default_factory=RateMeter)
    feeding: Feeding = field(default_factory=Feeding)
    restarted: bool = False
    proof: Proof | None = None
    verified: bool = False
    ours: bool = False
    promotion_unknown: bool = False
    marks: dict[str, float] = field(default_factory=dict[str, float])

    def mark(self, step: str, now: float) -> None:
        self.marks.setdefault(step, now)

    def timings(self) -> dict[str, float]:
        start = self.marks.get("added", self.began_at)
        return {step: round(at - start, 3) for step, at in self.marks.items()}


def track_of(spec: JoinSpec, now: float) -> Track:
    """A new track, with what an earlier run left behind."""
    return Track(
        spec,
        LagMeter(now),
        now,
        restarted=spec.restarted,
        ours=spec.ours,
        promotion_unknown=spec.promotion_unknown,
    )
