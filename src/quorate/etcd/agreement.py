"""What only the members themselves can tell before a join: whether they agree on who is a member, and whose a learner is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from quorate.core.membership import ClusterView, Member
from quorate.core.preflight import Finding
from quorate.etcd.access import Access
from quorate.etcd.channel import Channel
from quorate.etcd.errors import EtcdError
from quorate.etcd.leftovers import find
from quorate.etcd.observe import endpoint_of, member_list


def disagreements(access: Access, view: ClusterView, *, timeout: float) -> Iterator[Finding]:
    """Voters whose own copy of the list differs from the one read through the quorum: a change that reached not all of them
    yet, or the leftovers of a restore or of a 3.5 that never wrote a promotion down (etcd issues 19557, 20967)."""
    voters = [(voter, where) for voter in view.voters if view.answer(voter.id) and (where := endpoint_of(voter))]
    asked = access.ask_all(partial(_own_list, timeout=timeout), [where for _, where in voters])
    wanted = _roles(view.members)
    for (voter, _), future in zip(voters, asked, strict=True):
        own = future.result()
        if own is not None and _roles(own) != wanted:
            names = ", ".join(sorted(_differences(wanted, _roles(own))))
            text = f"{voter.name} has another member list than the cluster: it differs in {names}"
            yield Finding("membership-differs", "error", text, "wait a moment and look again; if it stays, replace that member")


def _own_list(channel: Channel, *, timeout: float) -> tuple[Member, ...] | None:
    try:
        return member_list(channel, timeout=timeout, linearizable=False).members
    except EtcdError:
        return None


def _roles(members: tuple[Member, ...]) -> dict[int, bool]:
    return {member.id: member.is_learner for member in members}


def _differences(one: dict[int, bool], other: dict[int, bool]) -> set[str]:
    return {f"{key:x}" for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def learners_there(channel: Channel, view: ClusterView, peer_url: str, *, timeout: float) -> Iterator[Finding]:
    """Learners at other peer URLs, which may have the only seat, and whose they are."""
    others = [learner for learner in view.learners if peer_url not in learner.peer_urls]
    if not others:
        return
    try:
        known = {left.peer_url: left for left in find(channel, view, timeout=timeout)}
    except EtcdError:
        known = {}
    for learner in others:
        left = known.get(learner.peer_urls[0])
        whose = "nobody's that is known here"
        if left is not None:
            at_work = "at work" if left.place is not None else "cut off"
            whose = f"of the join of {left.name!r} from {left.host} (pid {left.pid}), {at_work}"
        text = f"there is a learner already: {learner.name or learner.peer_urls[0]} ({learner.id:x}), {whose}"
        yield Finding(
            "learner-there", "warning", text, "it is waited for; 'quorate etcd adopt' or 'remove' it if it was left behind"
        )
