"""The operator's program that makes a new standby, run beside the looks of the autopilot.

It is named on the command line of the daemon, never in etcd (decision 27): whoever may write to etcd must not choose what runs
here as root.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from quorate.deadline import Clock
from quorate.errors import ConfigError, HostError
from quorate.foreign.trust import distrust_way
from quorate.host.environment import for_hooks
from quorate.host.programs import Running, start_visibly
from quorate.loggers import logger

_LOGGER = logger(__name__)
_REST_SECONDS = 60.0
"""After an end: the next look sees what it made."""
_FIRST_PAUSE = 300.0
_LONGEST_PAUSE = 3600.0
_KILL_SECONDS = 10.0


@dataclass(slots=True)
class StandbyProgram:
    """The program at `path`. It gets its words from the environment, writes to our stderr, and is ended after `seconds`."""

    path: Path
    clock: Clock
    seconds: float = 900.0
    _running: Running | None = None
    _began_at: float = 0.0
    _asked_to_end_at: float | None = None
    _free_at: float = 0.0
    _failures: int = field(default=0)
    _promised: bool = False
    why: str = ""
    """Why the last run is taken for failed."""

    def __post_init__(self) -> None:
        if not self.path.is_absolute() or not os.access(self.path, os.X_OK) or not self.path.is_file():
            raise ConfigError(
                f"{self.path} is no program that can be run",
                advice="give the absolute path of an executable file with --provide",
            )
        self._refuse_strangers()

    def state(self, *, is_missing: bool) -> Literal["ready", "at work", "failed"]:
        """Returns whether it may be run now. "failed": the last run ended badly, or ended well and the standby is missing all
        the same, and it is not asked again yet: a program that only orders a machine ordered one a minute."""
        self._look_after()
        if not is_missing:
            self._failures, self._promised = 0, False
        elif self._promised and self.clock.now() >= self._free_at:
            self._fail(f"it ended with 0, and no standby came within {_REST_SECONDS:.0f} s")
        if self._running is not None:
            return "at work"
        if self.clock.now() >= self._free_at:
            return "ready"
        return "failed" if self._failures else "at work"

    def start(self, words: Mapping[str, str]) -> None:
        """Starts it with `words` in its environment. Raises `HostError`."""
        try:
            self._refuse_strangers()
            self._running = start_visibly([str(self.path)], {**for_hooks(os.environ), **words})
        except HostError:
            self._fail("it could not be started")
            raise
        self._began_at, self._asked_to_end_at = self.clock.now(), None
        _LOGGER.info("%s was started", self.path)

    def ended_badly(self) -> str | None:
        """Returns why the run of now failed; empty where it ended well, and None while it is at work."""
        self._look_after()
        return None if self._running is not None else "" if self._promised else self.why

    def end(self) -> None:
        """Ends it, and what it started, with the daemon. A join of ours that it runs undoes what it has begun."""
        running, self._running = self._running, None
        if running is not None and running.code is None:
            running.signal(signal.SIGTERM)
            if not running.ended_within(_KILL_SECONDS):
                running.signal(signal.SIGKILL)

    def _look_after(self) -> None:
        running, now = self._running, self.clock.now()
        if running is None:
            return
        if running.code is not None:
            self._ended(running.code)
        elif self._asked_to_end_at is not None and now - self._asked_to_end_at > _KILL_SECONDS:
            running.signal(signal.SIGKILL)
        elif self._asked_to_end_at is None and now - self._began_at > self.seconds:
            _LOGGER.warning("%s did not end within %.0f s, and is ended", self.path, self.seconds)
            self._asked_to_end_at = now
            running.signal(signal.SIGTERM)

    def _ended(self, code: int) -> None:
        late, self._running = self._asked_to_end_at is not None, None
        _LOGGER.info("%s ended with code %d", self.path, code)
        if code == 0 and not late:
            self._promised, self._free_at = True, self.clock.now() + _REST_SECONDS
        else:
            self._fail(f"it did not end within {self.seconds:.0f} s" if late else f"it ended with code {code}")

    def _fail(self, why: str) -> None:
        pause = min(_FIRST_PAUSE * 2 ** min(self._failures, 10), _LONGEST_PAUSE)
        self._failures, self._promised, self.why = self._failures + 1, False, why
        self._free_at = self.clock.now() + pause

    def _refuse_strangers(self) -> None:
        doubt = distrust_way(self.path)
        if doubt:
            raise HostError(
                f"{self.path} is not run: {doubt}", advice="give the file to root, and let no one else write it or its folders"
            )
