"""The check before a join that all voters have the same member list."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import partial

from quorate.core.finding import Finding
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Clock, Deadline
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.observation.look import endpoint_of
from quorate.etcd.observation.reads import local_list
from quorate.foreign.text import to_paste

_SETTLE_SECONDS = 5.0
"""A voter that only lags applies the change within the time of an election; one that still differs after this has diverged."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of every voter's own copy of the list with the one that `reread` gets through the quorum."""

    access: Access
    reread: Callable[[], ClusterView]
    clock: Clock
    timeout: float

    def disagreements(self, view: ClusterView) -> Iterator[Finding]:
        """Yields findings for voters whose own copy differs from the list of `view`, and still does after a while: after a
        restore, or on a 3.5 member that never wrote a promotion down (etcd issues 19557, 20967).

        A change in progress reaches the voters one by one, so a difference is compared again before it counts.
        """
        differing = self._differing(view)
        deadline = Deadline(self.clock, _SETTLE_SECONDS, "the voters agree about who is a member")
        while differing and not deadline.expired:
            self.clock.sleep(_POLL_SECONDS)
            differing = self._still(differing)
        for text in differing.values():
            yield Finding(
                "membership-differs",
                "error",
                text,
                f"replace that member if this persists; {to_paste('quorate', 'etcd', 'status')} shows all",
            )

    def _still(self, differing: dict[int, str]) -> dict[int, str]:
        """Returns the voters that still differ. One that does not answer now keeps its last result; one that is no longer a
        voter is dropped."""
        try:
            view = self.reread()
        except EtcdError as error:
            if error.disposition == "final":
                raise
            return differing
        heard = self._heard(view, differing.keys())
        listed = {voter.id for voter in view.voters}
        now = {member_id: heard.get(member_id, text) for member_id, text in differing.items() if member_id in listed}
        return {member_id: text for member_id, text in now.items() if text}

    def _differing(self, view: ClusterView) -> dict[int, str]:
        """Returns the voters that answer with another list, each with a text that names the ids."""
        heard = self._heard(view, {voter.id for voter in view.voters})
        return {member_id: text for member_id, text in heard.items() if text}

    def _heard(self, view: ClusterView, among: Container[int]) -> dict[int, str]:
        """Returns, for each voter of `among` that answers, how its list differs; empty when it does not."""
        voters = [voter for voter in view.voters if voter.id in among and view.answer(voter.id)]
        askable = [(voter, where) for voter in voters if (where := endpoint_of(self.access, voter))]
        asked = self.access.ask_all(partial(_own_list, timeout=self.timeout), [where for _, where in askable])
        wanted, found = _roles(view.members), dict[int, str]()
        for (voter, _), future in zip(askable, asked, strict=True):
            own = future.result()
            if own is None:
                continue
            ids = ", ".join(sorted(_differences(wanted, _roles(own))))
            found[voter.id] = f"the member list of {voter.name} differs from the cluster's in {ids}" if ids else ""
        return found


def _own_list(channel: Channel, *, timeout: float) -> tuple[Member, ...] | None:
    try:
        return local_list(channel, timeout=timeout).members
    except EtcdError:
        return None


def _roles(members: tuple[Member, ...]) -> dict[int, bool]:
    return {member.id: member.is_learner for member in members}


def _differences(one: dict[int, bool], other: dict[int, bool]) -> set[str]:
    return {f"{key:x}" for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
