"""How often a container has ended while somebody waited for it."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.host.cri import Container, ContainerEnd, Runtime


@dataclass(slots=True)
class CrashCounter:
    """Counts the ends of one component's container from the first attempt that this run saw: the cause of earlier ones may have
    been mended since, and the kubelet counts attempts on from old logs, so the number of an attempt alone says nothing.

    `most`: ends from which on it will not get better by itself.
    """

    most: int
    _first: int | None = None

    def begin_at(self, attempt: int | None) -> None:
        """Count from this attempt on, or from the one that is seen next: what ended before was our own doing."""
        self._first = attempt

    def ends(self, newest: Container) -> int:
        """How many have ended when `newest` has."""
        return newest.attempt - (self._first if self._first is not None else newest.attempt) + 1

    def last_end(self, runtime: Runtime, newest: Container) -> ContainerEnd | None:
        """How `newest` ended, once that was one end too many; None while it may get better. Raises `CriError`."""
        if self._first is None:
            self._first = newest.attempt
        if newest.running:
            return None
        end = runtime.container_end(newest.id)
        return end if end.finished_at and self.ends(newest) >= self.most else None
