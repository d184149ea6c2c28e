"""Lag in seconds: how long ago the leader stood where the learner stands now."""

from __future__ import annotations

from collections import deque


class LagMeter:
    """Fed with the leader's commit index over time; times are monotonic seconds of the caller's clock."""

    def __init__(self, started_at: float) -> None:
        self._passed_at = started_at
        self._samples: deque[tuple[float, int]] = deque()

    def seconds(self, now: float, commit: int, applied: int) -> float:
        """Seconds since the leader's commit index was last no greater than `applied`; 0.0 when it still is not.

        Before any such moment was seen it counts from the meter's start, which is an upper bound of nothing and a fair
        answer to "for how long has this been catching up".
        """
        self._samples.append((now, commit))
        while self._samples and self._samples[0][1] <= applied:
            self._passed_at = self._samples.popleft()[0]
        return now - self._passed_at if self._samples else 0.0
