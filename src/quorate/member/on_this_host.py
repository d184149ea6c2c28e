"""Facts about a member whose etcd runs on this host, from its files and the kernel; the same for every runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from quorate.host import etcd_data, tcp_links
from quorate.host.etcd_identity import member_of


class _Placed(Protocol):
    @property
    def data_dir(self) -> Path: ...

    @property
    def peer_url(self) -> str: ...


class OnThisHost:
    """The common part of the runtimes of this host; each provides `data_dir` and `peer_url`."""

    __slots__ = ()

    def has_data(self: _Placed) -> bool:
        return etcd_data.has_log(self.data_dir)

    def data_member(self: _Placed) -> int:
        return member_of(self.data_dir)

    def received_bytes(self: _Placed) -> int | None:
        return etcd_data.received_bytes(self.data_dir)

    def links(self: _Placed, peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:
        """Returns which peers are connected, from the kernel's table of connections: the etcd uses this host's network."""
        table = tcp_links.connections() if self.peer_url else None
        return tcp_links.linked_peers(table, [self.peer_url], peers) if table is not None else None
