"""Decides when a voter counts as dead: after silence towards every member for a stated time, never after one missed answer
(decision 22)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from quorate.core.ids import format_id
from quorate.errors import ConfigError
from quorate.spelling import spelled

ABSENCE_SECONDS = 10.0
"""Default seconds without a sign of life. A voter that paused for two seconds, because its machine was snapshotted or its
disk hung, is alive and counts. Treating it as dead once cost a cluster of three its tolerance without consent."""

LEAST_ABSENCE_SECONDS = 3.0
"""A healthy voter may stall for a second or two while it writes to a busy disk."""

FRESH_SECONDS = 5.0
"""Maximum age of a proof of absence, in seconds; an older one is renewed."""

MOST_BETWEEN_LOOKS = 2.5
"""Maximum seconds between two looks. A longer gap proves nothing: this machine may have been suspended itself."""


def check_absence_seconds(seconds: float) -> None:
    """Raises `ConfigError` for a time for which a healthy voter may stall, and for what is no time at all."""
    # Written so that NaN fails it, which is neither below nor above anything.
    if not LEAST_ABSENCE_SECONDS <= seconds < math.inf:
        raise ConfigError(
            f"{spelled('--absence')} of {seconds:g} s: a healthy voter that stalls for a moment would count as dead"
            if seconds < LEAST_ABSENCE_SECONDS
            else f"{spelled('--absence')} of {seconds:g} s is no time that can pass",
            state="nothing was changed",
            advice=f"pass at least {LEAST_ABSENCE_SECONDS:g} s",
        )


Pages: TypeAlias = tuple[tuple[int, float, float], ...]


@dataclass(frozen=True, slots=True)
class Absence:
    """Proof that the voter `member_id` is dead. `how`: "silent" when, at each of `looks` over `seconds` up to the moment `at`,
    it answered on no URL and no member had received anything from it; "ended" when its process is known to have ended on this
    host. `received`: total bytes that each other member, by id, had received from it. `pages`: of each
    of them, when its process began, and how many pages of metrics it had served by then."""

    member_id: int
    how: Literal["silent", "ended"]
    seconds: float = 0.0
    looks: int = 0
    at: float = 0.0
    received: tuple[tuple[int, float], ...] = ()
    pages: Pages = ()

    def as_dict(self) -> dict[str, object]:
        """Returns the proof as JSON fields."""
        return {"member": format_id(self.member_id), "how": self.how, "seconds": round(self.seconds, 3), "looks": self.looks}

    def holds(self, member_id: int, now: float) -> bool:
        """Returns whether this proof is about that member, and fresh: the member may have come back since."""
        return self.member_id == member_id and now - self.at <= FRESH_SECONDS

    def still(self, received: Mapping[int, float] | None) -> bool:
        """Returns whether the bytes that the others have received by now show no sign of life since the proof."""
        return self.how == "ended" or (received is not None and dict(received) == dict(self.received))


Sign: TypeAlias = Literal["alive", "silent", "unknown"]
"""The result of one look at a voter. "unknown": it does not answer us, and not every member can report whether it hears it."""


@dataclass(frozen=True, slots=True)
class AbsenceWatch:
    """Watches one voter for signs of life. `received`: the bytes that each other member had received from it."""

    member_id: int
    needed: float = ABSENCE_SECONDS
    began_at: float | None = None
    last_at: float = 0.0
    looks: int = 0
    received: Mapping[int, float] | None = None
    sign: Sign = "unknown"

    def look(self, *, answered: bool, received: Mapping[int, float] | None, now: float) -> AbsenceWatch:
        """Returns the watch after one look. `received`: bytes from this voter as each other member that answers counts them;
        None when a counter cannot be read, above all the leader's.

        These counters distinguish a dead voter from one that only we cannot reach. Heartbeat replies reach the leader ten times
        a second; a voter that is also cut off from the leader campaigns, and a member that still hears it counts that.
        `active_peers` is no evidence: from etcd 3.5 on it stays 1 for minutes after a silent cut.
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
            # The first reading, another set of members, a reset counter or too long a gap: comparison starts here.
            return AbsenceWatch(self.member_id, self.needed, now, now, 1, received, "silent")
        began = now if self.began_at is None else self.began_at
        return replace(self, began_at=began, last_at=now, looks=self.looks + 1, sign="silent")

    @property
    def seconds(self) -> float:
        """Returns the seconds without a sign of life."""
        return 0.0 if self.began_at is None else self.last_at - self.began_at

    @property
    def absence(self) -> Absence | None:
        """Returns the proof once the silence lasted long enough, with looks enough to have seen a heartbeat; None before."""
        if self.sign != "silent" or self.seconds < self.needed or self.looks < 4:
            return None
        received = tuple(sorted((self.received or {}).items()))
        return Absence(self.member_id, "silent", round(self.seconds, 1), self.looks, self.last_at, received)
