"""The only place that changes membership: check, journal the intent, look once more, send one RPC, journal its outcome."""

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

RPC_SECONDS = 10.0
"""etcd waits for a membership change with the client's deadline only; 10 s is longer than its own request timeout of
7 s, so what can be answered is answered. A shorter one protects nobody: a leader that stood still serves expired requests."""

LOOK_SECONDS = 1.0
"""A change other than a promotion is sent on a look that began no longer ago than this; a look takes milliseconds, and up to
one patience where a member is dead."""

_TRIES = 3
_MOST_WAY_SECONDS = 1.0
"""Members that are further away are not promoted by a proof that is older than this: it would say nothing of now."""

Note: TypeAlias = Callable[[str, dict[str, object]], None]
"""Writes one journal record: its kind and fields."""

REFUSALS: tuple[type[EtcdError], ...] = (
    # Answers of the leader's own checks, before anything is proposed, and of the apply, which is final.
    LearnerNotReady,
    NotEnoughStarted,
    TooManyLearners,
    UnhealthyCluster,
    MemberExists,
    MemberNotFound,
    # Nothing was proposed: wrong member, no leader, too busy, not let in, or no connection at all.
    NotLeader,
    RpcOnLearner,
    Unavailable,
    PermissionDenied,
    TokenExpired,
    LoginFailed,
    Unreachable,
)
"""Errors after which a change was definitely not made. Every other one, known or not, may hide a change that was made or is on
its way. `NotALearner` is left out on purpose: who was promoted by an earlier request of ours is no learner any more."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The RPC was answered with success. `member_id` is the member it was about."""

    member_id: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """etcd refused, or nothing was sent; nothing changed."""

    error: EtcdError


@dataclass(frozen=True, slots=True)
class Indeterminate:
    """Nothing that counts was heard: it may have happened, now or in a moment. Only observing tells."""

    error: EtcdError


Outcome: TypeAlias = Applied | Rejected | Indeterminate


class NotConfirmed(EtcdError):  # noqa: N818
    """The last look before the RPC did not show what the decision was made on; nothing was sent."""

    code = "not-confirmed"
    next_step = "run the same command again"
    disposition = "retryable"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the last look showed: the action with its newest proof, the view, where to send, and when the oldest part of it was
    true."""

    action: MembershipChange
    view: ClusterView
    channel: Channel
    at: Moment
    within: float


Confirm: TypeAlias = Callable[[MembershipChange], Confirmed]
Prove: TypeAlias = Callable[[Promote, ClusterView], "tuple[Promote, Channel, float] | None"]
"""Makes the newest proof; returns the action with it, the channel to the leader, and the learner's round trip in seconds."""


@dataclass(frozen=True, slots=True)
class MembershipExecutor:
    """What a change needs beside the change itself."""

    access: Access
    clock: SystemClock
    note: Note

    def carry_out(self, action: MembershipChange, view: ClusterView, limits: Limits, confirm: Confirm) -> Outcome:
        """Do exactly one membership change.

        The order is the point. Everything that may block (journal, record in etcd) is done before `confirm` takes the last
        look; between that look and the RPC only arithmetic is done, and its age is measured. A record written through a
        leader that hung, between check and RPC, once let a learner be promoted five seconds after its death (fault H1).

        Raises `UnsafeStep` when an invariant forbids it; nothing was sent then.
        """
        invariants.check(Step(view, action, limits, self.clock.now()))
        self.note("intent", {**describe(action), "within": self._seconds_of_call()})
        try:
            last = self._last_look(action, limits, confirm)
        except BaseException:
            # Nothing was sent, and the record must not say for ever that something may have been.
            self._note_outcome(action, "rejected", {"error": "not sent"})
            raise
        outcome = _send(last.channel, last.action) if isinstance(last, Confirmed) else last
        self._note_outcome(action, type(outcome).__name__.lower(), _detail(outcome))
        return outcome

    def _note_outcome(self, action: MembershipChange, result: str, detail: dict[str, object]) -> None:
        """The change has happened or has not: a journal that is full cannot turn that round."""
        with suppress(QuorateError):
            self.note("outcome", {**describe(action), "result": result, **detail})

    def _seconds_of_call(self) -> list[int]:
        """The unix seconds in which a healthy leader makes a member of this call: etcd makes its id of them. One that hangs
        serves it later; those seconds are as likely somebody else's, who removed the member and registered his own."""
        now = int(self.clock.wall())
        return [now, now + 1]

    def _last_look(self, action: MembershipChange, limits: Limits, confirm: Confirm) -> Confirmed | Rejected:
        """The last look, with its age measured at its end: behind this only the RPC is sent."""
        took = within = 0.0
        for _ in range(_TRIES):
            try:
                last = confirm(action)
            except EtcdError as error:
                if error.disposition == "final":
                    raise
                return Rejected(error)
            invariants.check(Step(last.view, last.action, limits, self.clock.now()))
            took, within = age(last.at, self.clock), last.within
            if took <= within:
                return last
        why = f"{took:.1f} s passed since the last look, more than {within:.1f} s: this machine stood still, or the way is slow"
        return Rejected(NotConfirmed(why))


