"""The only place that changes membership: check, journal the intent, send one RPC, journal what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from quorate.core import invariants
from quorate.core.actions import AddLearner, AddVoter, MembershipChange, Promote, Remove
from quorate.core.ids import format_id
from quorate.core.invariants import Limits, Step
from quorate.core.membership import ClusterView
from quorate.deadline import Clock
from quorate.etcd import member_rpc
from quorate.etcd.access import Access
from quorate.etcd.channel import Channel
from quorate.etcd.errors import EtcdError
from quorate.etcd.observe import endpoint_of

RPC_SECONDS = 10.0
"""etcd waits for a membership change with the client's deadline only; 10 s is longer than its own request timeout of
7 s, so what can be answered is answered."""

Note: TypeAlias = Callable[[str, dict[str, object]], None]
"""Writes one journal record: its kind and fields."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The RPC was answered with success. `member_id` is the member it was about."""

    member_id: int


@dataclass(frozen=True, slots=True)
class Declined:
    """etcd refused, or nothing was sent; nothing changed."""

    error: EtcdError


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing was heard: it may have happened, now or in a moment. Only observing tells."""

    error: EtcdError


Outcome: TypeAlias = Carried | Declined | Unknown


@dataclass(frozen=True, slots=True)
class Changer:
    """What a change needs beside the change itself."""

    access: Access
    clock: Clock
    note: Note

    def carry_out(self, action: MembershipChange, view: ClusterView, limits: Limits) -> Outcome:
        """Do exactly one membership change through the leader of `view`.

        Raises `UnsafeStep` when an invariant forbids it; nothing was sent then.
        """
        invariants.check(Step(view, action, limits, self.clock.now()))
        self.note("intent", describe(action))
        outcome = _send(self._channel(view, action), action)
        self.note("outcome", {**describe(action), "result": type(outcome).__name__.lower(), **_detail(outcome)})
        return outcome

    def _channel(self, view: ClusterView, action: MembershipChange) -> Channel:
        """To the leader. A removal may also go through a voter that answers, for every voter proposes it: the leader may be
        out of our reach and not out of theirs. A promotion never may: a follower forwards it blindly."""
        answering = [voter for voter in view.voters if view.answer(voter.id) is not None]
        others = answering if isinstance(action, Remove) and view.linearizable else []
        for member in (view.leader, *others):
            where = endpoint_of(member) if member else None
            if where is not None:
                return self.access.channel(where)
        raise invariants.UnsafeStep("leader_known", "no member says that it leads")


def _send(channel: Channel, action: MembershipChange) -> Outcome:
    try:
        return Carried(_rpc(channel, action))
    except EtcdError as error:
        return Unknown(error) if error.disposition == "ambiguous" else Declined(error)


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
        case Carried():
            return {"member": format_id(outcome.member_id)}
        case Declined() | Unknown():
            return {"error": outcome.error.what}
