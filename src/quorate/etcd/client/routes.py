"""What a run learned about its way to the members: which endpoint reached whom, which version, how slowly."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from quorate.core.versions import Version
from quorate.etcd.client.endpoint import Endpoint

_KEPT = 5


@dataclass(slots=True)
class Routes:
    """Filled by every look; read by the next one. Safe to use from several threads.

    An endpoint that identified itself by its member id is an endpoint of that member, whatever the member advertises: behind
    an address translation the advertised URLs may reach nobody from here, and a healthy cluster looked dead.
    """

    cluster_id: int = 0
    """The cluster that this run is about; 0 before the first look."""

    leader_id: int = 0
    secure: bool = False
    """Whether a seed is reached by TLS: then no member is asked without it, whatever it advertises."""

    _who: dict[Endpoint, int] = field(default_factory=dict["Endpoint", int])
    _version: dict[Endpoint, Version] = field(default_factory=dict["Endpoint", Version])
    _foreign: set[Endpoint] = field(default_factory=set["Endpoint"])
    _learners: set[int] = field(default_factory=set[int])
    _seconds: dict[Endpoint, deque[float]] = field(default_factory=dict["Endpoint", "deque[float]"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, endpoint: Endpoint, member_id: int, version: str, *, is_learner: bool, seconds: float) -> None:
        """Notes that a Status of this cluster came from there, how it identified itself, and how long it took."""
        with self._lock:
            self._foreign.discard(endpoint)
            self._who[endpoint] = member_id
            self._version[endpoint] = Version.told(version)
            self._seconds.setdefault(endpoint, deque(maxlen=_KEPT)).append(seconds)
            (self._learners.add if is_learner else self._learners.discard)(member_id)

    def advertised(self, endpoint: Endpoint, member_id: int) -> None:
        """Notes that a member advertises this endpoint, unless somebody has identified himself there, or it is another
        cluster's."""
        with self._lock:
            if endpoint not in self._foreign:
                self._who.setdefault(endpoint, member_id)

    def disown(self, endpoint: Endpoint) -> None:
        """Notes that another cluster answered there: our keys were once written into it."""
        with self._lock:
            self._foreign.add(endpoint)
            self._who.pop(endpoint, None)

    def keep_only(self, member_ids: set[int]) -> None:
        """Forgets the ways to members that are listed no more: whoever answers there now is not asked by accident."""
        with self._lock:
            self._who = {endpoint: member for endpoint, member in self._who.items() if member in member_ids}

    def of(self, member_id: int) -> list[Endpoint]:
        """Returns the endpoints of a member, those that answered before those that it only advertises."""
        with self._lock:
            found = [endpoint for endpoint, member in self._who.items() if member == member_id]
            return sorted(found, key=lambda endpoint: endpoint not in self._version)

    def known(self) -> list[Endpoint]:
        """Returns every endpoint of a member, those of the leader first and those of learners last."""
        with self._lock:
            return sorted(
                self._who,
                key=lambda endpoint: (
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
        """Returns how long the last answer from there took; 0.0 when there was none."""
        with self._lock:
            kept = self._seconds.get(endpoint)
            return kept[-1] if kept else 0.0

    def farthest(self) -> float:
        """Returns the longest round trip to any endpoint that answered."""
        with self._lock:
            return max((min(kept) for kept in self._seconds.values()), default=0.0)

    def round_trip(self, endpoint: Endpoint) -> float:
        """Returns the shortest time of the last few answers: what the way itself takes, without anybody standing still."""
        with self._lock:
            return min(self._seconds.get(endpoint) or (0.0,))