def confirm_by_looking(access: Access, look: Callable[[], ClusterView], clock: Clock) -> Confirm:
    """The last look before an add or a removal."""

    def confirm(action: MembershipChange) -> Confirmed:
        began = moment(clock)
        view = look()
        return Confirmed(action, view, channel_for(access, action, view), began, LOOK_SECONDS)

    return confirm


def confirm_by_proof(look: Callable[[], ClusterView], prove: Prove) -> Confirm:
    """The last look before a promotion, and behind it one more write that the learner is seen to apply. The promotion goes out
    on the very channel that the leader has just answered on."""

    def confirm(action: MembershipChange) -> Confirmed:
        assert isinstance(action, Promote)
        view = look()
        proved = prove(action, view)
        if proved is None:
            raise NotConfirmed("the learner did not apply what was just written")
        newest, channel, way = proved
        # Measured from the question: an answer may have waited in our socket while we stood still. The way there and back is
        # known from earlier answers.
        within = SEND_SECONDS + min(2 * way, _MOST_WAY_SECONDS)
        return Confirmed(newest, view, channel, Moment(newest.proof.at, newest.proof.wall), within)

    return confirm


def channel_for(access: Access, action: MembershipChange, view: ClusterView) -> Channel:
    """To the leader. A removal may also go through a voter that follows it, for every voter proposes it: the leader may be out
    of our reach and not out of theirs. A promotion never may: a follower forwards it blindly."""
    others = [voter for voter in view.voters if view.follows(voter.id)] if isinstance(action, Remove) else []
    target = action.member_id if isinstance(action, Remove) else 0
    for member in (view.leader, *others):
        if member is None or member.id == target or view.answer(member.id) is None:
            continue
        where = endpoint_of(access, member)
        if where is not None:
            return access.channel(where)
    raise NotConfirmed("no member that leads answers here")


def _send(channel: Channel, action: MembershipChange) -> Outcome:
    try:
        return Applied(_rpc(channel, action))
    except EtcdError as error:
        return Rejected(error) if isinstance(error, REFUSALS) else Indeterminate(error)


def _rpc(channel: Channel, action: MembershipChange) -> int:
    match action:
        case AddLearner(peer_urls=urls):
            return member_rpc.add_learner(channel, urls, timeout=RPC_SECONDS)
        case AddVoter(peer_urls=urls):
            return member_rpc.add_voter(channel, urls, timeout=RPC_SECONDS)
        case Promote(member_id=member_id):
            member_rpc.promote(channel, member_id, timeout=RPC_SECONDS)
        case Remove(member_id=member_id):
            member_rpc.remove(channel, member_id, timeout=RPC_SECONDS)
    return member_id


def describe(action: MembershipChange) -> dict[str, object]:
    """The action as journal fields."""
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
    match outcome:
        case Applied():
            return {"member": format_id(outcome.member_id)}
        case Rejected() | Indeterminate():
            return {"error": outcome.error.what}


def with_newer_proof(action: Promote, proof: Proof) -> Promote:
    """Returns the promotion on its newest evidence; the rounds of the earlier proof count on."""
    return replace(action, proof=replace(proof, rounds=action.proof.rounds + 1))
