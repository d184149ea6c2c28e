"""Replaces a voter that is proved absent by a standby that is proved ready."""

from __future__ import annotations

from dataclasses import replace

from quorate.core.actions import Promote, Remove
from quorate.core.autopilot.case import Act, Case, Next, Page, Wait, are, lasting, named, names_of, supposed
from quorate.core.invariants import Limits, Step, violations
from quorate.core.membership import Member, removal_margins

LEAST_LOOKS = 20
"""Looks that a proof of absence is made of: one cut in a minute is no silence of a minute."""

DAY_SECONDS = 24 * 3600.0


def replace_dead(case: Case) -> Next | None:
    """Replaces the voter that has been silent longest by a standby that is proved ready; the next one where something speaks
    against it that is not against all of them."""
    silent = sorted(case.silent(), key=lambda voter: case.memory.silent_since.get(voter.id, case.now))
    found = [_may_not_go(case, dead) or _replaced_by(case, dead) for dead in silent]
    return next((one for one in found if isinstance(one, Act)), found[0] if found else None)


def _may_not_go(case: Case, dead: Member) -> Next | None:
    """Returns why a silent voter stays for now."""
    name = named(dead)
    if not dead.started:
        return Page("never-started", f"{name} has a vote and has never started: somebody's join ended halfway")
    if case.is_held(dead):
        left = case.memory.held[dead.id] - case.now
        quiet = case.now - case.memory.silent_since.get(dead.id, case.now)
        return Wait("held", f"{name} has been silent for {lasting(quiet)}, and is held for {lasting(left)} more")
    if against := _not_proved(case, dead):
        return against
    if case.memory.busy:
        return Wait("busy", f"{name} is lost; {case.memory.busy}")
    return over_budget(case)


def _not_proved(case: Case, dead: Member) -> Next | None:
    name = named(dead)
    if case.policy.after is None:
        return Wait("silent", f"{name} is silent, and the policy replaces no voter (replaceDead)")
    absence = case.memory.absences.get(dead.id)
    if absence is None or not absence.holds(dead.id, case.now) or absence.seconds < case.policy.after:
        quiet = case.now - case.memory.silent_since.get(dead.id, case.now)
        if blind := blind_voters(case):
            why = f"that it is lost cannot be proved: the metrics of {names_of(blind)} cannot be read"
            return Page("no-witness", f"{name} has been silent for {quiet:.0f} s, and {why}")
        if quiet > case.policy.after:
            # Known from others: it was silent before this instance began, or only the one that acts has the proof.
            counted = case.memory.counted.get(dead.id, 0.0)
            so_far = (
                f"{counted:.0f} s of {case.policy.after:.0f} s are proved so far"
                if counted
                else "that it is lost is not proved"
            )
            return Wait("silent", f"{name} has been silent for {quiet:.0f} s; {so_far} by looks from here")
        return Wait("silent", f"{name} has been silent for {quiet:.0f} s of {case.policy.after:.0f} s")
    if absence.looks < LEAST_LOOKS:
        return Wait("silent", f"{name} was looked at {absence.looks} times; {LEAST_LOOKS} are needed")
    return None


def blind_voters(case: Case) -> list[Member]:
    """Returns the voters that answer, and whose counters of the others cannot be read: they are no witnesses of a loss."""
    return [voter for voter in case.view.voters if voter.id in case.memory.unwitnessed and case.view.answer(voter.id)]


def over_budget(case: Case) -> Next | None:
    """A replacement that repeats mends nothing: something kills members, and somebody has to look."""
    today = [at for at in case.memory.replaced if case.is_past(at) and case.now - at < DAY_SECONDS]
    recent = [at for at in today if case.now - at < case.policy.per]
    if recent:
        # An entry of a host whose clock is ahead is of no later than now.
        ago = max(0.0, case.now - max(recent))
        return Page("budget", f"a replacement was begun {ago:.0f} s ago; allowed is one in {case.policy.per:.0f} s")
    if len(today) >= case.policy.day:
        return Page("budget", f"{len(today)} replacements were begun in the last day; allowed are {case.policy.day}")
    return None


def _replaced_by(case: Case, dead: Member) -> Next:
    name = named(dead)
    if against := _against_removal(case, dead):
        return against
    remove = Remove(dead.id, absence=case.memory.absences[dead.id])
    if case.swap() is not None:
        # Whichever of them it is, the standby that takes its place has its vote already.
        return Act("replace", f"{name} is lost, and one voter was to go", remove)
    gone = {one.id for one in case.lost_standbys()}
    standbys = [one for one in case.standbys() if one.id not in gone]
    ready = sorted(filter(case.is_prepared, standbys), key=lambda one: _preference(case, dead, one))
    if standbys and not ready:
        lacks = f"no instance of the autopilot on the node of {names_of(standbys)} starts its API server"
        return Page("not-prepared", f"{name} is lost, and {lacks}")
    if not ready:
        # Removing it gains nothing at an odd size, and its return would restore the margin.
        mute = f" ({are(case.lost_standbys())} lost, too)" if gone else ""
        return Page("no-standby", f"{name} is lost, and no standby takes its place{mute}: it stays in the list")
    return _by_one_of(case, dead, ready, remove)


def _by_one_of(case: Case, dead: Member, ready: list[Member], remove: Remove) -> Next:
    """Returns the replacement by the first standby that would get its vote, and is proved."""
    name = named(dead)
    against = {one.id: _against_vote(case, dead, one) for one in ready}
    fit = [one for one in ready if against[one.id] is None]
    if not fit:
        return next(why for why in against.values() if why is not None)
    for one in fit:
        if (proof := case.proof(one)) is not None:
            return Act("replace", f"{name} is lost and {named(one)} is ready", remove, Promote(one.id, named(one), proof))
    return Wait("standby-not-proved", f"{name} is lost; {are(fit)} not proved to have all data now")


def _against_vote(case: Case, dead: Member, standby: Member) -> Next | None:
    """Returns why the promotion that follows the removal would be refused, whatever data the standby has; None where it would
    not. The removal came first once, the standby had no link to a voter, and the dead one could not come back either."""
    if standby.id in case.memory.unlinked_yet:
        return Wait("standby-links", f"{named(dead)} is lost; whether {named(standby)} is linked to all voters is looked for")
    stay = tuple(one for one in case.view.members if one.id != dead.id)
    replies = {member: reply for member, reply in case.view.replies.items() if member != dead.id}
    vote = Promote(standby.id, named(standby), supposed(case.view, standby, case.now))
    later = Step(replace(case.view, members=stay, replies=replies), vote, Limits(case.view.cluster_id), case.now)
    broken = [why for _, why in violations(later)]
    return Page("standby-not-fit", f"{named(dead)} is lost, and {named(standby)} gets no vote: {broken[0]}") if broken else None


def _against_removal(case: Case, dead: Member) -> Page | None:
    before, after = removal_margins(case.view, dead.id, dead=True)
    if after >= max(before, 0):
        return None
    return Page("no-quorum", f"{named(dead)} is lost; removing it would lower how many may fail from {before} to {after}")


def _preference(case: Case, dead: Member, standby: Member) -> tuple[tuple[bool, int], bool, bool, float, int]:
    """One that did not fail first; then a proved one; the zone of the dead voter, the longest aligned, the lower id."""
    same_zone = case.policy.zone_of(standby.name) == case.policy.zone_of(dead.name)
    return (case.failures(standby), case.proof(standby) is None, not same_zone, case.aligned_since(standby), standby.id)
