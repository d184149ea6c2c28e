"""Members that are far away: what is said of their links is still exact enough to be used."""

from __future__ import annotations

import pytest

from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.observation.link_counters import _scrape
from quorate.host import ports
from quorate.local import cluster
from quorate.local.home import Home
from real.rows.relay import delayed

pytestmark = pytest.mark.real


def test_a_page_from_afar_is_exact_enough_with_tls(home: Home, etcd36: str) -> None:
    """A fifth of a second there and back: with a handshake for each page, at least 0.6 s, every page was dropped, and each link
    was only assumed to work."""
    cluster.up(home, 1, etcd36)
    (member,) = home.load().members
    (port,) = ports.reserve(1, home.layout.root)
    with delayed(port, member.client.port, 0.1), home.access() as access:
        assert access.tls is not None
        (listed,) = home.look().members
        channel = access.channel(Endpoint("127.0.0.1", port, tls=member.client.tls))
        # The first one makes the connection; on a busy machine another may be late.
        pages = [_scrape(access, home.clock, listed.id, channel) for _ in range(10)]
        assert pages[0] is None and any(page is not None for page in pages)
