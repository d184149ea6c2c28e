"""The only module that changes membership: check, journal the intent, look once more, send one RPC, journal its outcome."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from quorate.core import invariants
from quorate.core.actions import AddLearner, AddVoter, MembershipChange, Promote, Remove
from quorate.core.catch_up import SEND_SECONDS, Proof
from quorate.core.ids import format_id
from quorate.core.invariants import Limits, Step
from quorate.core.membership import ClusterView
from quorate.deadline import Clock, Moment, SystemClock, age, moment
from quorate.errors import QuorateError
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.errors import (
    AuthOff,
    EtcdError,
    LearnerNotReady,
    LoginFailed,
    MemberExists,
    MemberNotFound,
    NotEnoughStarted,
    NotLeader,
    PermissionDenied,
    RpcOnLearner,
    TokenExpired,
    TooManyLearners,
    Unavailable,
    UnhealthyCluster,
    Unreachable,
)
from quorate.etcd.membership import member_rpc
from quorate.etcd.observation.look import endpoint_of
from quorate.foreign.text import to_paste
from quorate.loggers import logger
from quorate.report import Notice, Report, silent

_LOGGER = logger(__name__)
RPC_SECONDS = 10.0
"""Timeout of one change. etcd bounds a membership change only by the client's deadline; 10 s is longer than its own request
timeout of 7 s, so what can be answered is answered. A shorter one protects nothing: a leader that hung serves expired
requests."""

LOOK_SECONDS = 1.0
"""Maximum seconds since the beginning of the look on which a change other than a promotion is sent. A look takes milliseconds,
and up to one timeout where a member is dead."""

_TRIES = 3
_MOST_WAY_SECONDS = 1.0
"""Most seconds that a round trip may add to the age limit of a proof, however far the member is: an older proof would say
nothing about now."""

Note: TypeAlias = Callable[[str, dict[str, object]], None]
"""Writes one journal record: its kind and fields."""

REFUSALS: tuple[type[EtcdError], ...] = (
    # Refusals by the leader's own checks, before anything is proposed, and by the apply, which is final.
    LearnerNotReady,
    NotEnoughStarted,
    TooManyLearners,
    UnhealthyCluster,
    MemberExists,
    MemberNotFound,
    # Nothing was proposed: wrong member, no leader, too busy, not authorised, or no connection at all.
    NotLeader,
    RpcOnLearner,
    Unavailable,
    PermissionDenied,
    TokenExpired,
    LoginFailed,
    AuthOff,
    Unreachable,
)
"""Errors after which a change was definitely not made. Any other error, known or not, may hide a change that was made or is on
its way. `NotALearner` is left out on purpose: a member that an earlier request of ours promoted is no longer a learner."""


@dataclass(frozen=True, slots=True)
class Applied:
    """etcd answered the RPC with success. `member_id`: the member that was changed. `late`: 0, or the age of the last look, in
    seconds, where the request was begun later than allowed: the tool was suspended in the moment of sending."""

    member_id: int
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Rejected:
    """etcd refused, or nothing was sent; nothing changed. `late` as in `Applied`."""

    error: EtcdError
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Indeterminate:
    """There was no conclusive answer: the change may have happened, or may still happen. Only another look can tell. `late` as
    in `Applied`."""

    error: EtcdError
    late: float = 0.0


Outcome: TypeAlias = Applied | Rejected | Indeterminate


class NotConfirmed(EtcdError):  # noqa: N818
    """The last look before the RPC did not confirm the decision; nothing was sent."""

    code = "not-confirmed"
    next_step = "run the same command again"
    disposition = "retryable"


class AddedElsewhere(EtcdError):  # noqa: N818
    """Another cluster answered the add; the cluster that was looked at is as it was."""

    code = "another-cluster"
    next_step = "find out which cluster runs at this endpoint; name one with {options}"
    options = ("--endpoints",)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The result of the last look: the action with its newest proof, the view, the channel to send on, the moment `at` of its
    oldest part, and the seconds `within` which it must be sent."""

    action: MembershipChange
    view: ClusterView
    channel: Channel
    at: Moment
    within: float


Confirm: TypeAlias = Callable[[MembershipChange], Confirmed]
Prove: TypeAlias = Callable[[Promote, ClusterView], "tuple[Promote, Channel, float] | None"]
"""Makes the newest proof. Returns the action with it, the channel to the leader, and the learner's round trip in seconds; None
when the proof failed."""


