"""What the looks of one autopilot add up to: who has been silent for how long, and which learner has been aligned. Pure: one
look more gives one memory more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from quorate.core.absence import MOST_BETWEEN_LOOKS, Absence, AbsenceWatch
from quorate.core.autopilot.policy import Policy
from quorate.core.catch_up import NEAR_ENTRIES
from quorate.core.membership import ClusterView, Member, lag_of

Received = Mapping[int, float]
"""Bytes that each other voter has received from one member, by the voter's id."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The looks so far; times are on the clock of the looks. `watches`: of the voters that do not answer; `silent_since`: since
    when they do not. `aligned_since`: since when each learner has been aligned at every look; `mute_since`: since when it has
    answered none."""

    watches: Mapping[int, AbsenceWatch] = field(default_factory=dict[int, AbsenceWatch])
    silent_since: Mapping[int, float] = field(default_factory=dict[int, float])
    aligned_since: Mapping[int, float] = field(default_factory=dict[int, float])
    mute_since: Mapping[int, float] = field(default_factory=dict[int, float])
    looked_at: float | None = None

    def absences(self) -> dict[int, Absence]:
        """Returns the proofs, for the voters whose silence has lasted as long as the policy says."""
        found = {member: watch.absence for member, watch in self.watches.items()}
        return {member: absence for member, absence in found.items() if absence is not None}


def silent_voters(view: ClusterView) -> list[Member]:
    return [voter for voter in view.voters if view.answer(voter.id) is None]


def sight_after(sight: Sight, view: ClusterView, received: Mapping[int, Received | None], policy: Policy) -> Sight:
    """Returns the sight after one look more. `received`: for each voter that does not answer, what the others have received
    from it; None where not every one of them can be asked.

    The looks of one instance count, on its own clock: a new instance begins at nothing, and one whose machine was suspended
    begins again, because it does not know what it missed. Of a voter that somebody hears, or that comes to have another number
    of votes against it, the count begins again too (`AbsenceWatch`).
    """
    now = view.taken_at
    gap = sight.looked_at is not None and now - sight.looked_at > MOST_BETWEEN_LOOKS
    earlier = Sight(silent_since=sight.silent_since) if gap else sight
    needed = policy.after if policy.after is not None else policy.window
    silent = silent_voters(view)
    watches = {
        voter.id: replace(earlier.watches.get(voter.id, AbsenceWatch(voter.id)), needed=needed).look(
            answered=False, received=received.get(voter.id), now=now
        )
        for voter in silent
    }
    # A voter that others hear is not silent towards them: only we cannot reach it.
    unheard = [voter.id for voter in silent if watches[voter.id].sign != "alive"]
    return Sight(
        watches,
        {one: earlier.silent_since.get(one, now) for one in unheard},
        {one.id: earlier.aligned_since.get(one.id, now) for one in view.learners if _is_near(view, one)},
        {one.id: earlier.mute_since.get(one.id, now) for one in view.learners if view.answer(one.id) is None},
        now,
    )


def with_earlier(sight: Sight, silent: Mapping[int, float]) -> Sight:
    """Returns the sight with what the instance before has seen: for how many seconds each voter was silent. That tells losses
    one after the other from losses together (the brake); it proves no voter lost, which only looks of one's own do."""
    now = sight.looked_at or 0.0
    since = {one: min(at, now - silent.get(one, 0.0)) for one, at in sight.silent_since.items()}
    return replace(sight, silent_since=since)


def _is_near(view: ClusterView, learner: Member) -> bool:
    return view.answer(learner.id) is not None and lag_of(view, learner) <= NEAR_ENTRIES
