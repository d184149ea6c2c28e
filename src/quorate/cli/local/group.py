"""`quorate local …`"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.output import document, echo, emit, output_option
from quorate.cli.common.progress import progress
from quorate.cli.common.signals import cancelling
from quorate.deadline import Cancel, SystemClock
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView
    from quorate.local.cluster import GrowResult
    from quorate.local.home import Home

Command = Callable[..., Any]


def dir_option(command: Command) -> Command:
    return click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path),
        envvar="QUORATE_LOCAL_DIR",
        help="Where the cluster lives.  [default: $XDG_DATA_HOME/quorate/local]",
    )(command)


def etcd_option(command: Command) -> Command:
    return click.option(
        "--etcd", metavar="PATH", help="The etcd to run.  [default: from PATH, then the built engines, then quorate[etcd]]"
    )(command)


@contextmanager
def opened(folder: Path | None) -> Iterator[Home]:
    """The cluster's home with progress on stderr and signals turned into requests to stop."""
    from quorate.local.home import Home
    from quorate.local.layout import Layout, default_folder

    cancel = Cancel()
    with cancelling(cancel), progress() as report:
        yield Home(Layout(Path(os.path.abspath(folder or default_folder()))), SystemClock(cancel), report)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """A real etcd cluster on this machine, every member joined through a learner.

    Members are processes that outlive the command. Each cluster lives in a directory of its own, so several can run.
    """


@group.command()
@click.option(
    "--members", type=int, help="How many voting members to have; odd is better.  [default: as many as there are, else 3]"
)
@etcd_option
@dir_option
@output_option()
def up(members: int | None, etcd: str | None, folder: Path | None, form: str) -> None:
    """Start the cluster and grow it; start again what died; change nothing when all is well.

    \b
    Examples:
      quorate local up
      quorate local up --members 5 --dir ./try --etcd /usr/local/bin/etcd
    """
    from quorate.local import cluster

    with opened(folder) as home:
        grown = cluster.up(home, members, etcd)
    _show_grown(home, grown, form)


@group.command()
@click.argument("name", required=False)
@etcd_option
@dir_option
@output_option()
def join(name: str | None, etcd: str | None, folder: Path | None, form: str) -> None:
    """Add one more member, as a learner first."""
    from quorate.local import cluster

    with opened(folder) as home:
        grown = cluster.join(home, name, etcd)
    _show_grown(home, grown, form)


@group.command()
@click.argument("name")
@click.option("--accept-reduced-tolerance", is_flag=True, help="Go on although fewer members may fail afterwards.")
@dir_option
@output_option()
def leave(name: str, folder: Path | None, form: str, accept_reduced_tolerance: bool) -> None:
    """Remove the member NAME and delete its data; refused when that could cost the quorum."""
    from quorate.cli.common.cluster_output import cluster_json, print_margin
    from quorate.local import cluster

    with opened(folder) as home:
        view = cluster.leave(home, name, accept_reduced_tolerance=accept_reduced_tolerance)

    def table() -> None:
        echo(f"{name} was removed and its data deleted")
        if view is not None:
            print_margin(view)

    emit(form, "LeaveResult", {"left": name, **(cluster_json(view) if view is not None else {})}, table)


@group.command()
@dir_option
@output_option()
def status(folder: Path | None, form: str) -> None:
    """Every member: process, role, health, lag; and how many may fail now."""
    from quorate.cli.common.cluster_output import cluster_json, print_status
    from quorate.local.runtime import describe

    with opened(folder) as home:
        processes = {member.name: describe(home.daemon(member.name)) for member in home.load().members}
        view = _look(home, processes)
    emit(form, "LocalStatus", {**cluster_json(view), "processes": processes}, lambda: print_status(view, processes))


def _look(home: Home, processes: dict[str, str]) -> ClusterView:
    """The cluster; when nobody answers, the error says at least which processes run."""
    from quorate.etcd.client.errors import EtcdError

    try:
        return home.look()
    except EtcdError as error:
        error.state = ", ".join(f"{name} {state}" for name, state in processes.items())
        error.advice = f"quorate local up --dir {shlex.quote(str(home.layout.root))}"
        raise


@group.command()
@dir_option
@output_option("table", "simple", "json", "yaml")
def members(folder: Path | None, form: str) -> None:
    """The member list, read through the quorum."""
    from quorate.cli.common.cluster_output import show_members

    with opened(folder) as home:
        show_members(home.look(), form)


