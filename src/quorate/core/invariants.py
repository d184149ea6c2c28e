"""The rules no step may break, each with a name. Checked on the action itself, independently of how it was decided.

`docs/safety.md` lists for each the reason, where it is enforced and which test breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quorate.core.actions import Action, AddLearner, AddVoter, Promote, Remove
from quorate.core.membership import ClusterView, Member, margin, margin_of, quorum
from quorate.errors import Refused

VIEW_SECONDS = 3.0
"""No action is taken on a view older than this (invariant 9)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for this run. `learner_seats` is how many learners may exist side by side: 1 unless this tool started
    every member with one `--max-learners`. `cluster_id` is the cluster the run began on. `voter_join`: the legacy join, that
    a Kubernetes version allowed and a user asked for with `EtcdLearnerMode: false`."""

    cluster_id: int
    learner_seats: int = 1
    accept_reduced_tolerance: bool = False
    voter_join: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """Everything a rule may look at."""

    view: ClusterView
    action: Action
    limits: Limits
    now: float


class UnsafeStep(Refused):
    """An invariant forbids the step; nothing was changed."""

    code = "unsafe-step"

    def __init__(self, invariant: str, why: str, advice: str = "") -> None:
        super().__init__(why, state="nothing was changed", advice=advice)
        self.invariant = invariant


def one_change_in_flight(step: Step) -> str | None:
    """More learners than seats would make members disagree: the limit is checked per member when an entry is applied,
    each with its own flag (etcd 3.6+), and is 1 before."""
    if isinstance(step.action, AddLearner) and len(step.view.learners) >= step.limits.learner_seats:
        names = ", ".join(learner.name or "an unstarted one" for learner in step.view.learners)
        return f"{len(step.view.learners)} of {step.limits.learner_seats} learner seats are taken ({names})"
    return None


def learner_first(step: Step) -> str | None:
    """A new member has no vote before it has the data. The legacy join breaks this on purpose, but never where the new
    voter, once it runs, would not give the quorum back."""
    if not isinstance(step.action, AddVoter):
        return None
    if not step.limits.voter_join:
        return "a new member is a learner first"
    voters, reachable = len(step.view.voters) + 1, step.view.reachable_voters + 1
    if reachable < quorum(voters):
        return f"of {voters} voters {reachable} would be reachable even with the new one: fewer than their quorum"
    if any(not voter.started for voter in step.view.voters):
        return "a voter that was added before has not started yet"
    return None


def margin_not_lowered(step: Step) -> str | None:
    """No step makes the margin negative or lower than it is; lowering it on purpose needs the member named and consent."""
    if isinstance(step.action, AddVoter):
        return None  # see learner_first
    before, after = margin_of(step.view), margin(*voters_after(step.view, step.action))
    if after >= before:
        return None
    count, reachable = voters_after(step.view, step.action)
    if after < 0:
        return f"of the {count} voters left, {reachable} would be reachable: fewer than their quorum of {quorum(count)}"
    if isinstance(step.action, Remove) and step.action.named and step.limits.accept_reduced_tolerance:
        return None
    return f"the cluster could lose {after} more voters instead of {before}"


def voters_after(view: ClusterView, action: Action) -> tuple[int, int]:
    """How many voters there will be and how many of them reachable; a promoted learner is, because its proof says so."""
    voters, reachable = len(view.voters), view.reachable_voters
    match action:
        case Promote():
            return voters + 1, reachable + 1
        case Remove(member_id=member_id) if _is_voter(view.by_id(member_id)):
            return voters - 1, reachable - (view.answer(member_id) is not None)
        case _:
            return voters, reachable


def _is_voter(member: Member | None) -> bool:
    return member is not None and not member.is_learner


def last_voter_stays(step: Step) -> str | None:
    """A cluster without voters is no cluster."""
    if isinstance(step.action, Remove) and [voter.id for voter in step.view.voters] == [step.action.member_id]:
        return "it is the only voting member: without it there is no cluster"
    return None


def promote_only_aligned(step: Step) -> str | None:
    """A learner becomes a voter only while a fresh proof says that it answers and has applied what was just written."""
    action = step.action
    if not isinstance(action, Promote):
        return None
    member = step.view.by_id(action.member_id)
    if member is None or not member.is_learner:
        return "it is not a learner of this cluster"
    if not action.proof.holds(member_id=action.member_id, cluster_id=step.view.cluster_id, now=step.now):
        return "there is no fresh proof that it is aligned and answering"
    leader = step.view.leader
    if leader is None:
        return "no leader is known"
    answer = step.view.answer(leader.id)
    if answer is not None and answer.raft_term != action.proof.term:
        return "the leader changed since the proof was made"
    return None


def remove_only_owned_or_named(step: Step) -> str | None:
    """Only what this run added, or the operator named, is ever removed."""
    if isinstance(step.action, Remove) and not (step.action.owned or step.action.named):
        return "this run did not add it and nobody named it"
    if isinstance(step.action, Remove) and not step.action.named:
        member = step.view.by_id(step.action.member_id)
        if member is not None and not member.is_learner:
            return "it is a voter already: a promotion is never undone"
    return None


def view_is_current(step: Step) -> str | None:
    """No action on a view that is old, local, or of another cluster."""
    if step.view.cluster_id != step.limits.cluster_id:
        return f"the endpoints answer for cluster {step.view.cluster_id:x}, this run began on {step.limits.cluster_id:x}"
    if step.now - step.view.taken_at > VIEW_SECONDS:
        return f"what is known of the cluster is {step.now - step.view.taken_at:.1f} s old"
    return None


Rule = Callable[[Step], str | None]
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        view_is_current,
        one_change_in_flight,
        learner_first,
        last_voter_stays,
        margin_not_lowered,
        promote_only_aligned,
        remove_only_owned_or_named,
    )
}


def violations(step: Step) -> Iterator[tuple[str, str]]:
    """The names of the rules the step breaks, each with the reason."""
    for name, rule in RULES.items():
        why = rule(step)
        if why is not None:
            yield name, why


def check(step: Step) -> None:
    """Raise `UnsafeStep` for the first broken rule."""
    for name, why in violations(step):
        raise UnsafeStep(name, why, _advice(name, step))


def _advice(name: str, step: Step) -> str:
    """What would make the step possible, where something would."""
    if name == margin_not_lowered.__name__ and margin(*voters_after(step.view, step.action)) >= 0:
        return "add a member first, or accept it with --accept-reduced-tolerance"
    return ""
