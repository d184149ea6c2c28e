"""Notices during a long wait: silence looks like a hang."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.deadline import Clock
from quorate.report import Notice, PhaseReport

_EVERY_SECONDS = 10.0


@dataclass(slots=True)
class Heartbeat:
    """The notices of one wait for `what`, of at most `seconds`."""

    clock: Clock
    report: PhaseReport
    what: str
    seconds: float
    _began: float | None = None
    _told: float = 0.0

    def beat(self, why: str = "") -> None:
        """Reports the wait every ten seconds; called in each of its rounds. `why`: the latest reason to wait."""
        now = self.clock.now()
        if self._began is None:
            self._began = self._told = now
        if now - self._told < _EVERY_SECONDS:
            return
        self._told = now
        heard = f": {why}" if why else ""
        self.report(Notice(f"still waiting for {self.what}, {now - self._began:.0f} s of {self.seconds:.0f} s{heard}"))
