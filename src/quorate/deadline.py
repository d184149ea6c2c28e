"""Time as a value: clocks that can be replaced, deadlines that name their goal, and cooperative cancellation (decision 5).

Nothing here raises out of a signal handler. A handler sets a `Cancel`; every wait checks it at its next sleep, so an
effect that has begun is never cut off in the middle.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from quorate.errors import Interrupted, QuorateError
from quorate.loggers import logger

_LOGGER = logger(__name__)
Answer = TypeVar("Answer")


class DeadlineExceeded(QuorateError):
    """A wait ran out of time."""

    code = "deadline"
    next_step = "fix the cause that the message names, or allow more time with {options}"
    options = ("--timeout",)


class Clock(Protocol):
    """A source of time: monotonic seconds, wall-clock seconds since the epoch, and a sleep. Tests pass their own."""

    def now(self) -> float: ...

    def wall(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Cancel:
    """A request to stop, set once by a signal or a caller and noticed at the next wait."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason = ""
        self._shields = 0

    def request(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    @property
    def pending(self) -> bool:
        """Returns whether `check` would raise."""
        return self._event.is_set() and not self._shields

    @property
    def reason(self) -> str:
        return self._reason

    def check(self) -> None:
        """Raises `Interrupted` when a stop was requested and no `shielded` block runs."""
        if self.pending:
            raise Interrupted(f"interrupted by {self._reason}")

    def wait(self, seconds: float) -> None:
        """Sleeps; wakes early and raises `Interrupted` when a stop is requested."""
        if self._shields:
            time.sleep(seconds)
            return
        self._event.wait(seconds)
        self.check()

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Lets an undo run to its end although a stop was requested; a second signal is the caller's responsibility."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""CLOCK_MONOTONIC stops while a machine is suspended, so a laptop that slept an hour between a proof and its use would
call the proof fresh. CLOCK_BOOTTIME counts the sleep; only Linux has it."""


class SystemClock:
    """The machine's clock; its sleep can be cut short by a `Cancel`. `goals`: what is waited for now, the innermost last."""

    def __init__(self, cancel: Cancel | None = None) -> None:
        self.cancel = cancel or Cancel()
        self.goals: list[str] = []

    def now(self) -> float:
        return time.clock_gettime(_CLOCK)

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        self.cancel.wait(seconds)


def utc(wall: float) -> str | None:
    """Returns a moment (unix seconds) as `-o json` shows it, in UTC; None where it is no date, as one that never comes."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        return None


CORRECT_CLOCK = "compare the clocks of both hosts (timedatectl), and correct the clock that is wrong (timedatectl set-ntp true)"
"""What to do where the clocks of two hosts differ: none of them is known to be right."""


def shown_here() -> str:
    """Returns what the clock of this host shows, for an error that another clock would not have made."""
    return f"the clock of this host shows {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}"


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on both clocks."""

    now: float
    wall: float


def moment(clock: Clock) -> Moment:
    return Moment(clock.now(), clock.wall())


def age(then: Moment, clock: Clock) -> float:
    """Returns the seconds since `then`, by the clock that counted more.

    Both clocks of a virtual machine stop while it is paused or migrated; its wall clock jumps when the time is set again.
    A wall clock that was set back counts for as much, because the true age of `then` is then unknown.
    """
    passed = clock.now() - then.now
    return max(passed, passed + abs(clock.wall() - then.wall - passed) - _DRIFT_SECONDS)


_DRIFT_SECONDS = 0.05
"""Clocks that are slewed differ by less than this within the seconds that matter here."""


class Deadline:
    """A point in time, and the goal to reach by then."""

    def __init__(self, clock: Clock, seconds: float, goal: str) -> None:
        self._clock = clock
        self._end = clock.now() + seconds
        self._seconds = seconds
        self._given: float | None = None
        self.goal = goal

    @property
    def remaining(self) -> float:
        return max(0.0, self._end - self._clock.now())

    @property
    def expired(self) -> bool:
        return self._clock.now() >= self._end

    def extend(self, seconds: float) -> None:
        """Allows at least `seconds` from now; never shortens."""
        self._end, self._given = max(self._end, self._clock.now() + seconds), seconds

    def error(self, *, because: str = "", state: str = "", advice: str = "") -> DeadlineExceeded:
        reason = f": {because}" if because else ""
        # A join that made progress for ten minutes, and then none, has not timed out after its 60 s.
        after = f"timed out after {self._seconds:g} s" if self._given is None else f"no progress for {self._given:g} s"
        return DeadlineExceeded(f"{self.goal}: {after}{reason}", state=state, advice=advice)


@contextmanager
def waiting_until(clock: Clock, goal: str) -> Iterator[None]:
    """Notes what the block waits for: a command that is silent for long says it."""
    if not isinstance(clock, SystemClock):
        yield
        return
    clock.goals.append(goal)
    try:
        yield
    finally:
        clock.goals.remove(goal)


def poll(ask: Callable[[], Answer | None], clock: Clock, deadline: Deadline, *, every: float) -> Answer | None:
    """Calls `ask` every `every` seconds until it returns an answer; returns None when time is up.

    Calls it at least once, and once more when time is up: this machine may have been suspended meanwhile.
    """
    began = clock.now()
    with waiting_until(clock, deadline.goal):
        while True:
            is_last = deadline.expired
            answer = ask()
            if answer is not None or is_last:
                seconds, ended = clock.now() - began, "no" if answer is None else "yes"
                _LOGGER.debug("waited %.3f s until %s: %s", seconds, deadline.goal, ended)
                return answer
            clock.sleep(min(every, max(deadline.remaining, 0.001)))


def wait_until(
    condition: Callable[[], bool], *, clock: Clock, deadline: Deadline, every: float, why_not: Callable[[], str] = str
) -> None:
    """Polls `condition` every `every` seconds until it holds.

    Raises `DeadlineExceeded` with the goal and the text that `why_not` returns at that moment.
    """
    if not poll(lambda: condition() or None, clock, deadline, every=every):
        raise deadline.error(because=why_not())
