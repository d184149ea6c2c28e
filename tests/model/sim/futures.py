"""Futures of calls side by side: each was made at one moment, and comes when the simulated clock has reached its time."""

from __future__ import annotations

import concurrent.futures
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

from model.sim.clock import SimClock

T = TypeVar("T")


class SimFuture(Future[T]):
    """Filled already; whoever takes its result waits, in simulated time, until it has come."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self.clock = clock
        self.came_at = clock.local

    def done(self) -> bool:
        return self.clock.local >= self.came_at

    def running(self) -> bool:
        return not self.done()

    def cancel(self) -> bool:
        return False

    def result(self, timeout: float | None = None) -> T:
        self._come(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._come(timeout)
        return super().exception(0)

    def _come(self, timeout: float | None) -> None:
        until = self.came_at if timeout is None else min(self.came_at, self.clock.local + timeout)
        self.clock.spend(until)
        if not self.done():
            raise TimeoutError


class Waited(NamedTuple):
    """As `concurrent.futures.wait` returns it."""

    done: set[SimFuture[Any]]
    not_done: set[SimFuture[Any]]


def wait(fs: Iterable[SimFuture[Any]], timeout: float | None = None, return_when: str = "ALL_COMPLETED") -> Waited:
    """`concurrent.futures.wait` on the simulated clock."""
    futures = sorted(fs, key=lambda one: one.came_at)
    if futures:
        clock = futures[0].clock
        came = _first(futures, return_when).came_at
        clock.spend(max(clock.local, came if timeout is None else min(came, clock.local + max(timeout, 0.0))))
    return Waited({one for one in futures if one.done()}, {one for one in futures if not one.done()})


def _first(futures: list[SimFuture[Any]], return_when: str) -> SimFuture[Any]:
    """The one with which the wait ends."""
    if return_when == FIRST_COMPLETED:
        return futures[0]
    if return_when == FIRST_EXCEPTION:
        return next((one for one in futures if Future.exception(one, 0) is not None), futures[-1])
    return futures[-1]


def as_completed(fs: Iterable[SimFuture[Any]], timeout: float | None = None) -> Iterator[SimFuture[Any]]:
    """`concurrent.futures.as_completed` on the simulated clock: by the time they come, then in the order they were asked."""
    futures = sorted(fs, key=lambda one: one.came_at)
    end = futures[0].clock.local + timeout if futures and timeout is not None else None
    for one in futures:
        if end is not None and one.came_at > end:
            one.clock.spend(end)
            raise TimeoutError
        one.clock.spend(max(one.clock.local, one.came_at))
        yield one


@contextmanager
def plugged_in() -> Iterator[None]:
    """Every module of the engine that waits for futures waits for simulated ones."""
    ours = {concurrent.futures.wait: wait, concurrent.futures.as_completed: as_completed}
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("quorate.etcd"):
                for attribute, real in list(vars(module).items()):
                    if callable(real) and getattr(real, "__module__", "") == "concurrent.futures._base" and real in ours:
                        stack.enter_context(patch.object(module, attribute, ours[real]))
        yield
