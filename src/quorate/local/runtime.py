"""Members as plain processes that outlive the command which started them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.etcd.membership.runtime import Process
from quorate.files import make_folder, remove_tree
from quorate.foreign.trust import distrust_way
from quorate.host import etcd_binary, etcd_data, ports, process, tcp_links
from quorate.host.daemon import Daemon
from quorate.host.environment import for_programs
from quorate.host.etcd_identity import member_of
from quorate.host.process import Identity
from quorate.local.command import etcd_command
from quorate.local.layout import Layout, MemberPaths
from quorate.local.state import State

_KEPT_LOG_BYTES = 32 << 20


@dataclass(slots=True)
class ProcessRuntime:
    """Runs the members of one local cluster; `state` is replaced by its owner as members come and go."""

    layout: Layout
    state: State
    clock: SystemClock
    can_restart: bool = True
    can_wipe: bool = True

    def daemon(self, name: str) -> Daemon:
        return daemon_of(self.layout.member(name))

    def identity(self, name: str) -> Identity | None:
        """The member's running process."""
        return self.daemon(name).identity()

    def process(self, name: str) -> Process:
        daemon = self.daemon(name)
        state = daemon.state()
        return Process(state, daemon.last_words() if state == "exited" else "")

    def describe(self, name: str) -> str:
        """running, paused or stopped."""
        identity = self.identity(name)
        if identity is None:
            return "stopped"
        return "paused" if process.is_stopped(identity) else f"running (pid {identity.pid})"

    def start(self, name: str, initial_cluster: Sequence[tuple[str, str]]) -> None:
        if self.identity(name) is not None:
            return
        member, paths = self.state.member(name), self.layout.member(name)
        for port in (member.peer_port, member.client_port):
            if not ports.is_free(port):
                raise HostError(
                    f"{name} cannot start: port {port} of {ports.LOOPBACK}, which it had, is taken by another process",
                    advice=f"free the port ('ss -ltnp sport = :{port}' names its owner), then run the same command again",
                )
        make_folder(paths.data)
        _rotate(paths.log)
        _refuse_doubtful(member.etcd, self.layout)
        version = etcd_binary.read_version(Path(member.etcd))
        command = etcd_command(member, paths, self.state, version, initial_cluster)
        self.daemon(name).start(command, for_programs(os.environ))

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name, [(name, self.state.member(name).peer_url)])

    def stop(self, name: str) -> None:
        """End it gracefully and forget its process, so that it counts as absent and not as one that failed."""
        self.daemon(name).stop(self.clock)

    def has_data(self, name: str) -> bool:
        return self.layout.member(name).has_data

    def data_member(self, name: str) -> int:
        return member_of(self.layout.member(name).data)

    def has_leftovers(self, name: str) -> bool:
        return self.layout.member(name).folder.exists()

    def received_bytes(self, name: str) -> int | None:
        return etcd_data.received_bytes(self.layout.member(name).data)

    def links(self, name: str, peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:
        table = tcp_links.connections()
        return tcp_links.linked_peers(table, [self.state.member(name).peer_url], peers) if table is not None else None

    def wipe(self, name: str) -> None:
        """Delete everything of the member: the engine has seen that it is no member any more."""
        remove_tree(self.layout.member(name).folder)


def _refuse_doubtful(program: str, layout: Layout) -> None:
    """The file of state names a program. Raises `HostError` for one that another user could have put there."""
    doubt = distrust_way(Path(program))
    if doubt:
        raise HostError(
            f"{program} is not run: {doubt}",
            state="nothing was started",
            advice=f"see what it is, and who wrote {layout.state}; or pass another with --etcd",
        )


def daemon_of(paths: MemberPaths) -> Daemon:
    """A member's process, by its files."""
    return Daemon(paths.folder, paths.process, paths.output, paths.log)


def _rotate(log: Path) -> None:
    """For etcd 3.4, which does not rotate: one older file is kept."""
    if log.exists() and log.stat().st_size > _KEPT_LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))
