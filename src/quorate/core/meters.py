"""Meters of a learner that catches up: its lag in seconds, and how fast its data grows."""

from __future__ import annotations

from collections import deque

_WINDOW_SECONDS = 5.0


class LagMeter:
    """Measures how long ago the leader was where the learner is now; times are monotonic seconds of the caller's clock."""

    def __init__(self, started_at: float) -> None:
        self._passed_at = started_at
        self._samples: deque[tuple[float, int]] = deque()

    def seconds(self, now: float, commit: int, applied: int) -> float:
        """Returns the seconds since the leader's commit index was last no greater than `applied`; 0.0 when it still is not.

        Before any such moment was seen, the time counts from the meter's start. That is no bound of the lag, but a fair answer
        to "for how long has this been catching up".
        """
        self._samples.append((now, commit))
        while self._samples and self._samples[0][1] <= applied:
            self._passed_at = self._samples.popleft()[0]
        return now - self._passed_at if self._samples else 0.0


class RateMeter:
    """Measures how fast a growing count grows; times are monotonic seconds of the caller's clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def per_second(self, now: float, count: int) -> float:
        """Returns the growth per second over the last five seconds; 0.0 while there is nothing to compare with."""
        self._samples.append((now, count))
        while now - self._samples[0][0] > _WINDOW_SECONDS and len(self._samples) > 2:
            self._samples.popleft()
        began, first = self._samples[0]
        return max(0.0, (count - first) / (now - began)) if now > began else 0.0
