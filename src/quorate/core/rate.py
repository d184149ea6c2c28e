"""How fast something grows, over the last few seconds."""

from __future__ import annotations

from collections import deque

_WINDOW_SECONDS = 5.0


class RateMeter:
    """Fed with a growing count over time; times are monotonic seconds of the caller's clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def per_second(self, now: float, count: int) -> float:
        """Growth per second over the last five seconds; 0.0 while there is nothing to compare with."""
        self._samples.append((now, count))
        while now - self._samples[0][0] > _WINDOW_SECONDS and len(self._samples) > 2:
            self._samples.popleft()
        began, first = self._samples[0]
        return max(0.0, (count - first) / (now - began)) if now > began else 0.0
