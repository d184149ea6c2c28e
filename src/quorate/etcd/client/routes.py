"""The endpoints that a run has learned: which member answers there, its version, its round-trip times."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from quorate.core.versions import Version
from quorate.etcd.client.endpoint import Endpoint

_KEPT = 5


@dataclass(slots=True)
class Routes:
    """A table of endpoints that every look fills and the next one reads. Safe to use from several threads.

    An endpoint belongs to the member whose id answered there, whatever that member advertises. With address translation the
    advertised URLs may be unreachable from here, and a healthy cluster once looked dead.
    """

    cluster_id: int = 0
    """The cluster of this run; 0 before the first look."""

    leader_id: int = 0
    secure: bool = False
    """True when a seed is reached by TLS: then no member is asked without TLS, whatever that member advertises."""

    _who: dict[Endpoint, int] = field(default_factory=dict["Endpoint", int])
    _version: dict[Endpoint, Version] = field(default_factory=dict["Endpoint", Version])
    _foreign: set[Endpoint] = field(default_factory=set["Endpoint"])
    _silent: set[Endpoint] = field(default_factory=set["Endpoint"])
    _learners: set[int] = field(default_factory=set[int])
    _seconds: dict[Endpoint, deque[float]] = field(default_factory=dict["Endpoint", "deque[float]"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, endpoint: Endpoint, member_id: int, version: str, *, is_learner: bool, seconds: float) -> None:
        """Records a Status of this cluster from this endpoint: the member that answered, its version, and the seconds."""
        with self._lock:
            self._foreign.discard(endpoint)
            self._silent.discard(endpoint)
            self._who[endpoint] = member_id
            self._version[endpoint] = Version.told(version)
            self._seconds.setdefault(endpoint, deque(maxlen=_KEPT)).append(seconds)
            (self._learners.add if is_learner else self._learners.discard)(member_id)

    def gave_none(self, endpoint: Endpoint) -> None:
        """Records that an endpoint gave no answer: others are asked before it until it gives one. A leader that hung was asked
        first by each of six reads, and a round of looks took 18 s."""
        with self._lock:
            self._silent.add(endpoint)

    def advertised(self, endpoint: Endpoint, member_id: int) -> None:
        """Records that a member advertises this endpoint, unless a member is known there already, or another cluster answered
        there."""
        with self._lock:
            if endpoint not in self._foreign:
                self._who.setdefault(endpoint, member_id)

    def disown(self, endpoint: Endpoint) -> None:
        """Records that another cluster answered there. Without this, our keys were once written into that cluster."""
        with self._lock:
            self._foreign.add(endpoint)
            self._who.pop(endpoint, None)

    def keep_only(self, member_ids: set[int]) -> None:
        """Forgets the endpoints of members that are no longer listed: another server may answer there now."""
        with self._lock:
            self._who = {endpoint: member for endpoint, member in self._who.items() if member in member_ids}

    def of(self, member_id: int) -> list[Endpoint]:
        """Returns the endpoints of a member, those that answered before those that are only advertised."""
        with self._lock:
            found = [endpoint for endpoint, member in self._who.items() if member == member_id]
            return sorted(found, key=lambda endpoint: endpoint not in self._version)

    def known(self) -> list[Endpoint]:
        """Returns every endpoint of a member: those of the leader first, those of learners after those of voters, and last
        those that gave no answer when they were asked."""
        with self._lock:
            return sorted(
                self._who,
                key=lambda endpoint: (
                    endpoint in self._silent,
                    self._who[endpoint] in self._learners,
                    self._who[endpoint] != self.leader_id,
                    endpoint not in self._version,
                ),
            )

    def member_at(self, endpoint: Endpoint) -> int:
        with self._lock:
            return self._who.get(endpoint, 0)

    def is_learner(self, endpoint: Endpoint) -> bool:
        with self._lock:
            return self._who.get(endpoint, 0) in self._learners

    def version_at(self, endpoint: Endpoint) -> Version | None:
        with self._lock:
            return self._version.get(endpoint)

    def seconds_at(self, endpoint: Endpoint) -> float:
        """Returns the seconds that the last answer from there took; 0.0 when there was none."""
        with self._lock:
            kept = self._seconds.get(endpoint)
            return kept[-1] if kept else 0.0

    def farthest(self) -> float:
        """Returns the seconds of the longest round trip to any endpoint that answered."""
        with self._lock:
            return max((min(kept) for kept in self._seconds.values()), default=0.0)

    def round_trip(self, endpoint: Endpoint) -> float:
        """Returns the seconds of the fastest of the last few answers: the network alone, without a pause of a member."""
        with self._lock:
            return min(self._seconds.get(endpoint) or (0.0,))
