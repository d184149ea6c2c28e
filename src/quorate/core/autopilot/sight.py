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
class Silence:
    """What somebody has seen of a silent voter: for how many seconds, and what the others had received from it by then."""

    seconds: float
    received: Received


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
    earlier = Sight(silent_since=_silent_still(sight, received)) if gap else sight
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


def with_earlier(sight: Sight, silent: Mapping[int, Silence]) -> Sight:
    """Returns the sight with what the instance before has seen. That tells losses one after the other from losses together (the
    brake); it proves no voter lost, which only looks of one's own do. Of a voter from which somebody has received anything
    since it says nothing: that one has returned, and perhaps fell silent together with another."""
    now = sight.looked_at or 0.0

    def since(member: int, at: float) -> float:
        said, watch = silent.get(member), sight.watches.get(member)
        is_same = said is not None and watch is not None and _is_nothing_new(said.received, watch.received)
        return min(at, now - said.seconds) if said is not None and is_same else at

    return replace(sight, silent_since={member: since(member, at) for member, at in sight.silent_since.items()})


def _silent_still(sight: Sight, received: Mapping[int, Received | None]) -> dict[int, float]:
    """Returns since when voters have been silent that were so before a gap between two looks, and of which nobody has received
    anything in it. Any other may have lived meanwhile, and fallen silent with others: the brake was passed by that."""
    return {
        member: since
        for member, since in sight.silent_since.items()
        if (watch := sight.watches.get(member)) is not None and _is_nothing_new(watch.received, received.get(member))
    }


def _is_nothing_new(before: Received | None, now: Received | None) -> bool:
    """Returns whether all who counted before, and can be asked now, have received nothing since. Counts are from the start of
    each process on."""
    if before is None or now is None:
        return False
    both = before.keys() & now.keys()
    return bool(both) and all(before[voter] == now[voter] for voter in both)


def _is_near(view: ClusterView, learner: Member) -> bool:
    return view.answer(learner.id) is not None and lag_of(view, learner) <= NEAR_ENTRIES
