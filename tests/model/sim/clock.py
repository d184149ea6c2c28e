"""Time that moves only when the simulation says so: by sleeps and by the duration of calls; events fire as it passes."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from quorate.deadline import Cancel, SystemClock
from quorate.errors import Interrupted

START = 10_000.0
EPOCH = 1_790_000_000.0
LIFETIME = 3_600.0
"""No scenario lasts longer than this: what does is a loop without end."""


class Endless(BaseException):
    """A run that does not come to an end; no `except Exception` may hide it."""


class SimCancel(Cancel):
    """A `Cancel` whose wait moves the simulated clock."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, seconds: float) -> None:
        """Let time pass, waking early (and raising) when a stop is requested."""
        self._clock.move(seconds, wake=self._wakes)
        self.check()

    def _wakes(self) -> bool:
        try:
            self.check()
        except Interrupted:
            return True
        return False


class SimClock(SystemClock):
    """World time, and the two clocks that the tool reads: `now` (monotonic) and `wall` (seconds since the epoch).

    Within `aside` nothing in the world moves: what is asked side by side is asked at one moment, and only the local time of
    each branch runs ahead.
    """

    def __init__(self) -> None:
        self._cancel = SimCancel(self)
        super().__init__(self._cancel)
        self.world = START
        self._asleep = 0.0
        self._ahead: float | None = None
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    # -- what the tool sees ----------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.local - self._asleep

    def wall(self) -> float:
        return EPOCH + self.local - START

    def sleep(self, seconds: float) -> None:
        if self._ahead is not None:
            self._ahead += seconds
            return
        self.cancel.wait(seconds)

    # -- what the world uses ---------------------------------------------------------------------------------------------

    @property
    def local(self) -> float:
        """World time of the branch that runs."""
        return self.world + (self._ahead or 0.0)

    @property
    def is_aside(self) -> bool:
        return self._ahead is not None

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Schedule `do` for the world time `when`."""
        self._count += 1
        heapq.heappush(self._queue, (max(when, self.world), self._count, do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self.at(self.world + seconds, do)

    def move(self, seconds: float, wake: Callable[[], bool] | None = None) -> None:
        """Let world time pass; events on the way fire. `wake` is asked behind each and ends it early."""
        self.move_to(self.world + max(seconds, 0.0), wake)

    def move_to(self, end: float, wake: Callable[[], bool] | None = None) -> None:
        while self._queue and self._queue[0][0] <= end:
            when, _, do = heapq.heappop(self._queue)
            self._set(when)
            do()
            if wake is not None and wake():
                return
        self._set(end)

    def spend(self, until: float) -> None:
        """Pass local time up to `until`: of this branch, or of the world where there is none."""
        if self._ahead is not None:
            self._ahead = max(self._ahead, until - self.world)
        else:
            self.move_to(until)

    def suspend(self, seconds: float) -> None:
        """As a machine that is suspended sees it: the world goes on, `wall` jumps, `now` stands still."""
        self.move(seconds)
        self._asleep += seconds

    @contextmanager
    def aside(self) -> Iterator[None]:
        """One of several calls side by side: its time runs ahead of the world's and comes back to it."""
        before, self._ahead = self._ahead, self._ahead or 0.0
        try:
            yield
        finally:
            self._ahead = before

    def _set(self, when: float) -> None:
        self.world = max(self.world, when)
        if self.world > START + LIFETIME:
            raise Endless(f"still at work {LIFETIME:g} s later")
