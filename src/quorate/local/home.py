"""The open directory of a local cluster: its saved state, lock, journal, runtimes, and connections to its members."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from quorate import journal
from quorate.core.membership import ClusterView
from quorate.deadline import SystemClock
from quorate.errors import ConfigError, HostError
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.membership.executor import Note
from quorate.etcd.observation.look import LookTimeouts, observe
from quorate.etcd.observation.write_probe import WriteProbe
from quorate.files import make_folder
from quorate.foreign.trust import distrust_way
from quorate.host import etcd_binary, lock
from quorate.host.daemon import Daemon
from quorate.host.etcd_binary import EtcdBinary
from quorate.local import certificates, state
from quorate.local.layout import Layout, check_root
from quorate.local.remains import members_left, state_is_gone
from quorate.local.runtime import daemon_of, process_of
from quorate.local.state import State
from quorate.member.process import PlainProcess
from quorate.report import Notice, Report, silent

_PATIENCE = LookTimeouts(members=2.0, status=1.0)


@dataclass(slots=True)
class Home:
    """The directory as every verb uses it. `lock_seconds`: how long to wait for another command on this directory;
    `stall_seconds`: how long a join may go without progress."""

    layout: Layout
    clock: SystemClock = field(default_factory=SystemClock)
    report: Report = silent
    lock_seconds: float = 120.0
    stall_seconds: float = 60.0
    was_there: bool = True
    _warned: set[str] = field(default_factory=set[str])
    _believed: bool = False

    def load(self) -> State:
        """Returns the saved state; raises `ConfigError` when there is no cluster here."""
        self._refuse_doubtful()
        saved = state.load(self.layout.state)
        if saved is None and members_left(self.layout):
            raise state_is_gone(self.layout)
        if saved is None or not saved.members:
            raise ConfigError(
                f"there is no local cluster in {self.layout.root}",
                advice=f"quorate local up {self.layout.option}",
            )
        return saved

    def _refuse_doubtful(self) -> None:
        """Raises `HostError` when another user could write to the directory: its files name programs that we run, and processes
        that we stop."""
        if self._believed:
            return
        try:
            if not self.layout.root.exists():
                return
        except OSError as error:
            raise HostError(
                f"cannot enter the directory {self.layout.root}: {error.strerror}",
                advice="run this as its owner, or choose a directory of your own with --dir",
            ) from None
        doubt = distrust_way(self.layout.root)
        if doubt:
            raise HostError(
                f"the directory {self.layout.root} is not trusted: {doubt}",
                advice="run this as its owner; if others may write there, revoke that: chmod go-w",
            )
        self._believed = True

    def save(self, saved: State) -> None:
        state.save(self.layout.state, saved)

    def runtime(self, name: str) -> PlainProcess:
        """Returns the runtime of the member's etcd; raises `ConfigError` when there is no member of that name."""
        return process_of(self.layout, self.load(), name, self.clock, self.report)

    def daemon(self, name: str) -> Daemon:
        """Returns the member's process, also when the saved state no longer has the member."""
        return daemon_of(self.layout.member(name))

    def running(self) -> list[str]:
        """Returns the names of the members whose process runs, paused ones too."""
        return [member.name for member in self.load().members if self.daemon(member.name).identity() is not None]

    def access(self) -> Access:
        """Returns connections to the members; raises `ConfigError` when there is no cluster here."""
        self.load()
        try:
            return Access(certificates.client_tls(self.layout), cancel=self.clock.cancel)
        except ConfigError as error:
            error.advice = error.own_advice or f"quorate local up {self.layout.option}    # creates a missing certificate again"
            raise

    def seeds(self) -> list[Endpoint]:
        """Returns the first endpoints to ask. Joiners serve no member list; a leaving member may be the only one that is up."""
        return [member.client for member in self.load().members if member.phase != "joining"]

    def observe(self, access: Access) -> ClusterView:
        """Returns one look at the cluster; raises an `EtcdError` when no member answers."""
        unpublished = {member.peer_url: member.client for member in self.load().members}
        return observe(access, self.seeds(), self.clock, patience=_PATIENCE, unpublished=unpublished)

    def look(self) -> ClusterView:
        """Looks as `observe` does, with new connections."""
        with self.access() as access:
            return self.observe(access)

    def status(self) -> ClusterView:
        """Looks as `look` does, and at the alarms."""
        from quorate.etcd.cluster import Cluster

        with self.access() as access:
            return Cluster(access, self.seeds(), self.clock).with_alarms(self.observe(access))

    def program(self, etcd: str | None) -> EtcdBinary:
        """Returns the etcd to use for a new member; each warning about it is reported once."""
        found = etcd_binary.find(etcd)
        for warning in set(found.warnings) - self._warned:
            self.report(Notice(warning, "warning"))
        self._warned.update(found.warnings)
        return found

    def probe(self) -> WriteProbe:
        """Returns a writer that measures, in its `with`, how long the cluster accepts no writes."""
        return WriteProbe(self.access(), self.seeds(), SystemClock())

    @contextmanager
    def locked(self, command: str) -> Iterator[None]:
        """Locks the directory of a cluster for the block. Raises when there is none, when the directory is not ours, or when
        another command keeps the lock."""
        with self._held(command, self._require):
            yield

    @contextmanager
    def created(self, command: str, etcd: str | None) -> Iterator[None]:
        """Locks the directory as `locked`, and makes one where there is none, once it is certain that there is an etcd to
        run."""
        with self._held(command, partial(self._make, etcd)):
            # Only now: a command that was waited for may have deleted the cluster.
            self.was_there = self.layout.state.exists()
            if not self.was_there:
                self.program(etcd)
            yield

    @contextmanager
    def _held(self, command: str, prepare: Callable[[], None]) -> Iterator[None]:
        self._refuse_doubtful()
        with lock.hold(
            self.layout.lock,
            command=command,
            clock=self.clock,
            seconds=self.lock_seconds,
            tell=lambda text: self.report(Notice(text)),
            prepare=prepare,
        ):
            # A run of ours writes files before the state is there: only now none of them is half done.
            self._refuse_strangers()
            yield

    def _make(self, etcd: str | None) -> None:
        check_root(self.layout.root)
        if not self.layout.state.exists():
            self.program(etcd)
        make_folder(self.layout.root)
        if not lock.was_held(self.layout.lock):
            # Nothing of ours has worked here: not even a lock is put beside the files of another owner.
            self._refuse_strangers()

    def _require(self) -> None:
        if not lock.was_held(self.layout.lock):
            self._refuse_strangers()
            self.load()

    def _refuse_strangers(self) -> None:
        """Raises unless the directory is ours or empty: it must not be shared with files of another owner."""
        root = self.layout.root
        if not root.exists():
            # The command that was waited for has deleted it.
            return
        if not os.access(root, os.W_OK | os.X_OK):
            raise HostError(f"{root} is not writable", advice="choose another --dir")
        ours = {self.layout.wanted.name, self.layout.replacement.name}
        ours |= {self.layout.lock.name} if lock.is_ours(self.layout.lock) else set[str]()
        strangers = {name for name in _names_in(root) - ours if not self.layout.is_leftover(name)}
        if members_left(self.layout) and not self.layout.state.exists():
            raise state_is_gone(self.layout)
        if strangers and not self.layout.state.exists():
            raise ConfigError(
                f"{root} is not empty and not the directory of a local cluster (it contains {min(strangers)!r})",
                state="nothing was changed",
                advice="choose an empty or a new directory with --dir",
            )

    @contextmanager
    def journal(self) -> Iterator[Note]:
        book = journal.Journal(self.layout.journal)
        try:
            yield lambda kind, fields: book.write(journal.Record(kind, time.time(), fields))
        finally:
            book.close()


def _names_in(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        # The command that was waited for has deleted it just now.
        return set()
