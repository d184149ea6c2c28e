"""`Access` and `Channel` over the simulated world: the same surface, real wire messages, errors through `classify`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from model.sim import pages
from model.sim.futures import SimFuture
from model.sim.world import World
from quorate.etcd.client.channel import NO_HANDOVER, Channel, Handover
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, Login, Tls
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.client.peer_port import PeerMembers
from quorate.etcd.client.rpc import Method, Req

T = TypeVar("T")
Res = TypeVar("Res")


class SimChannel(Channel):
    """Calls on whoever answers at `endpoint` in the world."""

    def __init__(self, endpoint: Endpoint, world: World) -> None:
        self.endpoint = endpoint
        self._world = world

    def call(self, method: Method[Req, Res], request: Req, timeout: float) -> Res:
        answer: Res = self._world.call(self.endpoint.target, method, request, timeout)
        return answer

    def call_once(self, method: Method[Req, Res], request: Req, timeout: float, handover: Handover = NO_HANDOVER) -> Res:
        with handover:
            pass
        return self.call(method, request, timeout)

    def log_in_first(self, timeout: float) -> None:
        """No login is needed."""

    def server_stream(
        self, method: Method[Req, Res], request: Req, timeout: float, gather: Callable[[Iterable[Res]], Iterator[T]]
    ) -> Iterator[T]:
        return gather([self.call(method, request, timeout)])

    def bidi_stream(self, method: Method[Req, Res], requests: Iterable[Req], timeout: float) -> Iterator[Res]:
        """One answer for each request; enough for a lease's keep-alive."""
        for request in requests:
            yield self.call(method, request, timeout)

    def log_in(self, login: Login, timeout: float) -> str:  # noqa: ARG002
        return "token"

    def close(self) -> None:
        """Nothing is open."""


class SimAccess(Access):
    """How the tool reaches the simulated members. What is asked side by side is asked at one moment of the world."""

    def __init__(self, world: World, tls: Tls | None = None) -> None:
        super().__init__(tls)
        self._world = world
        self._open: dict[Endpoint, SimChannel] = {}

    def again(self) -> SimAccess:
        return SimAccess(self._world, self.tls)

    def channel(self, endpoint: Endpoint) -> SimChannel:
        return self._open.setdefault(endpoint, SimChannel(endpoint, self._world))

    def renew(self, endpoint: Endpoint) -> None:
        self._open.pop(endpoint, None)

    def ask_all(self, ask: Callable[[Channel], T], endpoints: Iterable[Endpoint]) -> list[Future[T]]:
        return [self.submit(ask, endpoint) for endpoint in endpoints]

    def submit(self, ask: Callable[[Channel], T], endpoint: Endpoint) -> Future[T]:
        return self._ask(ask, self.channel(endpoint))

    def _ask(self, ask: Callable[[Channel], T], channel: SimChannel) -> SimFuture[T]:
        future: SimFuture[T] = SimFuture(self._world.clock)
        with self._world.clock.aside():
            try:
                future.set_result(ask(channel))
            except Exception as error:
                future.set_exception(error)
            future.came_at = self._world.clock.local
        return future

    def scrape(self, endpoint: Endpoint, *, of: int, timeout: float) -> Metrics | None:
        found = pages.scrape(self._world, endpoint, timeout)
        return found if found is not None and found.is_of(of) else None

    def peer_members(self, peer_url: str, tls: Tls | None, timeout: float) -> PeerMembers | None:  # noqa: ARG002
        return pages.peer_members(self._world, peer_url, timeout)

    def close(self) -> None:
        self._open.clear()
