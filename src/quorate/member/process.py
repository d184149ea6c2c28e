"""A member as a plain process that outlives the command which started it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from quorate.deadline import SystemClock
from quorate.etcd.membership.runtime import Process
from quorate.host.daemon import Daemon
from quorate.host.environment import for_programs
from quorate.member.data_dir import OUTPUT, RECORD, DataDir
from quorate.member.on_this_host import OnThisHost
from quorate.member.spec import EtcdSpec, flags, settings


class Files(Protocol):
    """The files of a member: made before its first start, and deleted by an undo."""

    @property
    def is_begun(self) -> bool:
        """Returns whether anything exists that `give_back` would delete."""
        ...

    def prepare(self) -> None:
        """Makes what the process needs; raises `HostError` where it cannot start."""
        ...

    def give_back(self, owner: int | None) -> None:
        """Deletes what is ours, if the data is of the member `owner`; as `Runtime.wipe`."""
        ...


@dataclass(slots=True)
class PlainProcess(OnThisHost):
    """The process of the member `name`. `command` makes its command line for these rows of --initial-cluster."""

    name: str
    peer_url: str
    data_dir: Path
    daemon: Daemon
    files: Files
    command: Callable[[Sequence[tuple[str, str]]], list[str]]
    clock: SystemClock
    can_restart: bool = True
    can_wipe: bool = True

    def process(self) -> Process:
        state = self.daemon.state()
        return Process(state, self.daemon.last_words() if state == "exited" else "")

    def start(self, initial_cluster: Sequence[tuple[str, str]]) -> None:
        if self.daemon.identity() is not None:
            return
        self.files.prepare()
        self.daemon.start(self.command(initial_cluster), for_programs(os.environ))

    def restart(self) -> None:
        self.stop()
        self.start([(self.name, self.peer_url)])

    def stop(self) -> None:
        """Stops the process gracefully and forgets it, so that it counts as absent and not as failed."""
        self.daemon.stop(self.clock)

    def has_leftovers(self) -> bool:
        return self.files.is_begun

    def wipe(self, owner: int | None) -> None:
        self.files.give_back(owner)


def process_of(spec: EtcdSpec, clock: SystemClock) -> PlainProcess:
    """Returns the runtime of `spec`; its output and the identity of its process are kept next to the data."""
    beside = spec.beside
    daemon = Daemon(beside, beside / RECORD, beside / OUTPUT)

    def command(rows: Sequence[tuple[str, str]]) -> list[str]:
        return [str(spec.program), *flags(settings(spec, rows))]

    return PlainProcess(spec.name, spec.peer_url, spec.data_dir, daemon, DataDir(spec), command, clock)
