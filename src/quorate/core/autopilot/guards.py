"""What forbids every action of the autopilot."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.autopilot.case import Case, Next, Page, Wait, lasting, names_of
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, margin_of
from quorate.core.quorum import quorum

_TURNS = 4
"""Policies in turn. Three are also an operator who takes back a change."""

STALE_SECONDS = 3.0
"""Most seconds since the beginning of the look on which is decided."""


def paused(case: Case) -> Next | None:
    until = case.memory.paused_until
    if until is None or until <= case.now:
        return None
    return Wait("paused", f"an operator paused it, for {lasting(until - case.now)} more")


def policy_fight(case: Case) -> Next | None:
    """Two writers that each restore their own policy would make it grow and shrink in turn: whose it is, nobody here knows."""
    recent = [one for one in case.memory.written if case.is_past(one.at) and case.now - one.at < case.policy.per]
    if len(recent) < _TURNS:
        return None
    first, second, third, last = recent[-_TURNS:]
    if (first.digest, second.digest) != (third.digest, last.digest) or first.digest == second.digest:
        return None
    until = case.policy.per - (case.now - first.at)
    ends = f"it ends in {lasting(until)}, or with a third policy"
    return Page("policy-fight", f"two policies are written in turn: by {third.by}, and by {last.by}; {ends}")


def no_quorum(case: Case) -> Next | None:
    return without_quorum(case.view)


def without_quorum(view: ClusterView) -> Page | Wait | None:
    """Judged before the age of a look: without a quorum a look takes long, and that is no fault of this machine."""
    if margin_of(view) >= 0:
        return None
    leader = view.leader
    if view.linearizable and leader is not None and view.answer(leader.id) is None:
        name = leader.name or format_id(leader.id)
        return Page("unreachable", f"the leader {name} does not answer here, and others follow it: open its client port")
    mute = names_of([voter for voter in view.voters if view.answer(voter.id) is None])
    if view.linearizable and leader is not None and view.answering_voters < quorum(len(view.voters)):
        # Where enough of them answer, and follow nobody yet, it is the end of an election.
        name = leader.name or format_id(leader.id)
        return Page("unreachable", f"{mute} do not answer here, and a quorum follows {name}: open their client ports")
    if view.linearizable:
        # A quorum answered a read of this look: the members were asked while it elected its leader, and each named none.
        return Wait("no-quorum", "the members are electing a leader")
    seen = f"{view.reachable_voters} of {len(view.voters)} voters follow a leader"
    return Page("no-quorum", f"there is no quorum ({seen}): only starting voters helps{f' ({mute})' if mute else ''}")


def no_list(case: Case) -> Next | None:
    return None if case.view.linearizable else without_list()


def without_list() -> Wait:
    """One member's own list may be as old as that member has been cut off."""
    return Wait("no-list", "no member list can be read through the quorum")


def stale_look(case: Case) -> Next | None:
    """A look that took long says nothing about now."""
    age = case.now - case.view.taken_at
    if age <= STALE_SECONDS:
        return None
    return Wait("stale-look", f"the look began {age:.0f} s ago: this machine was suspended, or busy")


def alarm(case: Case) -> Next | None:
    """With a full database nothing can be recorded, and where members differ no copy is known to be right."""
    if not case.view.alarms_known:
        return Wait("alarm", "it cannot be read whether etcd has raised an alarm")
    if not case.view.alarms:
        return None
    kinds = ", ".join(sorted({one.kind for one in case.view.alarms}))
    return Page("alarm", f"etcd has raised {kinds}: members are not changed before it is cleared")


def brake(case: Case) -> Next | None:
    """Disks do not die together. Voters that do were cut off, or lost their power, and come back: replacing them one after the
    other walked clusters from five to one (consul#5922)."""
    since = sorted(case.memory.silent_since.get(voter.id, case.now) for voter in case.silent())
    together = next((group for group in _windows(since, case.policy.brake) if group[-1] - group[0] <= case.policy.window), None)
    if together is None:
        return None
    names = names_of(case.silent())
    why = "that looks like a fault of network or power, and nothing is replaced before one of them answers"
    return Page("brake", f"{names} fell silent together: {why}; start them, or replace by hand those that are lost for good")


def _windows(times: Sequence[float], size: int) -> list[Sequence[float]]:
    return [times[start : start + size] for start in range(len(times) - size + 1)]
