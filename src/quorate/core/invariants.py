"""Named rules that no step may break. They check the action itself, independently of how it was decided.

`docs/safety.md` lists for each the reason, where it is enforced and which test breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from quorate.core.actions import Action, AddLearner, AddVoter, MoveLeader, Promote, Remove, StopMember, WipeData
from quorate.core.heirs import carries, label, named_links, sure_margin, without
from quorate.core.links import pair
from quorate.core.membership import ClusterView, Member, lowest_margin_of, margin_of, removal_margins
from quorate.core.quorum import fewer_may_fail, quorum
from quorate.core.removal_worlds import lowers_somewhere
from quorate.errors import Refused
from quorate.foreign.text import to_paste
from quorate.spelling import spelled

_OPEN_PORTS = "open the peer ports between all members, in both directions"
_SEE_LINKS = "'quorate etcd status' shows who follows; choose another voter, or repair its peer links first"
VIEW_SECONDS = 5.0
"""Maximum age, in seconds, of the view that an action is based on (`view_is_current`). A look and a proof take three seconds
where members are far away. The executor sets a much tighter limit for what is sent."""


@dataclass(frozen=True, slots=True)
class Succession:
    """The conditions under which a replacement removes the old member: `member_id` has taken its place and serves, and the
    margin does not fall below `margin`, its value before the replacement began."""

    member_id: int
    margin: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of this run. `learner_seats`: how many learners may exist at the same time, 1 unless this tool started every
    member with one `--max-learners`. `cluster_id`: the cluster that the run began on. `voter_join`: the legacy join, which the
    Kubernetes version allows and the user requested with `EtcdLearnerMode: false`."""

    cluster_id: int
    learner_seats: int = 1
    accept_reduced_tolerance: bool = False
    voter_join: bool = False
    succession: Succession | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One action, and everything else that a rule may look at."""

    view: ClusterView
    action: Action
    limits: Limits
    now: float


class UnsafeStep(Refused):
    """An invariant forbids the step; nothing was changed."""

    code = "unsafe-step"
    next_step = "quorate etcd status shows the margin and the missing links"

    def __init__(self, invariant: str, why: str, advice: str = "") -> None:
        super().__init__(why, state="nothing was changed", advice=advice)
        self.invariant = invariant


def one_change_in_flight(step: Step) -> str | None:
    """Forbids more learners than seats: members would disagree. Each member checks the limit against its own flag when an entry
    is applied (etcd 3.6+, etcd#13377); before 3.6 the limit is 1. A member that finds more learners than its flag allows does
    not start again (etcd#19557)."""
    if isinstance(step.action, AddLearner) and len(step.view.learners) >= step.limits.learner_seats:
        names = ", ".join(learner.name or "an unstarted one" for learner in step.view.learners)
        return f"{len(step.view.learners)} of {step.limits.learner_seats} learner seats are taken ({names})"
    return None


def learner_first(step: Step) -> str | None:
    """Forbids a vote before a new member has the data. While a second voter does not run, there is no majority: writes stopped
    for 15 s while its image was pulled (constellation#2922), and for ever where its peer URL was wrong (k0s#7628), because
    without a quorum it cannot be removed either (etcd#3505). The legacy join breaks this on purpose, but never where the new
    voter, once it runs, would not restore the quorum."""
    if not isinstance(step.action, AddVoter):
        return None
    if not step.limits.voter_join:
        return "a new member must be a learner first"
    voters, reachable = len(step.view.voters) + 1, step.view.reachable_voters + 1
    if reachable < quorum(voters):
        return f"of {voters} voters, including the new one, {reachable} would be reachable: fewer than their quorum"
    if any(not voter.started for voter in step.view.voters):
        return "a voter that was added before has not started yet"
    return None


def margin_not_lowered(step: Step) -> str | None:
    """Forbids a step that makes the margin negative or lowers it; lowering it needs a named member and consent.

    "Not lower than it is" alone allowed a promotion with one of three voters seen: -1 is not lower than -1, and the leader's
    death then ended all writes. Below zero only repairs are allowed: removals that the operator named.
    """
    match step.action:
        case Promote() | AddLearner():
            before = margin_of(step.view)
            if before < 0:
                return _no_quorum(step.view)
            return _promotion_lowers(step, step.action, before) if isinstance(step.action, Promote) else None
        case Remove() if _is_voter(step.view.by_id(step.action.member_id)):
            return _removal_lowers(step, step.action)
        case _:
            # `learner_first` judges the legacy AddVoter.
            return None


def _no_quorum(view: ClusterView) -> str:
    return f"no quorum is observed: {view.reachable_voters} of {len(view.voters)} voters follow a leader"


def _promotion_lowers(step: Step, action: Promote, before: int) -> str | None:
    """Returns why a promotion is forbidden. A voter that only the leader reaches raises the quorum, but not the number of
    voters that reach each other (fault S3).

    Judged twice: with the silent voters as dead, and as alive. One that hangs for three seconds takes the margin to 0, and a
    promotion that leaves it at 0 then seems to lower nothing. Once that voter is back, the promotion has lowered the margin.
    """
    view, later = step.view, promoted(step.view, action)
    silent = tuple(voter.id for voter in view.voters if not view.follows(voter.id))
    after, alive_before, alive_after = margin_of(later), margin_of(view, alive=silent), margin_of(later, alive=silent)
    missing = ", ".join(label(view, other) for other in view.links.missing(action.member_id, [row.id for row in view.voters]))
    named = f": it has no working link to {missing}" if missing else ""
    if after < 0:
        return f"with it the cluster would have no quorum{named}"
    if step.limits.accept_reduced_tolerance:
        return None
    for one, other in ((before, after), (alive_before, alive_after)):
        if other < one:
            return f"{fewer_may_fail(other, one)}{named}"
    if lowest_margin_of(later) < 0:
        return "too few links between the voters are known to work: without the others there would be no quorum"
    if missing and len(view.voters) % 2 == 0:
        # 2 -> 3 and 4 -> 5 should raise the margin by one. With a link missing they do not, and the operator would not notice.
        return f"the new voter would not raise the number of voters that the cluster can lose{named}"
    return None


def _removal_lowers(step: Step, action: Remove) -> str | None:
    """Returns why a removal is forbidden. Silence does not prove death: the voter counts as alive until its absence is proved.
    An answer proves life: a voter that came back while its proof of absence was still fresh was removed as dead."""
    target = action.member_id
    silent = step.view.answer(target) is None
    dead = silent and action.absence is not None and action.absence.holds(target, step.now)
    before, after = removal_margins(step.view, target, dead=dead)
    leads = step.view.leader is not None and step.view.leader.id == target
    if after < 0 and (leads or after < before):
        return _no_quorum_left(step.view, target)
    if action.named and step.limits.accept_reduced_tolerance:
        return None
    succession = step.limits.succession
    if why := lowers_somewhere(step.view, target, dead=dead, at_most=succession.margin if succession else None):
        return why
    if leads and sure_margin(step.view, target) < 0:
        # While the leader stays, its own links keep the quorum, and each read proves them. Once it has gone, the links between
        # its followers must: four voters, three of which reached only the leader, took no writes for most of a minute.
        return f"it leads, and without it {_too_few_links(step.view, without(step.view, target))}"
    return None


def _no_quorum_left(view: ClusterView, target: int) -> str:
    stay = without(view, target)
    count, reachable = len(stay), sum(map(view.follows, stay))
    if reachable >= quorum(count):
        return f"the {count} voters left would have no quorum: no link works between {named_links(view, stay, view.linked)}"
    return f"of the {count} voters left, {reachable} would be reachable: fewer than their quorum of {quorum(count)}"


def _too_few_links(view: ClusterView, voters: list[int]) -> str:
    unknown = named_links(view, voters, view.proven_link)
    return f"too few links between the voters are known to work ({unknown} are not): there would be no quorum"


def leadership_keeps_a_quorum(step: Step) -> str | None:
    """Forbids a transfer to a voter that could not lead: one that does not follow or is far behind, and one that is not known
    to be linked to a majority, with the leader and, where that is removed next, without it. Such a transfer stops writes for an
    election timeout and ends where it began; or it succeeds, and cuts off who reached only the old leader.

    Consent covers links of which nothing can be known. It does not cover one that was looked for and not found.
    """
    view, action = step.view, step.action
    if not isinstance(action, MoveLeader):
        return None
    heir = action.target_id
    if not _is_voter(view.by_id(heir)):
        return "it is not a voter"
    if not view.follows(heir):
        return f"{label(view, heir)} answers, but does not follow the leader" if view.answer(heir) else "it does not answer"
    if not view.may_lead(heir):
        return f"{label(view, heir)} is too far behind to lead"
    linked = view.linked if step.limits.accept_reduced_tolerance else view.proven_link
    for voters in (without(view, 0), without(view, action.leaving)):
        if not carries(heir, voters, linked):
            lacking = ", ".join(label(view, one) for one in voters if one != heir and not linked(heir, one))
            of = f"a majority of {len(voters)} voters"
            return f"{label(view, heir)} would not reach {of}: its link to {lacking} is not known to work"
    return None


def successor_serves(step: Step) -> str | None:
    """Forbids removing a replaced member before its successor serves. A successor died right after its promotion, and the live
    old member was removed all the same: one more death then ended all writes."""
    succession = step.limits.succession
    if not isinstance(step.action, Remove) or succession is None:
        return None
    if _is_voter(step.view.by_id(succession.member_id)) and step.view.follows(succession.member_id):
        return None
    return f"{label(step.view, succession.member_id)}, which shall replace it, is not a voter that follows a leader"


def promoted(view: ClusterView, action: Promote) -> ClusterView:
    """Returns the view after the promotion: the learner votes, and follows the leader, as its proof shows that it applies."""
    members = tuple(replace(row, is_learner=False) if row.id == action.member_id else row for row in view.members)
    answer, leader = view.answer(action.member_id), view.leader
    replies = dict(view.replies)
    if leader is not None:
        base = answer or view.answer(leader.id)
        if base is not None:
            told = replace(base, member_id=action.member_id, leader=leader.id, is_learner=False, errors=())
            replies[action.member_id] = replace(told, raft_index=max(told.raft_index, action.proof.target_index))
    read_by = None if view.read_by is None else view.read_by | {action.member_id}
    links = view.links
    if leader is not None and not action.proof.heard:
        links = replace(links, unproved=links.unproved | {pair(leader.id, action.member_id)})
    return replace(view, members=members, replies=replies, read_by=read_by, links=links)


def _is_voter(member: Member | None) -> bool:
    return member is not None and not member.is_learner


def last_voter_stays(step: Step) -> str | None:
    """Forbids the removal of the last voter: etcd panics with "removed all voters" (etcd#13848)."""
    if isinstance(step.action, Remove) and [voter.id for voter in step.view.voters] == [step.action.member_id]:
        return "it is the only voting member: without it there is no cluster"
    return None


def promote_only_aligned(step: Step) -> str | None:
    """Forbids a promotion without a fresh proof that the learner answers and has applied what was just written: etcd itself
    promotes dead learners (see `decide_join.promote_proven`). A proof made through another leader no longer counts: that
    leader may have been cut off, and its write may be lost."""
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
    """Forbids removing a member that this run did not add and the operator did not name: a controller removed a learner of a
    node that it did not know, and ended a join under way (cluster-api#14197). A voter is never removed without being named:
    what it acknowledged may not be on a majority without it."""
    if isinstance(step.action, Remove) and not (step.action.owned or step.action.named):
        return "this run did not add it and the operator did not name it"
    if isinstance(step.action, Remove) and not step.action.named:
        member = step.view.by_id(step.action.member_id)
        if member is not None and not member.is_learner:
            return "it is a voter already: a promotion is never undone"
    return None


def list_is_linearizable(step: Step) -> str | None:
    """Forbids a change, a stop or a deletion based on one member's own copy of the list. The list of a voter that was cut off
    before a join lacks the new voter, and an undo that trusted it deleted that voter's data (faults S2 and S5)."""
    if isinstance(step.action, AddLearner | AddVoter | Promote | Remove | StopMember | WipeData) and not step.view.linearizable:
        return "the member list is one member's own copy and may be old"
    return None


def gone_before_it_is_stopped(step: Step) -> str | None:
    """Forbids stopping a member's etcd, or deleting its data, while its id is listed: see `decide_undo`."""
    action = step.action
    if isinstance(action, StopMember | WipeData) and action.member_id and step.view.by_id(action.member_id) is not None:
        return f"{action.name} is still in the member list"
    return None


def view_is_current(step: Step) -> str | None:
    """Forbids an action on a view that is old, or of another cluster. Once an address was reassigned, an endpoint of another
    cluster answers as well as ours (etcd#11951). A tool that was paused between a look and its step acts on the past."""
    if step.view.cluster_id != step.limits.cluster_id:
        return f"the endpoints answer for cluster {step.view.cluster_id:x}, this run began on {step.limits.cluster_id:x}"
    if is_old(step.view, step.now):
        return f"the last look at the cluster is {step.now - step.view.taken_at:.1f} s old"
    return None


def is_old(view: ClusterView, now: float) -> bool:
    """Returns whether nothing may rest on a look any more at `now`."""
    return now - view.taken_at > VIEW_SECONDS


Rule = Callable[[Step], str | None]
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        view_is_current,
        list_is_linearizable,
        gone_before_it_is_stopped,
        one_change_in_flight,
        learner_first,
        last_voter_stays,
        margin_not_lowered,
        leadership_keeps_a_quorum,
        successor_serves,
        promote_only_aligned,
        remove_only_owned_or_named,
    )
}


