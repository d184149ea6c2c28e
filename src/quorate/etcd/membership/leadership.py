"""Transfers of leadership: judged on the links that are known to work, sent once, and looked after when the answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from quorate.core import invariants
from quorate.core.actions import Do, MoveLeader
from quorate.core.invariants import Limits, Step, UnsafeStep
from quorate.core.membership import ClusterView, Member, pick
from quorate.deadline import Deadline, SystemClock, poll
from quorate.errors import OutcomeUnknown, QuorateError, Refused
from quorate.etcd.client import maintenance
from quorate.etcd.client.connections import Access
from quorate.etcd.client.errors import EtcdError, NotLeader
from quorate.etcd.membership.engine import log_decision, logging_refusals
from quorate.etcd.membership.first_step import refuse_leader
from quorate.etcd.observation.look import endpoint_of, wait_until_seen
from quorate.etcd.observation.voter_links import VoterLinks
from quorate.report import Notice, Report

_ABANDONED_SECONDS = 3.0
"""raft abandons a transfer after one election timeout, 1 s by default, and an election after it takes up to two."""
_FOLLOWS_SECONDS = 2.0
"""A voter that does not follow in one look may be in an election, which ends within this time."""
_EVERY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Reached:
    """How the members are reached, and by which clock."""

    access: Access
    clock: SystemClock


class LeaderStays(QuorateError):  # noqa: N818
    """Leadership was to be moved, and the member that led leads still, or another than was asked to."""

    code = "leader-stays"
    next_step = "quorate etcd status shows who leads and who follows; find out why the other voter did not take over"


def move_leader(
    cluster: Reached, look: Callable[[], ClusterView], which: str | Member, report: Report, *, timeout: float, consent: bool
) -> Member:
    """Transfers leadership to the voter `which`; returns it once it leads, also when the answer was lost.

    Raises `UnsafeStep` with nothing changed for a voter that does not follow the leader, or that is not known to be linked to a
    majority, unless nothing can be known of its links and there is `consent`; `LeaderStays` when another leads after it, and
    `OutcomeUnknown` when no leader can be seen.
    """
    access, clock = cluster.access, cluster.clock
    view = look()
    target = pick(view, which)
    with logging_refusals():
        if view.leader is None:
            raise Refused(
                "no member reports that it leads",
                state="nothing was changed",
                advice="wait for the election, or start more voters, then run the same command again",
            )
        refuse_leader(view, target)
        if view.leader.id == target.id:
            return target
        limits = Limits(view.cluster_id, accept_reduced_tolerance=consent)
        view = _judged(cluster, look, Step(view, MoveLeader(target.id), limits, clock.now()), target)
    where = endpoint_of(access, view.leader) if view.leader else None
    if where is None:
        raise Refused(
            "the leader has no client URL: it cannot be asked",
            state="nothing was changed",
            advice="start its etcd with --advertise-client-urls, then run the same command again",
        )
    log_decision(Do(MoveLeader(target.id)))
    report(Notice(f"moving leadership{f' from {view.leader.name}' if view.leader else ''} to {target.name}"))
    try:
        maintenance.move_leader(access.channel(where), target.id, timeout=timeout)
    except EtcdError as error:
        if error.disposition != "ambiguous" and not isinstance(error, NotLeader):
            raise
        return _looked_after(clock, look, target, error)
    wait_until_seen(lambda seen: _leads(seen, target.id), look, clock, f"{target.name} leads")
    return target


def _judged(cluster: Reached, look: Callable[[], ClusterView], step: Step, target: Member) -> ClusterView:
    """Returns the view on which the transfer is allowed; looks for links while more may become known of them."""
    clock = cluster.clock
    links, deadline = VoterLinks(cluster.access, clock), Deadline(clock, _FOLLOWS_SECONDS, "the voter follows")
    while True:
        try:
            invariants.check(step)
        except UnsafeStep:
            if links.settled(step.view) if step.view.follows(target.id) else deadline.expired:
                raise
        else:
            return step.view
        clock.sleep(_EVERY_SECONDS)
        step = replace(step, view=links.added(look()), now=clock.now())


def _leads(view: ClusterView, member_id: int) -> bool:
    return view.leader is not None and view.leader.id == member_id


def _looked_after(clock: SystemClock, look: Callable[[], ClusterView], target: Member, error: EtcdError) -> Member:
    """Returns the voter if it leads although the answer was lost or was an error; raises what is true otherwise."""
    leader = leader_after(clock, look, lambda seen: _leads(seen, target.id))
    if leader is not None and leader.id == target.id:
        return target
    if leader is None:
        raise OutcomeUnknown(
            f"it is unknown whether {target.name} leads: {error.what}",
            state="no member reports that it leads",
            advice="run the same command again: it looks first",
        ) from error
    raise LeaderStays(
        f"{target.name} did not take over leadership: {error.what}", state=f"{leader.name} leads; the member list is as before"
    ) from error


def leader_after(clock: SystemClock, look: Callable[[], ClusterView], enough: Callable[[ClusterView], bool]) -> Member | None:
    """Returns who leads as soon as a look is as `enough` says, else who led at the last look, when a transfer that got no good
    answer must be over; None when nobody was seen to lead."""
    last: list[Member | None] = [None]

    def seen() -> bool | None:
        try:
            view = look()
        except EtcdError as error:
            if error.disposition == "final":
                raise
            last[0] = None
            return None
        last[0] = view.leader
        return enough(view) or None

    poll(seen, clock, Deadline(clock, _ABANDONED_SECONDS, "the transfer is over"), every=_EVERY_SECONDS)
    return last[0]
