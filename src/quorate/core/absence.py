"""When a voter counts as dead: not by one look that it did not answer, but by silence everywhere for a stated time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from quorate.core.ids import format_id

ABSENCE_SECONDS = 10.0
"""Default time without a sign of life. A voter that stood still for two seconds, because its machine was snapshotted or its
disk hung, is alive and counts: taking it for dead once cost a cluster of three its tolerance without anybody's consent."""

FRESH_SECONDS = 5.0
"""Age beyond which a proof of absence is made anew."""

MOST_BETWEEN_LOOKS = 2.5
"""Seconds between two looks beyond which the time between them proves nothing: we may have stood still ourselves."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Proof that the voter `member_id` is dead. `how`: "silent" when it answered on no URL and no member received
    anything from it at every one of `looks` over `seconds`, up to the moment `at`; "ended" when its process is known to have
    ended on this host. `received`: bytes that each other member, by id, had received from it in all. `pages`: how many pages of
    metrics each of them had served by then."""

    member_id: int
    how: Literal["silent", "ended"]
    seconds: float = 0.0
    looks: int = 0
    at: float = 0.0
    received: tuple[tuple[int, float], ...] = ()
    pages: tuple[tuple[int, float], ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The proof for programs."""
        return {"member": format_id(self.member_id), "how": self.how, "seconds": round(self.seconds, 3), "looks": self.looks}

    def holds(self, member_id: int, now: float) -> bool:
        """Whether this proof is about that member, and new enough: it may have come back since."""
        return self.member_id == member_id and now - self.at <= FRESH_SECONDS

    def still(self, received: Mapping[int, float] | None) -> bool:
        """Whether what the others have received by now shows no sign of life since."""
        return self.how == "ended" or (received is not None and dict(received) == dict(self.received))


Sign: TypeAlias = Literal["alive", "silent", "unknown"]
"""What one look says of a voter. "unknown": it does not answer us, and not everybody can say whether he hears it."""


@dataclass(frozen=True, slots=True)
class AbsenceWatch:
    """Looks for signs of life of one voter. `received`: the bytes that each other member had received from it."""

    member_id: int
    needed: float = ABSENCE_SECONDS
    began_at: float | None = None
    last_at: float = 0.0
    looks: int = 0
    received: Mapping[int, float] | None = None
    sign: Sign = "unknown"

    def look(self, *, answered: bool, received: Mapping[int, float] | None, now: float) -> AbsenceWatch:
        """Returns the watch after one look. `received`: bytes from this voter as each other member that answers counts them;
        None when one of them cannot be read, the leader above all.

        These counters tell a dead voter from one that only we cannot reach: heartbeat replies arrive at the leader ten times a
        second, and one that is cut off from the leader as well campaigns, which whoever still hears it counts. `active_peers`
        does not tell: from etcd 3.5 on it stays 1 for minutes after a silent cut.
        """
        if answered:
            return AbsenceWatch(self.member_id, self.needed, sign="alive")
        if not received:
            return AbsenceWatch(self.member_id, self.needed, sign="unknown")
        before = self.received or {}
        grew = any(received[member] > before[member] for member in received.keys() & before.keys())
        if grew:
            return AbsenceWatch(self.member_id, self.needed, None, now, 0, received, "alive")
        comparable = received.keys() == before.keys() and dict(received) == dict(before)
        if not comparable or now - self.last_at > MOST_BETWEEN_LOOKS:
            # The first reading, another set of members, or a counter that began anew: from here on it can be compared.
            return AbsenceWatch(self.member_id, self.needed, now, now, 1, received, "silent")
        began = now if self.began_at is None else self.began_at
        return replace(self, began_at=began, last_at=now, looks=self.looks + 1, sign="silent")

    @property
    def seconds(self) -> float:
        """How long there has been no sign of life."""
        return 0.0 if self.began_at is None else self.last_at - self.began_at

    @property
    def absence(self) -> Absence | None:
        """The proof, once the silence lasted long enough; the looks must be close enough to have seen a heartbeat."""
        if self.sign != "silent" or self.seconds < self.needed or self.looks < 4:
            return None
        received = tuple(sorted((self.received or {}).items()))
        return Absence(self.member_id, "silent", round(self.seconds, 1), self.looks, self.last_at, received)
