"""Taking back a join that failed before promotion: member list first, data last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.core.actions import Remove
from quorate.core.ids import format_id
from quorate.core.invariants import Limits
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Deadline
from quorate.errors import QuorateError
from quorate.etcd.change import Changer
from quorate.etcd.endpoint import Endpoint
from quorate.etcd.errors import EtcdError
from quorate.etcd.observe import Patience, observe
from quorate.etcd.runtime import JoinSpec, Runtime
from quorate.report import Event, Report

_SECONDS = 20.0
_POLL_SECONDS = 0.1
_PATIENCE = Patience(members=3.0, status=0.5)


@dataclass(frozen=True, slots=True)
class Undo:
    """One joiner to take back. `ours` and `promotion_unknown` as the join knows them."""

    changer: Changer
    runtime: Runtime
    seeds: Sequence[Endpoint]
    limits: Limits
    spec: JoinSpec
    report: Report
    ours: bool
    promotion_unknown: bool


def undo_learner(job: Undo) -> str:
    """Take the learner back if it is ours and has no vote; returns what is the case now, in words.

    Never removes a voter, nor a learner whose promotion may have been accepted: from there the way is forward only.
    """
    name = job.spec.name
    try:
        view = _look(job)
        member = view.by_peer_urls((job.spec.peer_url,))
        if member is not None and not member.is_learner:
            return f"{name} is a voter and stays one; run the same command again to finish"
        if member is not None and job.promotion_unknown:
            return f"whether {name} was promoted is not known; nothing was undone, run the same command again"
        if not job.ours:
            return f"nothing was registered for {name}"
        _take_back(job, member)
    except QuorateError as error:
        return f"{name} could not be undone ({error.what}); run the same command again"
    return f"{name} was taken back: the member list is as before, its data is deleted"


def _look(job: Undo, *unasked: int) -> ClusterView:
    return observe(job.changer.access, job.seeds, job.changer.clock, patience=_PATIENCE, unasked=unasked)


def _take_back(job: Undo, member: Member | None) -> None:
    """Stop it first: a learner has no vote, so nothing depends on it, and a process that learns of its own removal while
    it is asked for its status panics (etcd issue 21966)."""
    job.report(Event("undo", job.spec.name, "taking it back"))
    job.runtime.stop(job.spec.name)
    if member is not None:
        _remove_until_absent(job, member)
    job.runtime.wipe(job.spec.name)


def _remove_until_absent(job: Undo, member: Member) -> None:
    """Ask for the removal, and look, until a member list read through the quorum lacks it."""
    deadline = Deadline(job.changer.clock, _SECONDS, f"removing the learner {job.spec.name} ({format_id(member.id)})")
    while True:
        view = _steady_look(job, deadline, member.id)
        found = view.by_id(member.id)
        if found is None:
            return
        job.changer.carry_out(Remove(member.id, owned=True), view, job.limits)
        if deadline.expired:
            raise deadline.error(because="it is still listed")


def _steady_look(job: Undo, deadline: Deadline, member_id: int) -> ClusterView:
    """A view with a leader, waiting out an election."""
    while True:
        why = "no member says that it leads"
        try:
            view = _look(job, member_id)
            if view.leader is not None:
                return view
        except EtcdError as error:
            why = error.what
        if deadline.expired:
            raise deadline.error(because=why)
        job.changer.clock.sleep(_POLL_SECONDS)
