"""How a command opens the local cluster: the option that names its directory, and what is reported and stopped meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.folders import FOLDER
from quorate.cli.common.progress import progress
from quorate.cli.common.signals import cancelling, ending
from quorate.cli.common.waiting import saying_what_is_waited_for, waited_for
from quorate.cli.local.completers import clusters
from quorate.deadline import Cancel, SystemClock
from quorate.errors import Interrupted, QuorateError

if TYPE_CHECKING:
    from quorate.local.home import Home
    from quorate.local.layout import Layout

Command = Callable[..., Any]


def dir_option(command: Command) -> Command:
    return click.option(
        "--dir",
        "folder",
        type=FOLDER,
        envvar="QUORATE_LOCAL_DIR",
        help="Directory of the cluster.  [default: $XDG_DATA_HOME/quorate/local]",
        shell_complete=clusters,
    )(command)


@contextmanager
def opened(folder: Path | None) -> Iterator[Home]:
    """Yields the local cluster, with progress on stderr and signals as requests to stop."""
    from quorate.local.home import Home

    cancel = Cancel()
    clock = SystemClock(cancel)
    with cancelling(cancel), progress() as shown, saying_what_is_waited_for(shown, lambda: waited_for(clock, None)) as report:
        home = Home(layout_of(folder), clock, report)
        try:
            with _lost_is_said(home):
                yield home
        except Interrupted as error:
            error.state = error.state or _processes_of(home)
            raise


@contextmanager
def _lost_is_said(home: Home) -> Iterator[None]:
    from quorate.etcd.client.errors import EtcdError

    try:
        yield
    except EtcdError as error:
        from quorate.local.lost import if_lost

        raise if_lost(home, error) from error


def _processes_of(home: Home) -> str:
    """Returns which members run and which are stopped, for the error of a command that was interrupted."""
    from quorate.local.runtime import describe

    try:
        return ", ".join(f"{row.name} {describe(home.daemon(row.name))}" for row in home.load().members)
    except QuorateError as error:
        return error.what


@contextmanager
def read_only(folder: Path | None) -> Iterator[Home]:
    """Yields the local cluster for a command that changes nothing: no progress, and signals end it silently."""
    from quorate.local.home import Home

    cancel = Cancel()
    with ending(cancel):
        home = Home(layout_of(folder), SystemClock(cancel))
        with _lost_is_said(home):
            yield home


def layout_of(folder: Path | None) -> Layout:
    """Returns the files of the cluster in `folder`, or in the default directory."""
    from quorate.local.layout import Layout, default_folder

    return Layout(Path(os.path.abspath(folder or default_folder())))
