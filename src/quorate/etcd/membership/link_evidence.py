"""Evidence of whether a learner is linked to every voter, not only to the leader that feeds it (decision 21)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from quorate.core.links import Links
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Clock
from quorate.etcd.client.connections import Access
from quorate.etcd.membership.join_state import JoinState
from quorate.etcd.observation.link_counters import PATIENCE_SECONDS, LinkCounters
from quorate.etcd.observation.voter_links import UNREADABLE_SECONDS, pause_seconds


@dataclass(slots=True)
class LinkEvidence:
    """Adds what is known of the joiners' links to a view: from this host's kernel where their etcd runs here, else from the
    byte counters in the members' metrics. The link with the leader is not asked for: the proof shows both its directions."""

    access: Access
    clock: Clock
    _counters: LinkCounters = field(init=False)

    def __post_init__(self) -> None:
        self._counters = LinkCounters(self.access, self.clock)

    def added(self, view: ClusterView, track: JoinState) -> ClusterView:
        """Returns the view with the links of this joiner; a link that is not up yet stays unknown for a while.

        A link that was missed stays missed until it is seen up. Neither a voter that hangs for a moment, nor metrics that
        cannot be read now, turn evidence against the link into an assumption for it.
        """
        member = self._learner(view, track)
        if member is None:
            return view
        now = self.clock.now()
        if track.links_looked_at is None or now - track.links_looked_at > pause_seconds(self.access):
            # What was seen before a suspension says nothing about now.
            track.links_began_at = now
            track.links_missed_at.clear()
        track.links_looked_at = now
        leader = view.leader.id if view.leader else 0
        voters = [voter for voter in view.voters if view.follows(voter.id) and voter.id != leader]
        # All other members are named: the connections of one that is left out would stand in for those that are missing.
        peers = {other.id: other.peer_urls for other in view.members if other.id != member.id}
        linked, asked = track.runtime.links(peers), {voter.id for voter in voters}
        if linked is None:
            linked = self._counters.links_of(view, member.id)
        seen = {other: works for other, works in linked.items() if other in asked}
        known = {**dict.fromkeys(track.links_missed_at, False), **seen}
        track.links_unknown = frozenset(voter.id for voter in voters if voter.id not in known)
        links = self._patiently(view.links, member.id, known, track)
        return replace(view, links=links)

    def _learner(self, view: ClusterView, track: JoinState) -> Member | None:
        """Returns the joiner if it is a learner that answers and more than the leader's link decides; None otherwise."""
        member = view.by_id(track.memory.member_id) if track.memory.member_id else None
        if member is None or not member.is_learner or view.answer(member.id) is None or len(view.voters) < 2:
            return None
        return member

    def _patiently(self, links: Links, member_id: int, seen: dict[int, bool], track: JoinState) -> Links:
        now = self.clock.now()
        for other, works in seen.items():
            if works:
                track.links_missed_at.pop(other, None)
            else:
                track.links_missed_at.setdefault(other, now)
        settled = {other: works for other, works in seen.items() if works or self._is_missing(track, other)}
        return links.with_member(member_id, settled)

    def _is_missing(self, track: JoinState, other: int) -> bool:
        return self.clock.now() - track.links_missed_at.get(other, self.clock.now()) >= PATIENCE_SECONDS

    def is_settled(self, track: JoinState) -> bool:
        """Returns whether further looks would show no more: every missed link has been missed long enough to count as missing,
        and the voters of which nothing is known have been asked for long enough."""
        now = self.clock.now()
        asked_for = now - (track.links_began_at if track.links_began_at is not None else now)
        if track.links_unknown and asked_for < UNREADABLE_SECONDS:
            return False
        return all(self._is_missing(track, other) for other in track.links_missed_at)
