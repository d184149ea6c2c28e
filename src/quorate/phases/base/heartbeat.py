"""A word now and then while something is waited for: silence looks like a hang."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.deadline import Clock
from quorate.report import Notice, PhaseReport

_EVERY_SECONDS = 10.0


@dataclass(slots=True)
class Heartbeat:
    """One wait for `what`, of at most `seconds`."""

    clock: Clock
    report: PhaseReport
    what: str
    seconds: float
    _began: float | None = None
    _told: float = 0.0

    def beat(self, why: str = "") -> None:
        """Called in every round of the wait; says something every ten seconds. `why`: what was heard last."""
        now = self.clock.now()
        if self._began is None:
            self._began = self._told = now
        if now - self._told < _EVERY_SECONDS:
            return
        self._told = now
        heard = f": {why}" if why else ""
        self.report(Notice(f"still waiting for {self.what}, {now - self._began:.0f} s of {self.seconds:.0f} s{heard}"))
