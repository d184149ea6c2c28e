"""Decides what an autopilot would do next: promote a learner that is aligned, replace a voter that is proved absent, call
somebody, or wait, and by which rule (decision 26).

The law: no action lowers how many voters may fail, and no removal begins unless the promotion that follows it is proved. A
dead voter is removed first and the standby promoted at once: in between, as many may fail as before, and one process fewer is
critical (of three voters with one dead, two instead of three). A live voter is never removed here. Every action is checked by
the invariants again when it is carried out, on a look of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from quorate.core.absence import Absence
from quorate.core.actions import Promote, Remove
from quorate.core.autopilot_policy import Policy
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member, margin_of, removal_margins

STALE_SECONDS = 3.0
"""Most seconds since the beginning of the look on which is decided."""

DAY_SECONDS = 24 * 3600.0

Rule: TypeAlias = Literal[
    "paused",
    "bad-record",
    "stale-look",
    "no-list",
    "no-quorum",
    "alarm",
    "busy",
    "brake",
    "held",
    "never-started",
    "silent",
    "budget",
    "no-standby",
    "standby-not-proved",
    "replace",
    "grow",
    "grow-not-aligned",
    "foreign-learner",
    "too-few-voters",
    "too-few-standbys",
    "nothing",
]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done now; `why` is for people."""

    rule: Rule
    why: str


@dataclass(frozen=True, slots=True)
class Page:
    """Somebody has to look: nothing that the autopilot may do helps."""

    rule: Rule
    why: str


@dataclass(frozen=True, slots=True)
class Act:
    """The next action. `then`: what follows at once, whose proof is given already."""

    rule: Rule
    why: str
    action: Promote | Remove
    then: Promote | None = None


Next: TypeAlias = Wait | Page | Act


@dataclass(frozen=True, slots=True)
class Memory:
    """What the looks of one autopilot add up to; times are on the clock of `now`.

    `absences`: voters whose absence over `Policy.after` is proved. `silent_since`: since when each silent voter has given no
    sign of life. `aligned_since`: since when each learner has been aligned at every look. `proofs`: fresh proofs of learners.
    `owned`: learners that a join of this tool added; `standbys`: those that are marked as such; `joining`: those on which
    somebody's join is at work. `busy`: who changes the member list now, or upgrades it; empty when nobody does. `held`: members
    that an operator exempts until a time. `replaced`: when members were replaced.
    """

    absences: Mapping[int, Absence] = field(default_factory=dict[int, Absence])
    silent_since: Mapping[int, float] = field(default_factory=dict[int, float])
    aligned_since: Mapping[int, float] = field(default_factory=dict[int, float])
    proofs: Mapping[int, Proof] = field(default_factory=dict[int, Proof])
    owned: frozenset[int] = frozenset()
    standbys: frozenset[int] = frozenset()
    joining: frozenset[int] = frozenset()
    busy: str = ""
    held: Mapping[int, float] = field(default_factory=dict[int, float])
    paused_until: float | None = None
    replaced: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    view: ClusterView
    policy: Policy
    memory: Memory
    now: float

    def silent(self) -> list[Member]:
        return [voter for voter in self.view.voters if self.view.answer(voter.id) is None]

    def standbys(self) -> list[Member]:
        """Returns the learners that may take a voter's place: marked, and at nobody's work."""
        marked = [one for one in self.view.learners if one.id in self.memory.standbys]
        return [one for one in marked if one.id not in self.memory.joining]

    def proof(self, member: Member) -> Proof | None:
        proof = self.memory.proofs.get(member.id)
        holds = proof is not None and proof.holds(member_id=member.id, cluster_id=self.view.cluster_id, now=self.now)
        return proof if holds else None

    def is_held(self, member: Member) -> bool:
        return self.memory.held.get(member.id, self.now) > self.now


def decide_autopilot(view: ClusterView, policy: Policy, memory: Memory, now: float) -> Next:
    """Returns the next action, or why there is none. `now`: on the clock of the view."""
    case = _Case(view, policy, memory, now)
    against = next((one for rule in GUARDS if (one := rule(case)) is not None), None)
    if against is not None:
        return against
    found = [one for rule in RULES if (one := rule(case)) is not None]
    # A voter that is silent, and not yet lost, is no reason not to make another one.
    acts = [one for one in found if isinstance(one, Act)]
    nothing = Wait("nothing", f"{len(view.voters)} voters and {len(case.standbys())} standbys, as wanted")
    return [*acts, *found, nothing][0]


