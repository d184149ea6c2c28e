"""Spreads the voters over the zones: where one zone takes the quorum with it, and a standby in another one does better, the
standby gets a vote and a voter of the crowded zone goes.

The voter lives, so the promotion comes first: at no moment are there fewer voters than before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from quorate.core.actions import MoveLeader, Promote, Remove
from quorate.core.autopilot.case import Act, Case, Next, Page, Swap, Wait, are, named
from quorate.core.autopilot.policy import Policy
from quorate.core.autopilot.replacement import over_budget
from quorate.core.membership import Member, margin_of, removal_margins

Crowding = tuple[int, int]
"""How many zones take the quorum with them, and the voters of the fullest zone: less is better."""


def crowding(zones: Iterable[str]) -> Crowding:
    """Returns how badly voters in these zones are spread."""
    counts = Counter(zones)
    whole = sum(counts.values())
    return sum(1 for count in counts.values() if whole - count < whole // 2 + 1), max(counts.values(), default=0)


def spread(case: Case) -> Next | None:
    """Begins, or goes on with, the change of one voter's place for one in a better zone."""
    swap = case.swap()
    if swap is not None:
        return _go_on(case, swap)
    voters = case.view.voters
    # The voter that goes from a stacked control plane serves an API server, which lives.
    if case.memory.is_stacked or len(voters) != case.policy.voters or not _all_zones_known(case.policy, voters):
        return None
    better = sorted(_better(case), key=lambda pair: (_after(case, *pair), case.aligned_since(pair[1]), pair[0].id))
    if not better:
        return None
    leaves, standby = better[0]
    why = f"{named(standby)} in zone {case.policy.zone_of(standby.name)} does better than {named(leaves)}"
    if against := _against(case, why):
        return against
    proof = case.proof(standby)
    if proof is None:
        return Wait("standby-not-proved", f"{why}; it is not proved to have all data now")
    return Act("spread", why, Promote(standby.id, named(standby), proof), leaves=leaves.id)


def _all_zones_known(policy: Policy, members: Iterable[Member]) -> bool:
    return all(policy.zone_of(one.name) for one in members)


def _better(case: Case) -> Iterator[tuple[Member, Member]]:
    """Yields the pairs of a voter and a standby whose exchange spreads the voters better."""
    now = crowding(case.policy.zone_of(one.name) for one in case.view.voters)
    for voter in case.view.voters:
        for standby in case.standbys():
            if case.is_held(voter) or case.is_held(standby) or not case.policy.zone_of(standby.name):
                continue
            if _after(case, voter, standby) < now:
                yield voter, standby


def _after(case: Case, leaves: Member, comes: Member) -> Crowding:
    stay = [one for one in case.view.voters if one.id != leaves.id]
    return crowding(case.policy.zone_of(one.name) for one in (*stay, comes))


def _against(case: Case, why: str) -> Next | None:
    silent = case.silent()
    if silent:
        return Wait("silent", f"{why}; nothing is moved while {are(silent)} silent")
    if case.memory.busy:
        return Wait("busy", f"{why}; {case.memory.busy}")
    return over_budget(case)


def _go_on(case: Case, swap: Swap) -> Next | None:
    leaves, comes = case.view.by_id(swap.leaves), case.view.by_id(swap.promoted)
    assert leaves is not None, "a change that is not over has both"
    assert comes is not None, "a change that is not over has both"
    why = f"{named(comes)} has taken the place of {named(leaves)}"
    return _against_removal(case, leaves, why) or _not_best(case, leaves, why) or _removed(case, leaves, comes, why)


def _not_best(case: Case, leaves: Member, why: str) -> Next | None:
    """The zones may be others by now: whose going would leave a worse spread than another's stays."""
    voters = case.view.voters
    if not _all_zones_known(case.policy, voters):
        return Page("spread", f"{why}; the zones are not known any more, and no voter is removed")

    def left(gone: Member) -> Crowding:
        return crowding(case.policy.zone_of(one.name) for one in voters if one.id != gone.id)

    if left(leaves) > min(map(left, voters)):
        return Page("spread", f"{why}; by the zones of now another one should go: no voter is removed")
    return None


def _against_removal(case: Case, leaves: Member, why: str) -> Next | None:
    silent = case.silent()
    if silent:
        return Wait("silent", f"{why}, which stays while {are(silent)} silent")
    if case.is_held(leaves):
        return Wait("held", f"{why}, which an operator holds")
    if case.memory.busy:
        return Wait("busy", f"{why}; {case.memory.busy}")
    return None


def _removed(case: Case, leaves: Member, comes: Member, why: str) -> Next:
    leader = case.view.leader
    if leader is not None and leader.id == leaves.id:
        heir = next((one for one in (comes, *case.view.voters) if one.id != leaves.id and case.view.may_lead(one.id)), None)
        if heir is None:
            return Wait("spread", f"{why}, which leads: no other voter has all entries now")
        return Act("spread", f"{why}: leadership goes to {named(heir)}", MoveLeader(heir.id, leaving=leaves.id))
    _, after = removal_margins(case.view, leaves.id, dead=False)
    if after < min(margin_of(case.view), (case.policy.voters - 1) // 2):
        return Page("spread", f"{why}; removing it now would leave {after} that may fail")
    return Act("spread", f"{why}, which goes", Remove(leaves.id, named=True), successor=comes.id)
