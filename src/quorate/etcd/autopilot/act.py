"""Carries out one action of the autopilot. Each step is judged again, on a look of its own, by the engine that all commands
use: a decision that has become old, or one that two instances made, ends in a refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from quorate.core.actions import MoveLeader, Promote, Remove
from quorate.core.autopilot.case import Act
from quorate.core.decide_remove import RemoveGoal
from quorate.core.ids import format_id
from quorate.core.invariants import Succession
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, margin_of
from quorate.errors import HostError, OutcomeUnknown, QuorateError, Refused
from quorate.etcd.autopilot.last_word import Decided
from quorate.etcd.client import maintenance
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.cluster import Cluster, nothing_to_start
from quorate.etcd.coordination.autopilot_records import CHANGES_OF_VOTERS, Orders
from quorate.etcd.coordination.autopilot_store import ActingKey, AutopilotStore
from quorate.etcd.membership.engine import LastWord
from quorate.etcd.membership.external import ExternalProcess
from quorate.etcd.membership.join import Join
from quorate.etcd.membership.join_state import limits_of
from quorate.etcd.membership.removal_judge import RemovePolicy
from quorate.etcd.membership.remove import Removal
from quorate.etcd.membership.runtime import JoinSpec
from quorate.etcd.observation.look import endpoint_of
from quorate.report import Notice

_ANSWER_SECONDS = 1.0

_STALL_SECONDS = 10.0
"""For a learner that is proved to be aligned. One that then does not get its vote is looked at anew."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of an action: the words for it before and after, and its member."""

    doing: str
    did: str
    member_id: int


class _PlaceFilled(Refused):
    """As many voters as were wanted are there already."""


def carry_out(cluster: Cluster, key: ActingKey, act: Act, view: ClusterView, orders: Orders, *, wanted: int) -> None:
    """Carries out the action, which was decided on `view` and by `orders`. It is recorded as begun before, and as done or
    failed after. `wanted`: voters, by the policy. Raises what its steps raise, and `Refused` where another instance acts by
    now, an order came, or the voters changed meanwhile; `HostError` before anything is recorded where this host takes no
    journal."""
    store, quick = key.store, replace(cluster, policy=replace(cluster.policy, stall_seconds=_STALL_SECONDS))
    steps, done = _steps(act), list[_Step]()
    decided = Decided(key, view, orders, _taking_from(act))
    # What is forbidden is not begun, and does not count against the budget.
    decided.refuse_overtaken()
    # First of all: an instance on a full disk spent the budget of a day on tries that it could not begin.
    cluster.note("autopilot", {"rule": act.rule, "why": act.why})
    # Before the first step: a replacement that is cut off counts against the budget too.
    spent = store.spend() if entry_of(act) in CHANGES_OF_VOTERS else 0
    store.note(entry_of(act), rule=act.rule, why=act.why, **_begun(steps, view))
    try:
        _do(_Doing(quick, store, decided, wanted, key.keep), act, done)
    except QuorateError as error:
        left = steps[len(done) :]
        seen = _seen_after(cluster, steps, view)
        told = {**_ended(done, view), **_begun(left, view), "error": error.what[:500], "found": seen}
        store.note("failed", rule=act.rule, **told)
        if spent and not done and error.exit_code != OutcomeUnknown.exit_code and seen == _roles(steps, view, view):
            # A change that was refused mends nothing, and harms nothing: the budget of a day went within minutes.
            with suppress(QuorateError):
                store.end_order(spent)
        raise
    # What fails now came after the action, and does not undo it.
    with suppress(QuorateError):
        store.note("done", rule=act.rule, **_ended(steps, view))


def _taking_from(act: Act) -> tuple[int, ...]:
    """Returns the members whose vote or seat the action takes. A standby that is held takes a place all the same."""
    removed = act.action.member_id if isinstance(act.action, Remove) else 0
    return tuple(one for one in (act.leaves, removed) if one)


def entry_of(act: Act) -> str:
    """Returns what the log calls an action. Of a change of zones only the promotion that begins it counts as one."""
    match act.action:
        case Promote():
            return "spread" if act.leaves else "promote"
        case MoveLeader():
            return "move-leader"
        case Remove():
            return {"replace": "replace", "yield-seat": "remove-standby"}.get(act.rule, "remove")


def _steps(act: Act) -> list[_Step]:
    match act.action:
        case Promote() as promote:
            return [_promoting(promote)]
        case MoveLeader() as move:
            return [_Step("movesLeaderTo", "leads", move.target_id)]
        case Remove() as remove:
            removal = _Step("removing", "removed", remove.member_id)
            return [removal, *([_promoting(act.then)] if act.then is not None else [])]


