"""The health check of each member: a linearizable read on a voter, a local one on a learner; a write on request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member, in_order
from quorate.deadline import Clock
from quorate.etcd.client import kv
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.errors import EtcdError, NoAnswer, PermissionDenied, Unreachable
from quorate.etcd.observation.look import endpoint_of

_KEY = b"/quorate/health"


@dataclass(frozen=True, slots=True)
class Health:
    """The result of one check. `seconds`: how long the answer took, None for a member that did not answer: how long it was
    waited for says nothing about it. `reason`: why the member is not healthy, empty when it is."""

    member: Member
    seconds: float | None
    reason: str = ""

    @property
    def healthy(self) -> bool:
        return not self.reason

    def as_dict(self) -> dict[str, object]:
        """Returns the check as `-o json` shows it."""
        return {
            "id": format_id(self.member.id),
            "name": self.member.name,
            "isLearner": self.member.is_learner,
            "healthy": self.healthy,
            "seconds": None if self.seconds is None else round(self.seconds, 4),
            "reason": self.reason,
        }


def check_health(access: Access, view: ClusterView, clock: Clock, *, timeout: float, write: bool) -> list[Health]:
    """Asks every member in parallel; silent ones cost `timeout` once. `write` writes a small key through each voter.

    A read that is refused for lack of permission has gone through the quorum: the member counts as healthy.
    """
    reachable = [(member, where) for member in view.members if (where := endpoint_of(access, member))]
    asked = [
        access.ask_all(partial(_probe, member=member, clock=clock, timeout=timeout, write=write), [where])[0]
        for member, where in reachable
    ]
    answered = {health.member.id: health for health in (future.result() for future in asked)}
    return [answered.get(member.id) or Health(member, None, "it advertises no client URL") for member in in_order(view)]


def _probe(channel: Channel, *, member: Member, clock: Clock, timeout: float, write: bool) -> Health:
    began = clock.now()
    try:
        reason = _problem(channel, member, timeout=timeout, write=write)
    except (Unreachable, NoAnswer) as error:
        return Health(member, None, error.text)
    return Health(member, clock.now() - began, reason)


def _problem(channel: Channel, member: Member, *, timeout: float, write: bool) -> str:
    """Returns why the member is not healthy; raises for one that does not answer."""
    try:
        kv.get(channel, _KEY, timeout=timeout, serializable=member.is_learner)
    except PermissionDenied:
        pass
    except (Unreachable, NoAnswer):
        raise
    except EtcdError as error:
        return error.text
    return _write_problem(channel, timeout) if write and not member.is_learner else ""


def _write_problem(channel: Channel, timeout: float) -> str:
    try:
        kv.put(channel, _KEY, b"", timeout=timeout)
        kv.delete(channel, _KEY, timeout=timeout)
    except EtcdError as error:
        return f"it serves reads, but a write failed: {error.text}"
    return ""
