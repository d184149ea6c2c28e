"""Keeps the numbers of the policy: voters, standbys, and a learner seat for who waits for it."""

from __future__ import annotations

from quorate.core.actions import Promote, Remove
from quorate.core.autopilot.case import Act, AddStandby, Case, Next, Page, Wait, are, named, names_of
from quorate.core.autopilot.replacement import blind_voters
from quorate.core.membership import Member


def grow(case: Case) -> Next | None:
    """Gives a vote to an aligned learner while there are fewer voters than wanted, or where a replacement owes it one: where
    the policy wants fewer than there are, one that was cut off behind its removal was never finished."""
    if len(case.view.voters) >= case.policy.voters and not case.owes_a_vote():
        return None
    mine = [one for one in case.view.learners if one.id not in case.memory.joining and _may_be_promoted(case, one)]
    if case.memory.busy and mine:
        return Wait("busy", f"there are fewer voters than wanted; {case.memory.busy}")
    for learner in sorted(mine, key=lambda one: (case.failures(one), case.aligned_since(one))):
        proof = case.proof(learner)
        aligned = case.now - case.aligned_since(learner)
        # A standby has been aligned for longer than any wait.
        if proof is not None and (learner.id in case.memory.standbys or aligned >= case.policy.aligned_for):
            promote = Promote(learner.id, named(learner), proof)
            return Act("grow", f"{named(learner)} is aligned, and a voter is missing", promote)
    gone = [one for one in mine if case.now - case.mute_since(one) >= case.policy.window]
    if mine and len(gone) == len(mine):
        return Page("standby-lost", f"a voter is missing, and {are(gone)} not answering: {_has_answered_nothing(case, gone)}")
    if mine:
        return Wait("grow-not-aligned", f"{are(mine)} not aligned for {case.policy.aligned_for:g} s yet")
    return _nobody_to_promote(case)


def _may_be_promoted(case: Case, learner: Member) -> bool:
    return case.policy.promote == "any" or learner.id in case.memory.owned | case.memory.standbys


def _nobody_to_promote(case: Case) -> Next:
    missing = f"{len(case.view.voters)} of {case.policy.voters} voters are there"
    foreign = [one for one in case.view.learners if one.id not in case.memory.joining and not _may_be_promoted(case, one)]
    if foreign:
        why = f"{missing}; {are(foreign)} of another tool (promote: any would promote it)"
        return Wait("foreign-learner", why)
    if case.memory.joining or case.memory.waiting:
        return Wait("busy", f"{missing}; a join is at work")
    return Page("too-few-voters", f"{missing}, and there is no learner to promote")


def yield_seat(case: Case) -> Next | None:
    """A standby goes for a join of this tool that waits for its learner seat: it is made again afterwards, and until then it
    is missing only for the next loss. Where voters are missing it gets a vote instead (`grow`), which frees the seat too."""
    waiting, standbys = case.memory.waiting, case.standbys()
    if len(case.view.voters) < case.policy.voters:
        # One that is lost gets no vote, and would keep the seat of the voter that is missing.
        standbys = case.lost_standbys()
    if not waiting or not standbys or case.memory.joining:
        return None
    who = f"{', '.join(waiting)} waits for the learner seat of {names_of(standbys)}"
    silent = case.silent()
    if silent:
        return Wait("seat-kept", f"{who}, which is kept while {are(silent)} silent")
    if case.memory.busy:
        return Wait("busy", f"{who}; {case.memory.busy}")
    free = [one for one in standbys if not case.is_held(one)]
    if not free:
        return Wait("held", f"{who}, and an operator holds it")
    # The one that would be the last to take a voter's place.
    last = max(free, key=lambda one: (case.aligned_since(one), one.id))
    return Act("yield-seat", f"{who}: {named(last)} gives it up", Remove(last.id, named=True))


def refill(case: Case) -> Next | None:
    """Has a standby made where one is missing, or calls somebody. One that is lost keeps its seat: a new one finds none."""
    gone = case.lost_standbys()
    if gone and len(case.standbys()) - len(gone) < case.policy.standbys:
        return Page("standby-lost", f"{are(gone)} not answering: {_has_answered_nothing(case, gone)}")
    have = len(case.standbys())
    if have >= case.policy.standbys:
        return None
    count = f"{have} of {case.policy.standbys} standbys are there"
    if case.memory.joining or case.memory.waiting:
        return Wait("busy", f"{count}; a join is at work")
    return _made(case, count)


def _has_answered_nothing(case: Case, gone: list[Member]) -> str:
    seconds = min(case.now - case.mute_since(one) for one in gone)
    return f"nothing for {seconds:.0f} s; start its etcd, or remove it and make another"


def _made(case: Case, count: str) -> Next:
    match case.memory.provider:
        case "none":
            return Page("too-few-standbys", f"{count}: the next loss is not replaced")
        case "failed":
            return Page(
                "provide-failed",
                f"{count}, and the program that makes one failed: {case.memory.provider_why or 'its log says why'}",
            )
        case "at work":
            return Wait("provide", f"{count}; the program that makes one is at work")
        case "ready":
            if case.memory.busy:
                return Wait("busy", f"{count}; {case.memory.busy}")
            return AddStandby("provide", f"{count}: a new one is made")


def no_witness(case: Case) -> Next | None:
    """Says before a loss that it could not be proved: silence towards us alone is none."""
    blind = blind_voters(case)
    if case.policy.after is None or not blind:
        return None
    return Page("no-witness", f"no voter could be proved lost: the metrics of {names_of(blind)} cannot be read")
