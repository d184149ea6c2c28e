"""The channels of one run: one per member, opened when first needed, and a pool of threads to ask them in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from quorate.deadline import Cancel
from quorate.errors import ConfigError
from quorate.etcd.client.channel import Channel, OpenCalls
from quorate.etcd.client.endpoint import Endpoint, Login, Tls
from quorate.etcd.client.errors import EtcdError, Unreachable
from quorate.etcd.client.pages import Pages
from quorate.etcd.client.routes import Routes

if TYPE_CHECKING:
    from quorate.etcd.client.metrics import Metrics
    from quorate.etcd.client.peer_port import PeerMembers

T = TypeVar("T")
_MOST_AT_ONCE = 32
_LOGIN_SECONDS = 5.0
"""etcd hashes the password with bcrypt, which takes longer than one round waits for a learner."""


class Access:
    """The connections of one run. Use it in a `with`. Every wait ends when `cancel` requests a stop."""

    def __init__(self, tls: Tls | None = None, login: Login | None = None, cancel: Cancel | None = None) -> None:
        self.tls = tls
        self.cancel = cancel
        self.routes = Routes()
        self._pages = Pages(cancel)
        self.open_statuses: dict[Endpoint, Future[Any]] = {}
        self._login = login
        self._channels: dict[Endpoint, Channel] = {}
        self._calls: OpenCalls = {}
        self._lent: str | None = None
        self._closed = False
        self._pool = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="quorate-ask")

    def again(self) -> Access:
        """Returns another one with the same TLS and login, for another thread."""
        return Access(self.tls, self._login, self.cancel)

    def channel(self, endpoint: Endpoint) -> Channel:
        """Returns the channel to `endpoint`, opened at first use. Raises `ConfigError` once this is closed."""
        if self._closed:
            raise ConfigError("the connections to this cluster are closed", advice="use the cluster inside its 'with' block")
        if endpoint not in self._channels:
            self._channels[endpoint] = Channel(
                endpoint, self.tls, self._login, self._lend_token, cancel=self.cancel, calls=self._calls
            )
        return self._channels[endpoint]

    def _lend_token(self, refused: str | None, timeout: float) -> str:
        """Returns a token for members that reject Authenticate. A login costs the cluster a slow hash and a write, so a token
        is kept until it is refused: by a learner added after the token was issued, or because the token expired."""
        if self._lent is None or self._lent == refused:
            self._lent = self._log_in_somewhere(max(timeout, _LOGIN_SECONDS))
        return self._lent

    def _log_in_somewhere(self, timeout: float) -> str:
        failure: EtcdError | None = None
        for channel in list(self._channels.values()):
            try:
                return channel.log_in(self._login, timeout) if self._login else ""
            except EtcdError as error:
                failure = error
        raise failure or Unreachable("no member to log in at")

    def unanswered(self, seconds: float) -> list[str]:
        """Returns the endpoints that owe an answer for at least so many seconds, each with what was asked."""
        before = time.monotonic() - seconds
        # Other threads open and end calls meanwhile.
        return list(dict.fromkeys(what for what, began in self._calls.copy().values() if began <= before))

    def renew(self, endpoint: Endpoint) -> None:
        """Closes the channel: the next one connects at once, where grpc would back off for 100 ms and more."""
        channel = self._channels.pop(endpoint, None)
        if channel is not None:
            channel.close()

    def use(self, tls: Tls) -> None:
        """Uses other credentials from the next call on. Calls that are open end without an answer: make none meanwhile."""
        self.tls = tls
        for endpoint in list(self._channels):
            self.renew(endpoint)
        self._pages.forget()
        self.open_statuses.clear()

    def ask_all(self, ask: Callable[[Channel], T], endpoints: Iterable[Endpoint]) -> list[Future[T]]:
        """Runs `ask` on every endpoint in parallel; each future returns the answer or raises that endpoint's error."""
        return [self._pool.submit(ask, channel) for channel in [self.channel(endpoint) for endpoint in endpoints]]

    def submit(self, ask: Callable[[Channel], T], endpoint: Endpoint) -> Future[T]:
        """Runs `ask` on one endpoint in another thread."""
        return self._pool.submit(ask, self.channel(endpoint))

    def scrape(self, endpoint: Endpoint, *, of: int, timeout: float) -> Metrics | None:
        """Returns the metrics of the member `of`, or None when they cannot be read, and for a page of anybody else: by the
        pages of another cluster behind one address a live voter was lost."""
        found = self._pages.scrape(endpoint, self.tls, timeout=timeout)
        return found if found is not None and found.is_of(of) else None

    def peer_members(self, peer_url: str, tls: Tls | None, *, timeout: float) -> PeerMembers | None:
        """Returns the member list that a peer port serves, or None."""
        from quorate.etcd.client import peer_port

        return peer_port.members(peer_url, tls, timeout=timeout, cancel=self.cancel)

    def close(self) -> None:
        self._closed = True
        # Channels first: that ends the calls to hung members, for which the pool would wait.
        for channel in list(self._channels.values()):
            channel.close()
        self._channels.clear()
        self._pages.forget()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Access:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