def violations(step: Step) -> Iterator[tuple[str, str]]:
    """Yields the names of the rules that the step breaks, each with the reason."""
    for name, rule in RULES.items():
        why = rule(step)
        if why is not None:
            yield name, why


def check(step: Step) -> None:
    """Raises `UnsafeStep` for the first broken rule."""
    for name, why in violations(step):
        raise UnsafeStep(name, why, _advice(name, step))


def _advice(name: str, step: Step) -> str:
    """Returns what would make the step possible; empty when nothing would."""
    if name == one_change_in_flight.__name__ and isinstance(step.action, AddLearner) and step.view.learners:
        from quorate.core.new_member import freeing

        return freeing(step.view, step.view.learners)
    if name == leadership_keeps_a_quorum.__name__:
        follows = isinstance(step.action, MoveLeader) and step.view.follows(step.action.target_id)
        return f"{_OPEN_PORTS}; or, where /metrics cannot be read, accept the risk with {_consent()}" if follows else _SEE_LINKS
    if name != margin_not_lowered.__name__:
        return ""
    if isinstance(step.action, Remove):
        return _removal_advice(step, step.action)
    if isinstance(step.action, Promote):
        return f"{_OPEN_PORTS}; 'quorate etcd add' can also accept the lower tolerance with {_consent()}"
    return ""


def _removal_advice(step: Step, action: Remove) -> str:
    view, consent = step.view, f"accept the lower tolerance with {_consent()}"
    before, after = removal_margins(view, action.member_id, dead=False)
    silent = [row for row in view.voters if row.id != action.member_id and not view.follows(row.id)]
    if silent:
        # A voter that is silent lowers the tolerance unseen: named here, it is what the operator repairs.
        names = [label(view, row.id) for row in silent]
        remove = f"{to_paste('quorate', 'etcd', 'remove', names[0])}    # or start {', '.join(names)}"
        return remove if after < 0 else f"{remove}; or {consent}"
    if after < 0:
        return _OPEN_PORTS if named_links(view, without(view, action.member_id), view.linked) else ""
    if after >= before and view.leader == view.by_id(action.member_id) and sure_margin(view, action.member_id) < 0:
        # With all links up it would cost nothing: it is they that are not known.
        return f"{_OPEN_PORTS}, and let /metrics be read at the members' client URLs; or {consent}"
    return f"add a member first, or {consent}"


def _consent() -> str:
    return spelled("--accept-reduced-tolerance")
