"""What is asked of the cluster before a join changes anything: whether its first step is allowed, and who is there already."""

from __future__ import annotations

from collections.abc import Callable

from quorate.core import invariants
from quorate.core.actions import AddLearner
from quorate.core.invariants import Limits, Step, UnsafeStep
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Deadline, SystemClock
from quorate.errors import Refused

_ELECTION_SECONDS = 2.0
_POLL_SECONDS = 0.1


def check_add(
    look: Callable[[], ClusterView], view: ClusterView, action: AddLearner, clock: SystemClock, *, at_once: bool
) -> None:
    """Raises `UnsafeStep` when adding the member would not be allowed; an election gets its time to pass, unless `at_once`.

    Somebody else's learner is waited for later on, so seats do not count here.
    """
    deadline = Deadline(clock, _ELECTION_SECONDS, "the voters follow a leader")
    while True:
        try:
            limits = Limits(view.cluster_id, learner_seats=len(view.learners) + 1)
            invariants.check(Step(view, action, limits, clock.now()))
        except UnsafeStep:
            if at_once:
                raise
            if deadline.expired and not view.linearizable:
                raise Refused(
                    f"there is no quorum: {view.answering_voters} of {len(view.voters)} voters answer, "
                    f"{view.reachable_voters} follow a leader",
                    state="nothing was changed",
                    advice="start the members that are down, then run the same command again",
                ) from None
            if deadline.expired:
                raise
            clock.sleep(_POLL_SECONDS)
            view = look()
        else:
            return


def listed_at(look: Callable[[], ClusterView], peer_url: str, clock: SystemClock, seconds: float) -> Member | None:
    """Returns who is listed at a peer URL now, read through the quorum. Waiting for the seat may have taken an hour.

    Raises `DeadlineExceeded` when nobody can say within `seconds` and an election.
    """
    deadline = Deadline(clock, seconds + _ELECTION_SECONDS, "the member list can be read through the quorum")
    while True:
        view = look()
        if view.linearizable:
            return view.by_peer_urls((peer_url,))
        if deadline.expired:
            raise deadline.error(state="nothing was changed", advice="bring voters back, then run the same command again")
        clock.sleep(_POLL_SECONDS)