@dataclass(frozen=True, slots=True)
class MembershipExecutor:
    """Carries out membership changes; `note` writes their journal records, `report` gets what people must know at once."""

    access: Access
    clock: SystemClock
    note: Note
    report: Report = silent

    def carry_out(self, action: MembershipChange, view: ClusterView, limits: Limits, confirm: Confirm) -> Outcome:
        """Carries out exactly one membership change.

        The order matters. Everything that may block (journal, record in etcd) is done before `confirm` takes the last look.
        Between that look and the RPC there is only arithmetic, and the look's age is measured. A record written through a
        leader that hung, between check and RPC, once let a learner be promoted five seconds after its death (fault H1).

        A look that has become old meanwhile is no fault of the change: it is rejected as not confirmed, and taken again; on a
        busy machine a removal once ended with an error for it. Raises `UnsafeStep` when an invariant forbids the change.
        """
        if invariants.is_old(view, self.clock.now()):
            return Rejected(_too_late(self.clock.now() - view.taken_at, invariants.VIEW_SECONDS))
        invariants.check(Step(view, action, limits, self.clock.now()))
        what = describe(action)
        _LOGGER.info("intent: %s", what["do"], extra={"fields": what})
        try:
            self.note("intent", {**what, "within": self._seconds_of_call()})
            last = self._last_look(action, limits, confirm)
        except BaseException:
            # Nothing was sent. Without this outcome the journal would say for ever that a change may be on its way; where the
            # intent itself could not be written, the memory of this run would.
            self._note_outcome(action, "rejected", {"error": "not sent"})
            raise
        outcome = self._send(last) if isinstance(last, Confirmed) else last
        self._note_outcome(action, type(outcome).__name__.lower(), _detail(outcome))
        return outcome

    def _send(self, last: Confirmed) -> Outcome:
        handed = _Handover(last, self.clock)
        try:
            outcome: Outcome = Applied(_rpc(last.channel, last.action, last.view.cluster_id, handed))
        except EtcdError as error:
            refused = isinstance(error, (*REFUSALS, AddedElsewhere, NotConfirmed))
            outcome = Rejected(error) if refused else Indeterminate(error)
        if handed.seconds <= last.within:
            return outcome
        # It cannot be called back. Whoever reads what became of it must know on how old a look it rests.
        what = (
            f"{describe(last.action)['do']} was sent {handed.seconds:.1f} s after the last look, more than {last.within:.1f} s"
        )
        check = f"check the members: {to_paste('quorate', 'etcd', 'status')}"
        self.report(Notice(f"{what}: this machine was suspended while it sent it; {check}", "warning"))
        return replace(outcome, late=round(handed.seconds, 3))

    def _note_outcome(self, action: MembershipChange, result: str, detail: dict[str, object]) -> None:
        """Journals the outcome. A full journal is ignored: it cannot change what has happened."""
        fields = {**describe(action), "result": result, **detail}
        _LOGGER.info("outcome: %s %s", fields["do"], result, extra={"fields": fields})
        with suppress(QuorateError):
            self.note("outcome", fields)

    def _seconds_of_call(self) -> list[int]:
        """Returns the unix seconds in which a healthy leader creates the member of this call: etcd makes its id from them. A
        leader that hangs serves the call later, when another operator may have removed the member and registered one too."""
        now = int(self.clock.wall())
        return [now, now + 1]

    def _last_look(self, action: MembershipChange, limits: Limits, confirm: Confirm) -> Confirmed | Rejected:
        """Takes the last look and measures its age at its end; `_Handover` measures it once more."""
        took = within = 0.0
        for _ in range(_TRIES):
            try:
                last = confirm(action)
            except EtcdError as error:
                if error.disposition == "final":
                    raise
                return Rejected(error)
            took, within = self.clock.now() - last.view.taken_at, invariants.VIEW_SECONDS
            if took > within:
                continue
            invariants.check(Step(last.view, last.action, limits, self.clock.now()))
            # A stop that was acknowledged while the journal was written: answers that come at once never see it.
            self.clock.cancel.check()
            took, within = age(last.at, self.clock), last.within
            if took <= within:
                return last
        return Rejected(_too_late(took, within))


def _too_late(took: float, within: float) -> NotConfirmed:
    return NotConfirmed(
        f"{took:.1f} s passed since the last look, more than {within:.1f} s: this machine was suspended, or the network is slow"
    )


@dataclass(slots=True)
class _Handover:
    """The moment in which a change is handed over to grpc. Entered, it measures the age of the last look for the last time, and
    raises `NotConfirmed` with nothing sent where that is too old: from the check before it lie a dozen lines of ours, and a
    machine may be suspended at any of them. Left, it measures how old the look was when the request was begun: `seconds`."""

    last: Confirmed
    clock: Clock
    seconds: float = 0.0

    def __enter__(self) -> None:
        took = age(self.last.at, self.clock)
        if took > self.last.within:
            raise _too_late(took, self.last.within)

    def __exit__(self, *_: object) -> None:
        self.seconds = age(self.last.at, self.clock)


