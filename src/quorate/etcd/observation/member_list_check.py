"""What only the members themselves can tell before a join: whether they agree on who is a member, and whose a learner is."""

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

_SETTLE_SECONDS = 5.0
"""A voter that is only late applies the change within an election; one that still differs after this is not late."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared: every voter's own copy of the list with the one that `reread` gets through the quorum."""

    access: Access
    reread: Callable[[], ClusterView]
    clock: Clock
    timeout: float

    def disagreements(self, view: ClusterView) -> Iterator[Finding]:
        """Voters whose own copy differs from the list of `view`, and goes on to: the leftovers of a restore or of a 3.5 that
        never wrote a promotion down (etcd issues 19557, 20967).

        A change under way reaches the voters one by one, so what differs is compared again before it is believed.
        """
        differing = self._differing(view)
        deadline = Deadline(self.clock, _SETTLE_SECONDS, "the voters agree about who is a member")
        while differing and not deadline.expired:
            self.clock.sleep(_POLL_SECONDS)
            differing = self._still(differing)
        for text in differing.values():
            yield Finding(
                "membership-differs", "error", text, "replace that member if it stays; 'quorate etcd status' shows all"
            )

    def _still(self, differing: dict[int, str]) -> dict[int, str]:
        """Those that differ yet. One that does not answer now has not changed its mind; one that is no voter any more has
        gone."""
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
        """The voters that answer with another list, and in which ids it differs, in words."""
        heard = self._heard(view, {voter.id for voter in view.voters})
        return {member_id: text for member_id, text in heard.items() if text}

    def _heard(self, view: ClusterView, among: Container[int]) -> dict[int, str]:
        """Of the voters of `among` that answer: in what their list differs, empty where it does not."""
        voters = [voter for voter in view.voters if voter.id in among and view.answer(voter.id)]
        askable = [(voter, where) for voter in voters if (where := endpoint_of(self.access, voter))]
        asked = self.access.ask_all(partial(_own_list, timeout=self.timeout), [where for _, where in askable])
        wanted, found = _roles(view.members), dict[int, str]()
        for (voter, _), future in zip(askable, asked, strict=True):
            own = future.result()
            if own is None:
                continue
            ids = ", ".join(sorted(_differences(wanted, _roles(own))))
            found[voter.id] = f"{voter.name} has another member list than the cluster: it differs in {ids}" if ids else ""
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