@group.command()
@click.argument("name")
@dir_option
def stop(name: str, folder: Path | None) -> None:
    """End the process of NAME gracefully; it stays a member."""
    from quorate.local import cluster

    with opened(folder) as home:
        cluster.stop(home, name)
    echo(f"{name} is stopped; start it again with: quorate local start {name}{_dir_argument(folder)}")


@group.command()
@click.argument("name")
@dir_option
def start(name: str, folder: Path | None) -> None:
    """Start a stopped member on its data; it stays the member it is."""
    from quorate.local import cluster

    with opened(folder) as home:
        answers = cluster.start(home, name)
    echo(f"{name} runs" if answers else f"{name} runs and does not answer yet: is there a quorum? See 'quorate local status'")


@group.command()
@click.argument("name")
@dir_option
def kill(name: str, folder: Path | None) -> None:
    """Crash NAME: SIGKILL."""
    from quorate.local import cluster

    with opened(folder) as home:
        cluster.kill(home, name)
    echo(f"{name} was killed; bring it back with: quorate local start {name}{_dir_argument(folder)}")


@group.command()
@click.argument("name")
@dir_option
def pause(name: str, folder: Path | None) -> None:
    """Hang NAME: SIGSTOP; it keeps its connections and answers nothing."""
    from quorate.local import cluster

    with opened(folder) as home:
        cluster.pause(home, name)
    echo(f"{name} is paused; let it go on with: quorate local resume {name}{_dir_argument(folder)}")


@group.command()
@click.argument("name")
@dir_option
def resume(name: str, folder: Path | None) -> None:
    """Let a paused member go on."""
    from quorate.local import cluster

    with opened(folder) as home:
        cluster.resume(home, name)
    echo(f"{name} goes on")


@group.command()
@dir_option
def env(folder: Path | None) -> None:
    """Print exports for etcdctl.

    \b
    Example:
      eval "$(quorate local env)"; etcdctl member list
    """
    with opened(folder) as home:
        members, pki = home.load().members, home.layout.pki
    values = {
        "ETCDCTL_ENDPOINTS": ",".join(member.client_url for member in members if member.phase != "joining"),
        "ETCDCTL_CACERT": str(pki / "ca.crt"),
        "ETCDCTL_CERT": str(pki / "healthcheck-client.crt"),
        "ETCDCTL_KEY": str(pki / "healthcheck-client.key"),
    }
    for name, value in values.items():
        document(f"export {name}={to_paste(value)}\n")


@group.command()
@click.argument("name")
@click.option("-n", "--lines", type=click.IntRange(min=1), default=50, show_default=True, help="How many of the last lines.")
@dir_option
def logs(name: str, lines: int, folder: Path | None) -> None:
    """The last lines of a member's log."""
    from quorate.host.daemon import tail

    with opened(folder) as home:
        home.load().member(name)
        paths = home.layout.member(name)
    for line in [*tail(paths.output), *tail(paths.log)][-lines:]:
        echo(line)


@group.command()
@click.option("--purge", is_flag=True, help="Also delete the data, certificates and logs.")
@dir_option
def down(folder: Path | None, purge: bool) -> None:
    """Stop every member; their data stays unless --purge is given."""
    from quorate.local import cluster

    with opened(folder) as home:
        stopped = cluster.down(home, purge=purge)
    echo(f"stopped: {', '.join(stopped) or 'nothing ran'}")
    if purge:
        echo(f"deleted: {home.layout.root}")


def _show_grown(home: Home, grown: GrowResult, form: str) -> None:
    from quorate.cli.common.cluster_output import cluster_json, print_margin, print_members

    def table() -> None:
        print_members(grown.view)
        for result in grown.joined:
            note = " (restarted once: its publish was lost)" if result.restarted else ""
            echo(f"{result.name} became a voter that serves {result.timings['serving']:.2f} s after it was added{note}")
        print_margin(grown.view)

    summary = {
        "dir": str(home.layout.root),
        "joined": [one.as_dict() for one in grown.joined],
        "restarted": list(grown.restarted),
    }
    emit(form, "LocalUpResult", {**summary, **cluster_json(grown.view)}, table)


def _dir_argument(folder: Path | None) -> str:
    return f" --dir {to_paste(str(folder))}" if folder else ""