def confirm_by_looking(access: Access, look: Callable[[], ClusterView], clock: Clock) -> Confirm:
    """Returns the last look before an add or a removal."""

    def confirm(action: MembershipChange) -> Confirmed:
        began = moment(clock)
        view = look()
        return Confirmed(action, view, channel_for(access, action, view), began, LOOK_SECONDS)

    return confirm


def confirm_by_proof(look: Callable[[], ClusterView], prove: Prove) -> Confirm:
    """Returns the last look before a promotion, and after it one more write that the learner is seen to apply. The promotion is
    sent on the same channel on which the leader has just answered."""

    def confirm(action: MembershipChange) -> Confirmed:
        assert isinstance(action, Promote)
        view = look()
        proved = prove(action, view)
        if proved is None:
            raise NotConfirmed("the learner did not apply what was just written")
        newest, channel, way = proved
        # Measured from the request: an answer may have waited in our socket while this machine was suspended. The round trip is
        # known from earlier answers.
        within = SEND_SECONDS + min(2 * way, _MOST_WAY_SECONDS)
        return Confirmed(newest, view, channel, Moment(newest.proof.at, newest.proof.wall), within)

    return confirm


def channel_for(access: Access, action: MembershipChange, view: ClusterView) -> Channel:
    """Returns a channel to the leader. A removal may also go through a voter that follows it, because every voter proposes
    removals: the leader may be out of our reach, not out of theirs. A promotion never may: a follower forwards it blindly."""
    others = [voter for voter in view.voters if view.follows(voter.id)] if isinstance(action, Remove) else []
    target = action.member_id if isinstance(action, Remove) else 0
    for member in (view.leader, *others):
        if member is None or member.id == target or view.answer(member.id) is None:
            continue
        where = endpoint_of(access, member)
        if where is not None:
            channel = access.channel(where)
            # A login between the last look and the change would let time pass that nobody measures.
            channel.log_in_first(RPC_SECONDS)
            return channel
    raise NotConfirmed("the leader cannot be reached from this machine")


def _rpc(channel: Channel, action: MembershipChange, cluster_id: int, handed: _Handover) -> int:
    match action:
        case AddLearner(peer_urls=urls):
            added = member_rpc.add_learner(channel, urls, timeout=RPC_SECONDS, handover=handed)
            return _in_cluster(channel, added, cluster_id)
        case AddVoter(peer_urls=urls):
            added = member_rpc.add_voter(channel, urls, timeout=RPC_SECONDS, handover=handed)
            return _in_cluster(channel, added, cluster_id)
        case Promote(member_id=member_id):
            member_rpc.promote(channel, member_id, timeout=RPC_SECONDS, handover=handed)
        case Remove(member_id=member_id):
            member_rpc.remove(channel, member_id, timeout=RPC_SECONDS, handover=handed)
    return member_id


def _in_cluster(channel: Channel, added: member_rpc.Added, cluster_id: int) -> int:
    """Returns the id of the new member. Where another cluster answered, which was started at this address while the tool was
    suspended, the member is removed from it again: only this call knows its id, and it would hold the learner seat there.
    Promotions and removals name an id of their own cluster, which no other has."""
    if added.cluster_id in (0, cluster_id):
        return added.member_id
    left = "it was removed again"
    try:
        member_rpc.remove(channel, added.member_id, timeout=RPC_SECONDS)
    except EtcdError as error:
        remove = to_paste("quorate", "etcd", "remove", f"{added.member_id:x}")
        left = f"it is still there ({error.what}): remove it with {remove}"
    raise AddedElsewhere(
        f"cluster {added.cluster_id:x} answered instead of {cluster_id:x}, and added the member {added.member_id:x}; {left}"
    )


def describe(action: MembershipChange) -> dict[str, object]:
    """Returns the action as journal fields."""
    match action:
        case AddLearner():
            return {"do": "add-learner", "name": action.name, "peer_urls": list(action.peer_urls)}
        case AddVoter():
            return {"do": "add-voter", "name": action.name, "peer_urls": list(action.peer_urls)}
        case Promote():
            return {"do": "promote", "name": action.name, "member": format_id(action.member_id)}
        case Remove():
            return {"do": "remove", "member": format_id(action.member_id)}


def _detail(outcome: Outcome) -> dict[str, object]:
    late: dict[str, object] = {"late": outcome.late} if outcome.late else {}
    match outcome:
        case Applied():
            return {"member": format_id(outcome.member_id), **late}
        case Rejected() | Indeterminate():
            return {"error": outcome.error.what, **late}


def with_newer_proof(action: Promote, proof: Proof) -> Promote:
    """Returns the promotion with its newest proof, whose round is added to the rounds of the earlier proof."""
    return replace(action, proof=replace(proof, rounds=action.proof.rounds + 1))
