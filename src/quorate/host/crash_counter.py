"""Counts how often a container exited while we waited for it."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.host.cri import Container, ContainerEnd, Runtime


@dataclass(slots=True)
class CrashCounter:
    """Counts the exits of one component's container, from the first attempt that this run saw.

    The number of an attempt is no count: the kubelet continues it from old logs, and the cause of earlier exits may be fixed.
    `most`: exits after which waiting does not help any more.
    """

    most: int
    _first: int | None = None

    def begin_at(self, attempt: int | None) -> None:
        """Starts the count at this attempt, or with None at the next one seen: we caused the exits before it."""
        self._first = attempt

    def ends(self, newest: Container) -> int:
        """Returns how many attempts have exited once `newest` has."""
        return newest.attempt - (self._first if self._first is not None else newest.attempt) + 1

    def last_end(self, runtime: Runtime, newest: Container) -> ContainerEnd | None:
        """Returns how `newest` ended once `most` exits are reached, else None. Raises `CriError`."""
        if self._first is None or newest.attempt < self._first:
            # The kubelet counts the attempts of another pod from 0: a manifest that was changed makes one.
            self._first = newest.attempt
        if newest.running:
            return None
        end = runtime.container_end(newest.id)
        return end if end.finished_at and self.ends(newest) >= self.most else None
