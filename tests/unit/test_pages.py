"""Pages over connections that are kept: fewer handshakes, and no answer is lost by it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.pages import Pages

PAGE = b"etcd_server_is_leader 1\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE)


@dataclass
class Member:
    """A server that keeps its connections. `leaves`: it closes the next one when it has read a request."""

    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    accepted: list[socket.socket] = field(default_factory=list[socket.socket])
    leaves: bool = False
    status: bytes = b"200 OK"
    meet: threading.Barrier | None = None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.listening.getsockname()[1])

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self.listening.accept()
                self.accepted.append(taken)
                threading.Thread(target=self.serve, args=(taken,), daemon=True).start()

    def serve(self, taken: socket.socket) -> None:
        with suppress(OSError):
            while taken.recv(4096):
                if self.leaves:
                    self.leaves = False
                    taken.shutdown(socket.SHUT_RDWR)
                    return
                if self.meet is not None:
                    self.meet.wait(10)
                taken.sendall(ANSWER.replace(b"200 OK", self.status))


@contextmanager
def serving() -> Iterator[Member]:
    member = Member()
    thread = threading.Thread(target=member.accept, daemon=True)
    thread.start()
    try:
        yield member
    finally:
        for one in (member.listening, *member.accepted):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        thread.join(10)


def is_open(taken: socket.socket) -> bool:
    """Whether the client has kept its end, within a second."""
    taken.settimeout(1)
    try:
        return bool(taken.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return True


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.forget()


def test_one_connection_serves_page_after_page(pages: Pages) -> None:
    with serving() as member:
        for _ in range(5):
            found = pages.scrape(member.endpoint, None, timeout=5)
            assert found is not None and found.leads
        assert len(member.accepted) == 1


def test_a_connection_that_the_member_closed_costs_no_page(pages: Pages) -> None:
    """A member that was started anew answers on a new connection: `no page` would count as a member that does not answer."""
    with serving() as member:
        assert pages.scrape(member.endpoint, None, timeout=5)
        member.leaves = True
        assert pages.scrape(member.endpoint, None, timeout=5)
        assert len(member.accepted) == 2


def test_a_new_connection_that_fails_is_no_page_and_is_not_asked_again(pages: Pages) -> None:
    with serving() as member:
        member.leaves = True
        assert pages.scrape(member.endpoint, None, timeout=5) is None
        assert len(member.accepted) == 1


def test_a_server_without_metrics_is_asked_once(pages: Pages) -> None:
    with serving() as member:
        member.status = b"404 Not Found"
        assert pages.scrape(member.endpoint, None, timeout=5) is None
        assert pages.scrape(member.endpoint, None, timeout=5) is None
        assert len(member.accepted) == 1


def test_pages_at_once_have_a_connection_each(pages: Pages) -> None:
    """One far member is asked for several pages at once; two answers must not meet on one connection."""
    with serving() as member:
        member.meet = threading.Barrier(3)
        asking = [threading.Thread(target=pages.scrape, args=(member.endpoint, None), kwargs={"timeout": 5}) for _ in range(3)]
        for one in asking:
            one.start()
        for one in asking:
            one.join(10)
        assert len(member.accepted) == 3
        member.meet = None
        for _ in range(3):
            assert pages.scrape(member.endpoint, None, timeout=5)
        assert len(member.accepted) == 3


def test_other_credentials_need_other_connections(pages: Pages) -> None:
    """A connection goes on with the certificate that it began with."""
    with serving() as member:
        assert pages.scrape(member.endpoint, None, timeout=5)
        pages.forget()
        assert not is_open(member.accepted[0])
        assert pages.scrape(member.endpoint, None, timeout=5)
        assert len(member.accepted) == 2
