"""What the engine asks of whatever runs a joiner's etcd: a process, a systemd unit, a static pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from quorate.core.decide_join import ProcessState
from quorate.core.join_memory import JoinMemory
from quorate.etcd.client.endpoint import Endpoint, Tls

NOTHING = JoinMemory()


@dataclass(frozen=True, slots=True)
class Process:
    """Whether the etcd process is there, and if it ended, what is known about why."""

    state: ProcessState
    note: str = ""


class Runtime(Protocol):
    """One member's etcd. All methods are idempotent and raise `HostError`."""

    can_restart: bool
    can_wipe: bool
    """Whether this host holds its data, so that `wipe` can delete it."""

    def process(self) -> Process:
        """The process as it is now."""
        ...

    def start(self, initial_cluster: Sequence[tuple[str, str]]) -> None:
        """Start it if it does not run; `initial_cluster` matters only while its data directory is empty."""
        ...

    def restart(self) -> None:
        """End it gracefully and start it again on the same data."""
        ...

    def stop(self) -> None:
        """End it; returns when it has ended."""
        ...

    def has_data(self) -> bool:
        """Whether its data directory holds a log of etcd's."""
        ...

    def data_member(self) -> int:
        """The member id that the data here is of; 0 where there is none, or it cannot be read."""
        ...

    def has_leftovers(self) -> bool:
        """Whether anything that `wipe` would delete is there."""
        ...

    def received_bytes(self) -> int | None:
        """How much of the database has arrived on its disk; None when this host cannot tell."""
        ...

    def links(self, peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:
        """Whether its etcd and each of `peers` (ids to peer URLs) hold connections that both dialed, as this host's kernel
        sees them; None where this host cannot see them."""
        ...

    def wipe(self) -> None:
        """Delete its data. The engine calls this last, when the member was observed to be absent."""
        ...


@dataclass(frozen=True, slots=True)
class JoinSpec:
    """A member to be: where it will be reached by peers and by clients, and with which TLS its peer port is asked.

    `client` is None where only its own publish will tell; it is asked nothing before that. `memory`: what an earlier run of
    this join did, as far as this host knows.
    """

    name: str
    peer_url: str
    client: Endpoint | None
    peer_tls: Tls | None
    memory: JoinMemory = NOTHING
