"""A writer beside a fault: what was acknowledged must be there afterwards, and how long no write went through."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from quorate.etcd.client import kv
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.local.home import Home

ELECTION_SECONDS = 4.0
"""The longest a write may wait: an election takes up to two timeouts of 1 s, and the writer's own call up to 1 s more."""


@dataclass
class Writer:
    """Writes `w/0`, `w/1`, … through whoever answers."""

    access: Access
    endpoints: list[Endpoint]
    acknowledged: list[int] = field(default_factory=list)
    longest_gap: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)
    pause: float = 0.002

    def run(self) -> None:
        number, last = 0, time.monotonic()
        while not self.over.is_set():
            number += 1
            try:
                kv.put(self.access.channel(self.endpoints[0]), key(number), b"v" * 100, timeout=1.0)
            except EtcdError:
                self.endpoints.append(self.endpoints.pop(0))
                time.sleep(0.01)
                continue
            now = time.monotonic()
            self.acknowledged.append(number)
            self.longest_gap, last = max(self.longest_gap, now - last), now
            time.sleep(self.pause)
        self.longest_gap = max(self.longest_gap, time.monotonic() - last)

    def check(self, access: Access, endpoints: Sequence[Endpoint]) -> None:
        """Every acknowledged write is there, as each of `endpoints` reads it."""
        for endpoint in endpoints:
            found = {row.key for row in kv.get_prefix(access.channel(endpoint), b"w/", timeout=10)}
            lost = [number for number in self.acknowledged if key(number) not in found]
            assert lost == [], f"{len(lost)} acknowledged writes are not on {endpoint}"


def key(number: int) -> bytes:
    return f"w/{number:06}".encode()


@contextmanager
def writing(home: Home, *, longest: float = ELECTION_SECONDS) -> Iterator[Writer]:
    """A writer on a local cluster for the block; afterwards nothing acknowledged is lost, and no write waited too long."""
    with home.access() as access:
        writer = Writer(access, home.seeds())
        thread = threading.Thread(target=writer.run)
        thread.start()
        try:
            yield writer
        finally:
            writer.over.set()
            thread.join()
    with home.access() as access:
        view = home.observe(access)
        alive = [member.client for member in home.load().members if _serves(view, member.peer_url)]
        writer.check(access, alive)
    assert len(writer.acknowledged) > 10
    assert writer.longest_gap < longest, f"{writer.longest_gap:.1f} s without a write"


def _serves(view, peer_url: str) -> bool:  # type: ignore[no-untyped-def]
    member = view.by_peer_urls((peer_url,))
    return member is not None and not member.is_learner and view.answer(member.id) is not None
