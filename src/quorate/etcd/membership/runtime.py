"""The engine's interface to what runs a joiner's etcd: a process, a systemd unit, a static pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from quorate.arguments import checked
from quorate.core.decide_join import ProcessState
from quorate.core.join_memory import JoinMemory
from quorate.etcd.client.endpoint import Endpoint, Tls

NOTHING = JoinMemory()


@dataclass(frozen=True, slots=True)
class Process:
    """The state of the etcd process. `note`: if it ended, what is known about the reason; while another party's etcd runs or is
    to be started, what to look at when nothing is seen of it."""

    state: ProcessState
    note: str = ""


class Runtime(Protocol):
    """One member's etcd. All methods are idempotent and raise `HostError`."""

    can_restart: bool
    can_wipe: bool
    """Whether this host holds its data, so that `wipe` can delete it."""

    def process(self) -> Process:
        """Returns the process as it is now."""
        ...

    def start(self, initial_cluster: Sequence[tuple[str, str]]) -> None:
        """Starts it if it does not run; `initial_cluster` matters only while its data directory is empty."""
        ...

    def restart(self) -> None:
        """Ends it gracefully and starts it again on the same data."""
        ...

    def stop(self) -> None:
        """Ends it; returns when it has ended."""
        ...

    def has_data(self) -> bool:
        """Returns whether its data directory holds a write-ahead log of etcd."""
        ...

    def data_member(self) -> int:
        """Returns the member id in the data on this host; 0 when there is none. Raises `Refused` when it cannot be read."""
        ...

    def has_leftovers(self) -> bool:
        """Returns whether there is anything that `wipe` would delete."""
        ...

    def received_bytes(self) -> int | None:
        """Returns how many bytes of the database have arrived on its disk; None when this host cannot tell."""
        ...

    def links(self, peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:
        """Returns, for each of `peers` (ids to peer URLs), whether it and this etcd hold connections that both dialed, as this
        host's kernel sees them; None where this host cannot see them."""
        ...

    def wipe(self, owner: int | None) -> None:
        """Deletes its data, if that is of the member `owner` (None: of any, where the caller holds what nobody else may use).
        The engine calls this last, when the member was observed to be absent. Raises `HostError`, with nothing deleted, for
        data of another member: one that has joined here while this run was suspended."""
        ...


@checked
@dataclass(frozen=True, slots=True)
class JoinSpec:
    """A future member: its URLs for peers and for clients, and the TLS settings with which its peer port is asked.

    `client` is None when only the member's own publish will show it; until then the member is not asked. `memory`: what an
    earlier run of this join did, as far as this host knows.
    """

    name: str
    peer_url: str
    client: Endpoint | None
    peer_tls: Tls | None
    memory: JoinMemory = NOTHING