def did_by(act: Act, view: ClusterView) -> str:
    """Returns what an action has done, for people: its steps and their members."""
    named = [(one.did, view.by_id(one.member_id), one.member_id) for one in _steps(act)]
    told = [
        f"{did} {member.name if member is not None and member.name else format_id(number)}" for did, member, number in named
    ]
    return f"done: {', '.join(told)}"


def _promoting(promote: Promote) -> _Step:
    return _Step("promoting", "promoted", promote.member_id)


@dataclass(frozen=True, slots=True)
class _Doing:
    """What the steps need. `tick`: keeps the key of this instance."""

    cluster: Cluster
    store: AutopilotStore
    decided: Decided
    wanted: int
    tick: Callable[[], None]

    @property
    def view(self) -> ClusterView:
        return self.decided.view


def _do(doing: _Doing, act: Act, done: list[_Step]) -> None:
    """Takes the steps, and adds each to `done` once it is done."""
    left, store = iter(_steps(act)), doing.store
    match act.action:
        case Promote() as promote:
            _promote_decided(doing, promote, act.leaves)
            done.append(next(left))
        case MoveLeader() as move:
            target = doing.view.by_id(move.target_id)
            assert target is not None, "leadership goes to a member of this view"
            doing.decided.refuse_overtaken()
            doing.decided.refuse_changed(doing.cluster.look())
            doing.cluster.move_leader(target)
            done.append(next(left))
        case Remove() as remove:
            if act.then is not None:
                store.begin_owing(act.then.member_id, remove.member_id, len(doing.view.voters))
            try:
                _remove(doing, act, remove)
            except QuorateError as error:
                if error.exit_code != OutcomeUnknown.exit_code:
                    # One that may still arrive owes its vote all the same.
                    _void_unless_made(doing, remove.member_id, "voter", store.end_owing)
                raise
            done.append(next(left))
            # At once: there is one voter fewer until then, and a stop waits for it.
            if act.then is not None:
                with doing.cluster.clock.cancel.shielded():
                    _promote_owed(doing, act.then)
                done.append(next(left))
            # A standby that gave up its seat is none any more, and a change of zones is over.
            with suppress(EtcdError):
                store.unmark(remove.member_id)
                store.end_swap()


def _remove(doing: _Doing, act: Act, action: Remove) -> None:
    member, cluster = doing.view.by_id(action.member_id), doing.cluster
    assert member is not None, "a removal is decided on the members of this view"
    # Who was a standby at the decision may have a vote by now: an operator gave it.
    goal = RemoveGoal(member.id, member.name or format_id(member.id), action.absence, as_learner=act.rule == "yield-seat")
    # Who takes its place, in a change of zones, has to be there and serve; and no more may fail than before.
    succession = Succession(act.successor, margin_of(doing.view)) if act.successor else None
    # No shorter watch takes the place of the proof: a voter that lived meanwhile is not lost.
    policy = RemovePolicy(cluster.policy.stall_seconds, absence_seconds=None, succession=succession)
    tools = (cluster.access, cluster.clock, cluster.endpoints)

    def still() -> None:
        doing.decided.refuse_overtaken()
        if act.then is not None:
            _refuse_unready(cluster, doing.view, act.then)

    def fits(now: ClusterView) -> None:
        # A voter that lives is not asked any more when it goes.
        doing.decided.refuse_changed(now, () if action.absence is not None else (action.member_id,))
        _refuse_without_heir(act.then, now)

    last_word = LastWord(doing.tick, still, fits)
    Removal(*tools, goal, cluster.report, cluster.note, policy, last_word).run()


def _promote_decided(doing: _Doing, promote: Promote, leaves: int) -> None:
    """Promotes; where a voter is to go for it, says so before, and takes that back where the vote was not given: the note
    outlived the refusal, and a voter went that nobody meant."""

    def fits(now: ClusterView) -> None:
        _refuse_filled(doing, leaves, now)
        doing.decided.refuse_changed(now)

    if leaves:
        doing.store.begin_swap(promote.member_id, leaves)
    try:
        _promote(doing, promote, LastWord(doing.tick, doing.decided.refuse_overtaken, fits))
    except QuorateError as error:
        if leaves and error.exit_code != OutcomeUnknown.exit_code:
            _void_unless_made(doing, promote.member_id, "learner", doing.store.end_swap)
        raise


def _promote(doing: _Doing, action: Promote, last_word: LastWord) -> None:
    learner = doing.view.by_id(action.member_id)
    assert learner is not None, "a promotion is decided on the members of this view"
    cluster, name = doing.cluster, learner.name or format_id(learner.id)
    spec = JoinSpec(name, learner.peer_urls[0], None, cluster.access.tls, JoinMemory(member_id=learner.id, listed=True))
    # This run does not own the learner: when it gets no vote, nothing is undone.
    policy, runtime = replace(cluster.policy, keep_on_failure=True), ExternalProcess(name, nothing_to_start, started=True)
    limits, tools = limits_of(policy, doing.view.cluster_id), (cluster.access, cluster.clock, cluster.endpoints)
    Join(*tools, [(spec, runtime)], limits, policy, cluster.report, cluster.note, last_word=last_word).run()
    with suppress(EtcdError):
        doing.store.unmark(learner.id)


