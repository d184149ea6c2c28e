"""Evidence of the links between voters that have been members for long: looked for when a voter goes, or leadership moves
(decision 21)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from quorate.core.link_worlds import Cut, Hearing, known_links, worlds
from quorate.core.links import Links, pair
from quorate.core.membership import ClusterView
from quorate.deadline import Clock
from quorate.etcd.client.connections import Access
from quorate.etcd.observation.link_counters import PATIENCE_SECONDS, LinkCounters

UNREADABLE_SECONDS = 4.0
"""After so long without a page of metrics from a voter, nothing will be known of its links."""
_ROUND_TRIPS = 10
PAUSE_SECONDS = 4.0
"""A longer pause between two looks, a wait for a lock or a suspension, leaves no samples to compare: the count begins anew."""


def pause_seconds(access: Access) -> float:
    """Returns after which time between two looks the count begins anew: a look itself takes several round trips."""
    return PAUSE_SECONDS + _ROUND_TRIPS * access.routes.farthest()


@dataclass(slots=True)
class VoterLinks:
    """What the voters' counters showed of their links over the last looks. A voter that does not hear everybody is unknown for
    `PATIENCE_SECONDS`; then what it lacks counts as cut until it hears everybody."""

    access: Access
    clock: Clock
    begun: bool = False
    _counters: LinkCounters = field(init=False)
    _lacking_since: dict[int, float] = field(default_factory=dict[int, float])
    _heard: dict[int, Hearing] = field(default_factory=dict[int, Hearing])
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
        if self._looked_at is None or now - self._looked_at > pause_seconds(self.access):
            self._began_at = now
            self._lacking_since.clear()
        self._looked_at = now
        seen = self._counters.hearing(view)
        # What a voter lacked it lacks until it is seen to hear everybody, also while its page cannot be read.
        lacked = {voter: self._heard[voter] for voter in self._lacking_since if voter in self._heard}
        self._heard = {**lacked, **seen}
        for voter, found in seen.items():
            if found.lacks:
                self._lacking_since.setdefault(voter, now)
            else:
                self._lacking_since.pop(voter, None)
        return replace(view, links=view.links.merged(self._links(view)))

    def _links(self, view: ClusterView) -> Links:
        up, _ = known_links(self._heard)
        _, down = known_links({voter: found for voter, found in self._heard.items() if self._is_missing(voter)})
        possible = worlds(self._heard)
        return Links(up, down, worlds=possible, doubtful=not possible, if_alive=self._if_alive(view))

    def _if_alive(self, view: ClusterView) -> tuple[Cut, ...]:
        silent = [voter.id for voter in view.voters if view.answer(voter.id) is None]
        if not silent:
            return ()
        voters = frozenset(voter.id for voter in view.voters)
        gone = self._counters.gone(view)
        # Whose process has ended has no link in any world. Taken for linked, each dead voter of five cost one "if it lives".
        unlinked = frozenset(pair(one, other) for one in gone for other in voters - {one})
        found = worlds(self._counters.hearing_of_the_silent(view, gone))
        # Two cuts, and a silence besides, would be three faults at once.
        return tuple(cut | unlinked for cut in found if sum(link <= voters.difference(silent) for link in cut) <= 1)

    def settled(self, view: ClusterView) -> bool:
        """Returns whether further looks would show no more: each follower hears everybody, has lacked somebody for long, or
        cannot be asked."""
        if self._looked_at is None:
            return False
        leader = view.leader.id if view.leader else 0
        return all(self._is_settled(voter.id) for voter in view.voters if voter.id != leader and view.follows(voter.id))

    def _is_settled(self, voter: int) -> bool:
        if voter in self._lacking_since:
            return self._is_missing(voter)
        return voter in self._heard or self.clock.now() - self._began_at >= UNREADABLE_SECONDS

    def _is_missing(self, voter: int) -> bool:
        now = self.clock.now()
        return now - self._lacking_since.get(voter, now) >= PATIENCE_SECONDS
