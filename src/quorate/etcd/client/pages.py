"""The metrics pages of members, asked for over connections that are kept.

A page is asked for every fifth of a second while a link is in question. A connection of its own for each costs a handshake,
with TLS three times there and back: no page of a member 0.1 s away was exact enough to judge a link by.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from quorate.deadline import Cancel
from quorate.etcd.client.endpoint import Endpoint, Tls

if TYPE_CHECKING:
    from quorate.etcd.client.metrics import Metrics
    from quorate.foreign.http import Connection

_MOST_KEPT = 12
"""For one endpoint: as many pages are under way at once where a member is far."""
_IDLE_SECONDS = 60.0


class Pages:
    """Asks for pages, from several threads. Each connection serves one request at a time; there are as many as are needed at
    once."""

    def __init__(self, cancel: Cancel | None = None) -> None:
        self._cancel = cancel
        self._kept: dict[Endpoint, list[tuple[Connection, float]]] = {}
        self._epoch = 0
        self._one_at_a_time = threading.Lock()

    def scrape(self, endpoint: Endpoint, tls: Tls | None, *, timeout: float) -> Metrics | None:
        """Returns the metrics at a client port, or None: metrics may be served elsewhere, or not at all."""
        from quorate.etcd.client import metrics
        from quorate.foreign.http import Connection, HttpFailed

        end = time.monotonic() + timeout
        kept, epoch = self._take(endpoint)
        connection = kept or Connection(metrics.site_of(endpoint, tls), cancel=self._cancel)
        # A kept one may have been closed while the request was under way, by a member that was started anew. A failed one
        # connects anew.
        for _ in range(2 if kept else 1):
            with suppress(HttpFailed):
                found = metrics.read(connection, timeout=end - time.monotonic())
                self._keep(endpoint, connection, epoch)
                return found
        return None

    def forget(self) -> None:
        """Closes every connection, also those in use once they are free: the credentials have changed."""
        with self._one_at_a_time:
            kept = [one for many in self._kept.values() for one, _ in many]
            self._kept.clear()
            self._epoch += 1
        for one in kept:
            one.close()

    def _take(self, endpoint: Endpoint) -> tuple[Connection | None, int]:
        with self._one_at_a_time:
            idle = self._kept.get(endpoint)
            return (idle.pop()[0] if idle else None), self._epoch

    def _keep(self, endpoint: Endpoint, connection: Connection, epoch: int) -> None:
        now = time.monotonic()
        with self._one_at_a_time:
            old = [one for many in self._kept.values() for one, at in many if now - at > _IDLE_SECONDS]
            self._kept = {
                where: young for where, many in self._kept.items() if (young := [one for one in many if one[0] not in old])
            }
            if epoch == self._epoch and len(idle := self._kept.setdefault(endpoint, [])) < _MOST_KEPT:
                idle.append((connection, now))
            else:
                old.append(connection)
        for one in old:
            one.close()
