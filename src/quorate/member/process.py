"""A member as a plain process that outlives the command which started it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quorate.core.finding import Finding
from quorate.deadline import SystemClock
from quorate.etcd.membership.runtime import Process
from quorate.host import etcd_data, tcp_links
from quorate.host.daemon import Daemon
from quorate.host.environment import for_programs
from quorate.host.etcd_identity import member_of
from quorate.member.data_dir import DataDir
from quorate.member.spec import EtcdSpec, flags, settings


@dataclass(slots=True)
class PlainProcess:
    """Runs `spec`; its output and the identity of its process are kept beside the data."""

    spec: EtcdSpec
    clock: SystemClock
    can_restart: bool = True
    can_wipe: bool = True

    @property
    def place(self) -> DataDir:
        return DataDir(self.spec)

    @property
    def daemon(self) -> Daemon:
        beside = self.spec.beside
        return Daemon(beside, beside / "process.json", beside / "output.log")

    def findings(self) -> list[Finding]:
        """What stands in the way of this runtime here: nothing ever does."""
        return []

    def process(self, name: str) -> Process:  # noqa: ARG002
        state = self.daemon.state()
        return Process(state, self.daemon.last_words() if state == "exited" else "")

    def start(self, name: str, initial_cluster: Sequence[tuple[str, str]]) -> None:  # noqa: ARG002
        self.place.prepare()
        self.daemon.start([str(self.spec.program), *flags(settings(self.spec, initial_cluster))], for_programs(os.environ))

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name, [(name, self.spec.peer_url)])

    def stop(self, name: str) -> None:  # noqa: ARG002
        self.daemon.stop(self.clock)

    def has_data(self, name: str) -> bool:  # noqa: ARG002
        return self.spec.has_data

    def data_member(self, name: str) -> int:  # noqa: ARG002
        return member_of(self.spec.data_dir)

    def has_leftovers(self, name: str) -> bool:  # noqa: ARG002
        return self.place.is_begun

    def received_bytes(self, name: str) -> int | None:  # noqa: ARG002
        return etcd_data.received_bytes(self.spec.data_dir)

    def links(self, name: str, peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:  # noqa: ARG002
        """Its etcd uses this host's network."""
        table = tcp_links.connections()
        return tcp_links.linked_peers(table, [self.spec.peer_url], peers) if table is not None else None

    def wipe(self, name: str) -> None:  # noqa: ARG002
        self.place.give_back()