def _promote_owed(doing: _Doing, action: Promote) -> None:
    """Promotes the standby unless somebody else has filled the place meanwhile: an even number of voters tolerates no more.
    What was ordered since the removal counts for the next action: between the two steps nobody stops."""

    def fits(now: ClusterView) -> None:
        if now.linearizable and len(now.voters) >= len(doing.view.voters):
            raise _PlaceFilled("somebody else has filled the place meanwhile")

    # Its journal may take nothing by now, as on a disk that is full: the vote is owed all the same, and etcd has the note of
    # it.
    owing = replace(doing, cluster=replace(doing.cluster, note=partial(_note_if_possible, doing.cluster)))
    with suppress(_PlaceFilled):
        _promote(owing, action, LastWord(doing.tick, fits=fits))
    with suppress(EtcdError):
        doing.store.end_owing()


def _note_if_possible(cluster: Cluster, kind: str, fields: dict[str, object]) -> None:
    try:
        cluster.note(kind, fields)
    except HostError as error:
        cluster.report(Notice(f"not journalled: {error.what}", "warning"))


def _void_unless_made(doing: _Doing, member_id: int, was: str, end: Callable[[], None]) -> None:
    """Deletes the note of what follows a change that was not made: the member is still what it was. A vote that was owed
    outlived the failure, and was given against a later policy."""
    with suppress(QuorateError), doing.cluster.clock.cancel.shielded():
        now = doing.cluster.look()
        if now.linearizable and _role(now, member_id) == was:
            end()


def _refuse_filled(doing: _Doing, leaves: int, now: ClusterView) -> None:
    """Raises `Refused` where a vote was given meanwhile: an operator promoted another learner, and one voter too many stayed.
    In a change of zones the number may not be higher than it was."""
    enough = len(doing.view.voters) + 1 if leaves else max(doing.wanted, len(doing.view.voters) + 1)
    is_over = leaves and all(voter.id != leaves for voter in now.voters)
    if len(now.voters) >= enough or is_over:
        raise Refused(
            f"there are {len(now.voters)} voters by now, which somebody changed since this was decided",
            state="nothing was changed",
            advice="quorate autopilot status",
        )


def _refuse_without_heir(then: Promote | None, now: ClusterView) -> None:
    """Raises `Refused` where the standby that is to follow is no learner any more, in the last list before the removal. That it
    answers does not say so: one that was removed while it was cut off does not know it."""
    if then is not None and all(learner.id != then.member_id for learner in now.learners):
        raise Refused(
            f"{then.name} is no learner of this cluster any more: nobody would take the place of the voter",
            state="nothing was changed",
            advice="quorate autopilot explain",
        )


def _refuse_unready(cluster: Cluster, view: ClusterView, action: Promote) -> None:
    """Raises `Refused` where the standby that is to follow does not answer any more: nobody would take the place of the voter
    that is removed."""
    standby = view.by_id(action.member_id)
    where = endpoint_of(cluster.access, standby) if standby is not None else None
    try:
        answer = maintenance.status(cluster.access.channel(where), timeout=_ANSWER_SECONDS) if where is not None else None
    except EtcdError:
        answer = None
    if answer is None or answer.member_id != action.member_id:
        raise Refused(
            f"the standby {action.name} does not answer any more",
            state="nothing was changed",
            advice="quorate autopilot explain",
        )


def _begun(steps: Sequence[_Step], view: ClusterView) -> dict[str, object]:
    return {one.doing: _named(one.member_id, view) for one in steps}


def _ended(steps: Sequence[_Step], view: ClusterView) -> dict[str, object]:
    return {one.did: _named(one.member_id, view) for one in steps}


def _named(member_id: int, view: ClusterView) -> dict[str, str]:
    member = view.by_id(member_id)
    return {"id": format_id(member_id), "name": member.name if member is not None else ""}


def _seen_after(cluster: Cluster, steps: Sequence[_Step], view: ClusterView) -> list[dict[str, str]] | None:
    """Returns what the members of a failed action are now: an answer that was lost says nothing about its change. None where no
    list can be read through the quorum."""
    try:
        now = cluster.look()
    except QuorateError:
        return None
    if not now.linearizable:
        return None
    return _roles(steps, view, now)


def _roles(steps: Sequence[_Step], named_by: ClusterView, view: ClusterView) -> list[dict[str, str]]:
    return [{**_named(one.member_id, named_by), "is": _role(view, one.member_id)} for one in steps]


def _role(view: ClusterView, member_id: int) -> str:
    member = view.by_id(member_id)
    return "no member" if member is None else "learner" if member.is_learner else "voter"
