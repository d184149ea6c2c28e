"""Checks before a join changes anything: whether its first step is allowed, and which member is listed already."""

from __future__ import annotations

from collections.abc import Callable

from quorate.core import invariants
from quorate.core.actions import AddLearner
from quorate.core.invariants import Limits, Step, UnsafeStep
from quorate.core.membership import ClusterView, Member, in_order, starting_advice
from quorate.core.quorum import quorum
from quorate.deadline import Deadline, SystemClock, poll
from quorate.errors import Refused
from quorate.foreign.text import to_paste

_ELECTION_SECONDS = 2.0
"""An election ends within two election timeouts of one second. A margin that is lower only for that long is no reason to
refuse."""
_POLL_SECONDS = 0.1
BEFORE_A_REFUSAL = "an election can be over, before the step is refused"
"""What a refusal waits for."""


def check_add(
    look: Callable[[], ClusterView], view: ClusterView, action: AddLearner, clock: SystemClock, *, at_once: bool
) -> None:
    """Raises `UnsafeStep` when adding the member would not be allowed. Waits until an election can be over, unless `at_once`.

    Learner seats do not count here: the join waits later for a foreign learner to free its seat.
    """
    deadline = Deadline(clock, 0.0 if at_once else _ELECTION_SECONDS, BEFORE_A_REFUSAL)
    views, refusals = [view], list[UnsafeStep]()

    def allowed() -> bool | None:
        seen = views.pop() if views else look()
        try:
            limits = Limits(seen.cluster_id, learner_seats=len(seen.learners) + 1)
            invariants.check(Step(seen, action, limits, clock.now()))
        except UnsafeStep as unsafe:
            refusals.append(unsafe)
            if not seen.linearizable and deadline.expired and not at_once:
                raise no_quorum(seen) from None
            return None
        return True

    if not poll(allowed, clock, deadline, every=_POLL_SECONDS):
        raise refusals[-1]


def agreed(view: ClusterView) -> ClusterView:
    """Returns the view, whose list was read through the quorum. Raises `Refused` for any other: places and records are read
    through it too, and all that would be said is "no answer in time"."""
    if not view.linearizable:
        raise no_quorum(view)
    return view


def no_quorum(view: ClusterView) -> Refused:
    """Returns the refusal of every change: without a quorum no list is agreed on, and none can be changed. Enough may follow a
    leader, who does not answer us: then nothing proves that it has them."""
    lacks = view.reachable_voters < quorum(len(view.voters))
    what = "there is no quorum" if lacks else "no quorum could be proved"
    return Refused(
        f"{what}: {view.answering_voters} of {len(view.voters)} voters answer, {view.reachable_voters} follow a leader",
        state="nothing was changed; nothing can be before more voters come back" if lacks else "nothing was changed",
        advice=f"{starting_advice(view)}, then run the same command again",
    )


def refuse_leader(view: ClusterView, target: Member) -> None:
    """Raises `Refused` for a member that cannot lead: a learner, and one that does not answer."""
    if not target.is_learner and view.answer(target.id) is not None:
        return
    able = ", ".join(member.name for member in in_order(view) if view.follows(member.id) and member.name)
    shown = target.name or f"{target.id:x}"
    if target.is_learner:
        why, first = "it is a learner", f"promote it first: {to_paste('quorate', 'etcd', 'promote', shown)}"
    else:
        why, first = "it does not answer", "start its etcd, then run the same command again"
    advice = f"{first}; or name a voter that answers: {able}" if able else first
    raise Refused(f"{shown} cannot lead: {why}", state="nothing was changed", advice=advice)


def listed_at(look: Callable[[], ClusterView], peer_url: str, clock: SystemClock, seconds: float) -> Member | None:
    """Returns the member listed at a peer URL now, read through the quorum. The wait for the seat may have taken an hour.

    Raises `DeadlineExceeded` when no such list can be read within `seconds` and an election.
    """
    deadline = Deadline(clock, seconds + _ELECTION_SECONDS, "the member list can be read through the quorum")

    def agreed() -> ClusterView | None:
        seen = look()
        return seen if seen.linearizable else None

    view = poll(agreed, clock, deadline, every=_POLL_SECONDS)
    if view is None:
        raise deadline.error(state="nothing was changed", advice="start more voters, then run the same command again")
    return view.by_peer_urls((peer_url,))
