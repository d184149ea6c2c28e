"""Evidence of the links between voters that have been members for long: looked for when a leader goes, or leadership moves
(decision 21)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations

from quorate.core.links import Links, pair
from quorate.core.membership import ClusterView
from quorate.deadline import Clock
from quorate.etcd.client.connections import Access
from quorate.etcd.observation.link_counters import PATIENCE_SECONDS, LinkCounters

_UNREADABLE_SECONDS = 4.0
"""After so long without a page of metrics from a voter, nothing will be known of its links."""
_PAUSE_SECONDS = 4.0
"""A longer pause between two looks, a wait for a lock or a suspension, leaves no samples to compare: the count begins anew."""


@dataclass(slots=True)
class VoterLinks:
    """What the voters' counters showed of their links over the last looks. A link that is not seen up is unknown for
    `PATIENCE_SECONDS`, and then down until it is seen up."""

    access: Access
    clock: Clock
    begun: bool = False
    _counters: LinkCounters = field(init=False)
    _missed_at: dict[frozenset[int], float] = field(default_factory=dict[frozenset[int], float])
    _up: frozenset[frozenset[int]] = frozenset()
    _began_at: float = 0.0
    _looked_at: float | None = None

    def __post_init__(self) -> None:
        self._counters = LinkCounters(self.access, self.clock)

    def begin(self) -> None:
        """Has links looked for from now on: to read every page of metrics at each look is for those who need it."""
        self.begun = True

    def added(self, view: ClusterView) -> ClusterView:
        """Returns the view with what is known of its voters' links now."""
        now = self.clock.now()
        if self._looked_at is None or now - self._looked_at > _PAUSE_SECONDS:
            self._began_at, self._up = now, frozenset()
            self._missed_at.clear()
        self._looked_at = now
        seen = self._counters.between_voters(view)
        self._up = frozenset(link for link, works in seen.items() if works)
        for link in seen:
            if link in self._up:
                self._missed_at.pop(link, None)
            else:
                self._missed_at.setdefault(link, now)
        down = frozenset(link for link in self._missed_at if self._is_missing(link))
        return replace(view, links=view.links.merged(Links(self._up, down)))

    def settled(self, view: ClusterView) -> bool:
        """Returns whether further looks would show no more: each link between two followers is up, is missing, or cannot be
        known."""
        if self._looked_at is None:
            return False
        leader = view.leader.id if view.leader else 0
        followers = [voter.id for voter in view.voters if voter.id != leader and view.follows(voter.id)]
        return all(self._is_settled(pair(one, other)) for one, other in combinations(followers, 2))

    def _is_settled(self, link: frozenset[int]) -> bool:
        if link in self._up or self._is_missing(link):
            return True
        return link not in self._missed_at and self.clock.now() - self._began_at >= _UNREADABLE_SECONDS

    def _is_missing(self, link: frozenset[int]) -> bool:
        now = self.clock.now()
        return now - self._missed_at.get(link, now) >= PATIENCE_SECONDS
