"""A writer that runs during a change and measures how long the cluster accepted no writes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from quorate.deadline import Clock
from quorate.etcd.client import kv
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError

EVERY_SECONDS = 0.02
"""Seconds between two writes: also the smallest gap that can be measured."""

_WRITE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class WriteGap:
    """The number of acknowledged writes, and the longest time between two of them (or until the end), in seconds."""

    writes: int
    longest: float

    def as_dict(self) -> dict[str, object]:
        """Returns the gap as `-o json` shows it."""
        return {"writes": self.writes, "longestGapSeconds": self.longest}


class WriteProbe:
    """A writer that puts its own small key all the time in its `with`, and goes to the next endpoint when one fails. The key is
    deleted at the end. The probe owns `access`."""

    def __init__(self, access: Access, endpoints: Sequence[Endpoint], clock: Clock) -> None:
        self._access, self._endpoints, self._clock = access, list(endpoints), clock
        self._key = f"/quorate/probe/{secrets.token_hex(4)}".encode()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, name="quorate-probe", daemon=True)
        self._writes, self._longest, self._last = 0, 0.0, clock.now()

    @property
    def gap(self) -> WriteGap:
        return WriteGap(self._writes, round(self._longest, 3))

    def _write(self) -> None:
        self._last = self._clock.now()
        while not self._over.is_set():
            self._write_once()
            self._over.wait(EVERY_SECONDS)
        self._longest = max(self._longest, self._clock.now() - self._last)

    def _write_once(self) -> None:
        try:
            kv.put(self._access.channel(self._endpoints[0]), self._key, b"", timeout=_WRITE_SECONDS)
        except EtcdError:
            # The gap grows; the next try goes to the next member.
            self._endpoints.append(self._endpoints.pop(0))
            return
        now = self._clock.now()
        self._writes, self._longest, self._last = self._writes + 1, max(self._longest, now - self._last), now

    def __enter__(self) -> WriteProbe:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        try:
            kv.delete(self._access.channel(self._endpoints[0]), self._key, timeout=_WRITE_SECONDS)
        except EtcdError:
            # One empty key of ours stays in etcd, which does no harm.
            pass
        finally:
            self._access.close()