def explained(view: ClusterView, policy: Policy, memory: Memory, now: float) -> list[tuple[str, Next | None]]:
    """Returns what each guard and each rule says by itself, in their order; None where it does not apply."""
    case = _Case(view, policy, memory, now)
    return [(rule.__name__.replace("_", "-"), rule(case)) for rule in (*GUARDS, *RULES)]


def learners_to_prove(view: ClusterView, policy: Policy, memory: Memory, now: float) -> Iterator[Member]:
    """Yields the learners whose proof is all that the next action lacks, the preferred one first. A proof costs every member
    two writes: none is made for a learner that would not be promoted."""
    left = {learner.id: _supposed(view, learner, now) for learner in view.learners}
    while left:
        found = decide_autopilot(view, policy, replace(memory, proofs=left), now)
        promote = promotion_of(found)
        learner = view.by_id(promote.member_id) if promote is not None else None
        if learner is None:
            return
        yield learner
        del left[learner.id]


def _supposed(view: ClusterView, learner: Member, now: float) -> Proof:
    return Proof(learner.id, view.cluster_id, 0, 0, 0, now, ROUNDS)


def promotion_of(found: Next) -> Promote | None:
    """Returns the promotion that an action is, or ends with."""
    if not isinstance(found, Act):
        return None
    return found.action if isinstance(found.action, Promote) else found.then


def paused(case: _Case) -> Next | None:
    until = case.memory.paused_until
    if until is None or until <= case.now:
        return None
    return Wait("paused", f"an operator paused it, for {until - case.now:.0f} s more")


def sure_of_what_is_seen(case: _Case) -> Next | None:
    """One member's own list may be as old as that member has been cut off; and a look that took long says nothing about now."""
    age = case.now - case.view.taken_at
    if age > STALE_SECONDS:
        return Wait("stale-look", f"the look began {age:.0f} s ago: this machine was suspended, or busy")
    left = margin_of(case.view)
    if left < 0:
        seen = f"{case.view.reachable_voters} of {len(case.view.voters)} voters follow a leader"
        return Page("no-quorum", f"there is no quorum ({seen}): only starting voters helps")
    if not case.view.linearizable:
        return Wait("no-list", "no member list can be read through the quorum")
    return None


def no_alarm(case: _Case) -> Next | None:
    """With a full database nothing can be recorded, and where members differ no copy is known to be right."""
    if not case.view.alarms:
        return None
    kinds = ", ".join(sorted({alarm.kind for alarm in case.view.alarms}))
    return Page("alarm", f"etcd has raised {kinds}: members are not changed before it is cleared")


def brake(case: _Case) -> Next | None:
    """Disks do not die together. Voters that do were cut off, or lost their power, and come back: replacing them one after the
    other walked clusters from five to one (consul#5922)."""
    since = sorted(case.memory.silent_since.get(voter.id, case.now) for voter in case.silent())
    together = next((group for group in _windows(since, case.policy.brake) if group[-1] - group[0] <= case.policy.window), None)
    if together is None:
        return None
    names = ", ".join(_name(voter) for voter in case.silent())
    return Page("brake", f"{names} fell silent together: that is a fault of network or power, and nothing is replaced")


def _windows(times: Sequence[float], size: int) -> list[Sequence[float]]:
    return [times[start : start + size] for start in range(len(times) - size + 1)]


def replace_dead(case: _Case) -> Next | None:
    """Replaces the voter that has been silent longest by a standby that is proved ready."""
    silent = sorted(case.silent(), key=lambda voter: case.memory.silent_since.get(voter.id, case.now))
    if not silent:
        return None
    dead = silent[0]
    return _may_not_go(case, dead) or _replaced_by(case, dead)


def _may_not_go(case: _Case, dead: Member) -> Next | None:
    """Returns why a silent voter stays for now."""
    name = _name(dead)
    if not dead.started:
        return Page("never-started", f"{name} has a vote and has never started: somebody's join ended halfway")
    if case.is_held(dead):
        left = case.memory.held[dead.id] - case.now
        return Wait("held", f"{name} is silent, and held for {left:.0f} s more")
    if case.policy.after is None:
        return Wait("silent", f"{name} is silent, and the policy replaces no voter (replaceDead)")
    absence = case.memory.absences.get(dead.id)
    if absence is None or not absence.holds(dead.id, case.now) or absence.seconds < case.policy.after:
        quiet = case.now - case.memory.silent_since.get(dead.id, case.now)
        return Wait("silent", f"{name} has been silent for {quiet:.0f} s of {case.policy.after:.0f} s")
    if case.memory.busy:
        return Wait("busy", f"{name} is lost; {case.memory.busy}")
    return _over_budget(case)


