"""Counts the starts of a process that ends again, and says when it may be started the next time. Pure: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class StartBudget:
    """Allows `most` starts that each end within `steady` seconds, with pauses of `first_pause` seconds, twice that, and so on.

    Without it an etcd whose port was taken was started 54 times in 10 s, which left 165 kB of log.
    A process that ran for `steady` seconds had started well: its end is a new event and resets the budget.

    The count belongs to one run of the tool. An operator who fixed the cause and runs it again has the whole budget.
    """

    most: int = 5
    first_pause: float = 1.0
    steady: float = 60.0
    short_runs: int = 0
    started_at: float | None = None
    ended_at: float | None = None

    def may_start(self, now: float) -> Literal["now", "later", "never"]:
        """Returns whether a process that does not run may be started at `now` (monotonic seconds)."""
        runs = self._runs
        if runs >= self.most:
            return "never"
        return "now" if runs == 0 or now >= self._last + self.first_pause * 2 ** (runs - 1) else "later"

    @property
    def _runs(self) -> int:
        """Returns the short runs, including one without a reported end: its length is unknown, so it resets nothing."""
        return self.short_runs + (self.started_at is not None and self.ended_at is None)

    @property
    def _last(self) -> float:
        """Returns when it ended, or when it started if no end was reported. Never "now": the pause would never be over."""
        last = self.started_at if self.ended_at is None else self.ended_at
        return 0.0 if last is None else last

    def started(self, now: float) -> StartBudget:
        """Returns the budget after a start."""
        return replace(self, started_at=now, ended_at=None, short_runs=self._runs)

    def ended(self, now: float) -> StartBudget:
        """Returns the budget after the process was seen to have ended. Only the first such look after a start counts: the
        engine looks many times a second. An end without a start belongs to a process of an earlier run and costs nothing."""
        if self.started_at is None or self.ended_at is not None:
            return self
        short = now - self.started_at < self.steady
        return replace(self, ended_at=now, short_runs=self.short_runs + 1 if short else 0)
