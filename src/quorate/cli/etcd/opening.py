"""How a command opens the cluster that its flags describe: what is said, journalled and stopped meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from quorate.cli.etcd.connection import Connection, connected, own_etcd, say

if TYPE_CHECKING:
    from pathlib import Path

    from quorate.deadline import SystemClock
    from quorate.etcd.cluster import Cluster
    from quorate.journal import Journal


@contextmanager
def waited_for(clock: SystemClock) -> Iterator[Connection]:
    """Yields the connection as `connected`, and says on stderr when it takes long."""
    from quorate.cli.common import waiting

    opened: list[Connection] = []

    with waiting.saying_it_alone(partial(_what, clock, opened)), connected() as connection:
        opened.append(connection)
        yield connection


def _what(clock: SystemClock, opened: Sequence[Connection]) -> str:
    from quorate.cli.common.waiting import waited_for

    return waited_for(clock, opened[0].access if opened else None)


@contextmanager
def cluster_opened() -> Iterator[Cluster]:
    """Yields the cluster that the flags describe, with progress on stderr, a journal, and signals as requests to stop."""
    from quorate.cli.common.progress import progress
    from quorate.cli.common.signals import cancelling
    from quorate.cli.common.waiting import saying_what_is_waited_for
    from quorate.deadline import Cancel, SystemClock
    from quorate.etcd.cluster import Cluster

    cancel = Cancel()
    clock, opened = SystemClock(cancel), list[Connection]()
    with (
        cancelling(cancel),
        progress() as shown,
        saying_what_is_waited_for(shown, partial(_what, clock, opened)) as report,
        connected(cancel) as connection,
    ):
        opened.append(connection)
        book = LazyJournal()
        try:
            yield Cluster(
                connection.access,
                connection.endpoints,
                clock,
                report,
                book.note,
                connection.timeout,
            )
        finally:
            book.close()


@contextmanager
def cluster_to_change() -> Iterator[Cluster]:
    """Yields the cluster as `cluster_opened`. It is named first where it is this node's own: nobody typed which one it is."""
    with cluster_opened() as cluster:
        if own_etcd() is not None:
            view = cluster.status()
            names = ", ".join(member.name or f"(unstarted) {member.id:x}" for member in view.members)
            say(f"the cluster to change is {view.cluster_id:x}, with the members {names}")
        with _naming_timeout():
            yield cluster


@contextmanager
def _naming_timeout() -> Iterator[None]:
    """Names --timeout in the error of a change that took too long, where the command has that option."""
    from quorate.deadline import DeadlineExceeded

    try:
        yield
    except DeadlineExceeded as error:
        known = any("--timeout" in param.opts for param in click.get_current_context().command.params)
        if known and "--timeout" not in error.own_advice:
            error.advice = "; or ".join(filter(None, (error.own_advice, "allow more time with a longer --timeout")))
        raise


@dataclass(slots=True)
class LazyJournal:
    """The journal of membership changes, opened at the first change: a user who only reads needs no state folder."""

    _book: Journal | None = None

    def note(self, kind: str, fields: Mapping[str, object]) -> None:
        import time

        from quorate.journal import Journal, Record

        if self._book is None:
            self._book = Journal(journal_path())
        self._book.write(Record(kind, time.time(), fields))

    def close(self) -> None:
        if self._book is not None:
            self._book.close()


def journal_path() -> Path:
    """Returns the path of the journal for the membership changes of `quorate etcd`."""
    from quorate.files import state_folder

    return state_folder() / "journal"