def _over_budget(case: _Case) -> Next | None:
    """A replacement that repeats mends nothing: something kills members, and somebody has to look."""
    today = [at for at in case.memory.replaced if case.now - at < DAY_SECONDS]
    recent = [at for at in today if case.now - at < case.policy.per]
    if recent:
        ago = case.now - max(recent)
        return Page("budget", f"a voter was replaced {ago:.0f} s ago; allowed is one in {case.policy.per:.0f} s")
    if len(today) >= case.policy.day:
        return Page("budget", f"{len(today)} voters were replaced in the last day; allowed are {case.policy.day}")
    return None


def _replaced_by(case: _Case, dead: Member) -> Next:
    name = _name(dead)
    ready = sorted(case.standbys(), key=lambda one: _preference(case, dead, one))
    if not ready:
        # Removing it gains nothing at an odd size, and its return would restore the margin.
        return Page("no-standby", f"{name} is lost, and no standby takes its place: it stays in the list")
    proved = next((one for one in ready if case.proof(one) is not None), None)
    if proved is None:
        names = ", ".join(_name(one) for one in ready)
        return Wait("standby-not-proved", f"{name} is lost; {names} is not proved to have all data now")
    before, after = removal_margins(case.view, dead.id, dead=True)
    if after < max(before, 0):
        return Page("no-quorum", f"{name} is lost; removing it would lower how many may fail from {before} to {after}")
    proof = case.proof(proved)
    assert proof is not None
    return Act(
        "replace",
        f"{name} is lost and {_name(proved)} is ready",
        Remove(dead.id, absence=case.memory.absences[dead.id]),
        Promote(proved.id, _name(proved), proof),
    )


def _preference(case: _Case, dead: Member, standby: Member) -> tuple[bool, bool, float, int]:
    """Proved first; then the zone of the dead voter, the one that has been aligned longest, the lower id."""
    same_zone = case.policy.zone_of(standby.name) == case.policy.zone_of(dead.name)
    return (case.proof(standby) is None, not same_zone, case.memory.aligned_since.get(standby.id, case.now), standby.id)


def grow(case: _Case) -> Next | None:
    """Gives a vote to an aligned learner while there are fewer voters than wanted."""
    if len(case.view.voters) >= case.policy.voters:
        return None
    mine = [one for one in case.view.learners if one.id not in case.memory.joining and _may_be_promoted(case, one)]
    if case.memory.busy and mine:
        return Wait("busy", f"there are fewer voters than wanted; {case.memory.busy}")
    for learner in sorted(mine, key=lambda one: case.memory.aligned_since.get(one.id, case.now)):
        proof = case.proof(learner)
        aligned = case.now - case.memory.aligned_since.get(learner.id, case.now)
        # A standby has been aligned for longer than any wait.
        if proof is not None and (learner.id in case.memory.standbys or aligned >= case.policy.aligned_for):
            return Act(
                "grow", f"{_name(learner)} is aligned, and a voter is missing", Promote(learner.id, _name(learner), proof)
            )
    if mine:
        return Wait("grow-not-aligned", f"{', '.join(map(_name, mine))} is not aligned for {case.policy.aligned_for:g} s yet")
    return _nobody_to_promote(case)


def _may_be_promoted(case: _Case, learner: Member) -> bool:
    return case.policy.promote == "any" or learner.id in case.memory.owned | case.memory.standbys


def _nobody_to_promote(case: _Case) -> Next:
    missing = f"{len(case.view.voters)} of {case.policy.voters} voters are there"
    foreign = [one for one in case.view.learners if one.id not in case.memory.joining and not _may_be_promoted(case, one)]
    if foreign:
        names = ", ".join(map(_name, foreign))
        return Wait("foreign-learner", f"{missing}; {names} was added by another tool (promote: any would promote it)")
    if case.memory.joining:
        return Wait("busy", f"{missing}; a join is at work")
    return Page("too-few-voters", f"{missing}, and there is no learner to promote: add one with 'quorate etcd add'")


def refill(case: _Case) -> Next | None:
    have = len(case.standbys())
    if have >= case.policy.standbys:
        return None
    return Page("too-few-standbys", f"{have} of {case.policy.standbys} standbys are there: the next loss is not replaced")


Decide: TypeAlias = Callable[[_Case], Next | None]

GUARDS: tuple[Decide, ...] = (paused, sure_of_what_is_seen, no_alarm, brake)
"""What forbids every action; the first that applies is the reason."""

RULES: tuple[Decide, ...] = (replace_dead, grow, refill)
"""What may be done. The first action counts; where there is none, the first reason."""


def _name(member: Member) -> str:
    return member.name or format_id(member.id)
