"""Which cluster the autopilot's commands mean: that of the connection flags, or a local one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from quorate.cli.common.folders import FOLDER
from quorate.cli.etcd.connection import CONNECTION, connected, connection_options, named_by_hand
from quorate.cli.etcd.opening import LazyJournal, cluster_opened
from quorate.cli.local.completers import clusters
from quorate.errors import ConfigError, QuorateError
from quorate.foreign.text import OUR_FLAGS, to_paste
from quorate.spelling import spelled

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.coordination.autopilot_store import AutopilotStore
    from quorate.report import Report

Command = Callable[..., Any]


HANDED_DOWN = CONNECTION | {"folder"}
"""What may stand before the command: the connection flags, and --dir."""

_KEY = "quorate.autopilot.dir"
OURS = "quorate autopilot "
"""How each command of this group begins that an error advises."""


def cluster_options(command: Command) -> Command:
    """Adds the connection flags and --dir; the command gets the directory that is meant as `folder`."""

    @wraps(command)
    def with_folder(*arguments: Any, folder: Path | None, **options: Any) -> Any:
        return command(*arguments, folder=_folder_meant(folder), **options)

    return connection_options(_dir_option(with_folder))


def group_options(command: Command) -> Command:
    """Adds the same to a group, which hands them down."""
    return connection_options(_dir_option(command, expose_value=False))


def _dir_option(command: Command, **more: Any) -> Command:
    return click.option(
        "--dir",
        "folder",
        type=FOLDER,
        envvar=_VARIABLE,
        help="Directory of a local cluster ('quorate local'), instead of the connection flags.",
        shell_complete=clusters,
        callback=_remember,
        **more,
    )(command)


_VARIABLE = "QUORATE_LOCAL_DIR"


def _remember(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Keeps what the command line says; the one that is nearest to the command counts."""
    if ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE:
        ctx.meta[_KEY] = value
    return value


def _folder_meant(named: Path | None) -> Path | None:
    """Returns the directory of the command line, else that of the variable; None where the connection flags say which cluster
    is meant. Raises `ConfigError` where two are meant: an order for one must not reach the other."""
    by_hand: Path | None = click.get_current_context().meta.get(_KEY)
    flags = named_by_hand()
    if by_hand is not None and flags:
        raise ConfigError(f"--dir means a local cluster, and {flags[0]} another: leave one out")
    if by_hand is not None or named is None:
        return by_hand
    if flags:
        return None
    endpoints = os.environ.get("ETCDCTL_ENDPOINTS")
    if endpoints and not _names_both(named, endpoints):
        raise ConfigError(
            f"{_VARIABLE} means the local cluster in {named}, and ETCDCTL_ENDPOINTS ({endpoints}) another",
            state="nothing was sent",
            advice="pass --dir or --endpoints, or unset one of the variables",
        )
    if os.environ.get("ETCDCTL_USER"):
        if endpoints:
            # The same cluster, by the variables that name a user, too.
            return None
        raise ConfigError(
            f"{_VARIABLE} means the local cluster in {named}, which takes no user, and ETCDCTL_USER names one",
            state="nothing was sent",
            advice="name its members with --endpoints ('quorate local env' prints what else it takes), or unset ETCDCTL_USER",
        )
    return named


def _names_both(folder: Path, endpoints: str) -> bool:
    """Returns whether the endpoints of the variable are those of the local cluster: 'quorate local env' sets them, for the
    cluster that the other variable names. Raises `ConfigError` for what are no endpoints."""
    from quorate.cli.local.forgotten import are_of
    from quorate.cli.local.opening import layout_of
    from quorate.etcd.client.endpoint import parse_endpoints

    return are_of(layout_of(folder).root, parse_endpoints([endpoints]))


@contextmanager
def cluster_meant(folder: Path | None) -> Iterator[Cluster]:
    """Yields the cluster, with progress on stderr, a journal, and signals as requests to stop."""
    with _naming_rights():
        yield from _meant(folder)


@contextmanager
def _naming_rights() -> Iterator[None]:
    """Names the right that the records take: they are no members, and take no root."""
    from quorate.etcd.client.errors import PermissionDenied

    try:
        yield
    except PermissionDenied as error:
        if not error.own_advice:
            error.advice = f"name a user who may read and write below /quorate/ with {spelled('--user')}"
        raise


def _meant(folder: Path | None) -> Iterator[Cluster]:
    if folder is None:
        with cluster_opened() as cluster:
            yield cluster
        return
    from quorate.cli.local.opening import opened
    from quorate.etcd.cluster import Cluster

    with _naming(folder), opened(folder) as home, home.access() as access, home.journal() as note:
        yield Cluster(access, home.seeds(), home.clock, home.report, note)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Repeats --dir in the commands of this group that an error advises: pasted without it, they would be about another
    cluster."""
    try:
        yield
    except QuorateError as error:
        where = to_paste("--dir", str(folder))
        if where not in error.advice:
            error.advice = error.advice.replace(OURS, f"{OURS}{where} ")
        raise


def of_this_cluster(*words: str, folder: Path | None) -> str:
    """Returns a command of this group, with what names the cluster that is meant."""
    return to_paste("quorate", "autopilot", *words, *(["--dir", str(folder)] if folder is not None else OUR_FLAGS.get()))


@contextmanager
def watched_cluster(folder: Path | None, report: Report) -> Iterator[Cluster]:
    """Yields the cluster for a run without an end: it reports what it decides and never that it waits."""
    from quorate.cli.common.signals import cancelling
    from quorate.deadline import Cancel, SystemClock
    from quorate.etcd.cluster import Cluster

    cancel, book = Cancel(), LazyJournal()
    with cancelling(cancel, "what has been begun is ended or left to the next instance"):
        if folder is None:
            with connected(cancel) as connection:
                yield Cluster(connection.access, connection.endpoints, SystemClock(cancel), report, book.note)
            book.close()
            return
        from quorate.cli.local.opening import layout_of
        from quorate.local.home import Home

        home = Home(layout_of(folder), SystemClock(cancel), report)
        with _naming(folder), home.access() as access, home.journal() as note:
            yield Cluster(access, home.seeds(), home.clock, report, note)


def store_of(cluster: Cluster) -> AutopilotStore:
    """Returns the records of the cluster, for an order. Raises `Refused` where no list can be read through the quorum: an order
    would be about a member that may be gone."""
    from quorate.etcd.membership.first_step import agreed

    return records_of(cluster, agreed(cluster.look()))


def read_view(cluster: Cluster) -> ClusterView:
    """Returns a look, for a command that only reads. Raises `EtcdError` where no list can be read through the quorum: nothing
    was to be changed, so nothing is refused."""
    from quorate.core.membership import starting_advice
    from quorate.etcd.client.errors import Unavailable
    from quorate.etcd.membership.first_step import no_quorum

    view = cluster.look()
    if not view.linearizable:
        raise Unavailable(no_quorum(view).what, advice=f"{starting_advice(view)}, then run the same command again")
    return view


def records_of(cluster: Cluster, view: ClusterView) -> AutopilotStore:
    """Returns the records of the cluster that was seen."""
    from quorate.etcd.coordination.autopilot_store import AutopilotStore

    return AutopilotStore(cluster.access, cluster.endpoints, cluster.clock, view.cluster_id)
