"""`quorate etcd add|promote|remove|replace|move-leader`: one verb each, safe by the engine's rules."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.connection import cluster_opened, connection_options
from quorate.cli.output import emit, output_option
from quorate.errors import HostError, PreflightFailed

if TYPE_CHECKING:
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.elsewhere import Start
    from quorate.etcd.track import JoinResult

Command = Callable[..., Any]


def _common(command: Command) -> Command:
    for option in (
        connection_options,
        output_option(),
        click.option(
            "--timeout", type=float, default=60.0, show_default=True, help="Seconds without progress to give up after."
        ),
        click.option("--dry-run", is_flag=True, help="Look and judge; change nothing."),
    ):
        command = option(command)
    return command


def _new_member(command: Command) -> Command:
    for option in (
        click.option("--peer-urls", "peer_url", required=True, metavar="URL", help="Where the other members will reach it."),
        click.option(
            "--env-file",
            type=click.Path(path_type=Path),
            help="Write the new process' ETCD_* variables here instead of to stderr.",
        ),
        click.option(
            "--start", "start_command", metavar="CMD", help="Run this once the member is registered; it gets the variables."
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("name")
@_new_member
@_common
def add(
    name: str,
    peer_url: str,
    env_file: Path | None,
    start_command: str | None,
    form: str,
    timeout: float,
    dry_run: bool,
) -> None:
    """Add the member NAME: as a learner first, a voter once it is fully aligned.

    The member is registered, what its etcd needs to know is written or printed, and then it is waited for: start it on its
    machine, or let --start do so. If it does not get ready it is taken off the member list again.

    \b
    Example:
      quorate etcd add node-d --peer-urls https://10.0.0.4:2380 --env-file /etc/etcd/join.env --start 'systemctl start etcd'
    """
    with cluster_opened() as cluster:
        cluster.stall_seconds = timeout
        if dry_run:
            _say_add(cluster, name, peer_url, form)
            return
        result = cluster.add(name, peer_url, start=_starter(peer_url, env_file, start_command))
        _show_join(cluster, result, form)


@click.command()
@click.argument("member")
@_common
def promote(member: str, form: str, timeout: float, dry_run: bool) -> None:
    """Make the learner MEMBER (name, hex id or peer URL) a voter, once it is fully aligned."""
    with cluster_opened() as cluster:
        cluster.stall_seconds = timeout
        found = cluster.member(member)
        result = None if dry_run else cluster.promote(member)
        if result is not None:
            _show_join(cluster, result, form)
            return
    text = f"{found.name} is a voter" if not found.is_learner else f"would promote {found.name} once it is aligned"
    emit(form, {"member": f"{found.id:x}", "name": found.name, "isLearner": found.is_learner}, lambda: click.echo(text))


@click.command()
@click.argument("member")
@click.option("--accept-reduced-tolerance", is_flag=True, help="Go on although fewer members may fail afterwards.")
@_common
def remove(member: str, form: str, timeout: float, dry_run: bool, accept_reduced_tolerance: bool) -> None:
    """Remove MEMBER (name, hex id or peer URL); refused when that could cost the quorum.

    Leadership is moved away first. The data of the removed member stays where it is: delete it before it joins again.
    """
    with cluster_opened() as cluster:
        cluster.stall_seconds = timeout
        verb = cluster.check_remove if dry_run else cluster.remove
        gone = verb(member, accept_reduced_tolerance=accept_reduced_tolerance)
        _show_view(
            cluster, form, f"{'would remove' if dry_run else 'removed'} {gone.name or 'an unstarted member'} ({gone.id:x})"
        )


@click.command()
@click.argument("old")
@click.argument("new")
@_new_member
@_common
def replace(
    old: str,
    new: str,
    peer_url: str,
    env_file: Path | None,
    start_command: str | None,
    form: str,
    timeout: float,
    dry_run: bool,
) -> None:
    """Put NEW in the place of OLD: a live OLD leaves when NEW serves; a dead one is removed first."""
    with cluster_opened() as cluster:
        cluster.stall_seconds = timeout
        if dry_run:
            _say_add(cluster, new, peer_url, form)
            return
        result = cluster.replace(old, new, peer_url, start=_starter(peer_url, env_file, start_command))
        _show_join(cluster, result, form)


@click.command("move-leader")
@click.argument("member")
@connection_options
@output_option()
def move_leader(member: str, form: str) -> None:
    """Hand leadership to the voter MEMBER."""
    with cluster_opened() as cluster:
        leader = cluster.move_leader(member)
        _show_view(cluster, form, f"{leader.name} leads")


def _starter(peer_url: str, env_file: Path | None, start_command: str | None) -> Start:
    """What happens between the registration and the wait: tell the variables, and run the command if there is one."""

    def start(name: str, rows: Sequence[tuple[str, str]]) -> None:
        from quorate.etcd.elsewhere import environment_file
        from quorate.files import write_atomic

        text = environment_file(name, peer_url, rows)
        if env_file is not None:
            write_atomic(env_file, text.encode(), mode=0o600)
        else:
            click.echo(f"start the etcd of {name} with:\n{text}", err=True)
        if start_command is not None:
            _run(start_command, dict(line.split("=", 1) for line in text.splitlines()))

    return start


def _run(command: str, variables: dict[str, str]) -> None:
    environment = {**os.environ, **{name: value.strip('"') for name, value in variables.items()}}
    try:
        subprocess.run(shlex.split(command), env=environment, check=True, stdin=subprocess.DEVNULL, stdout=2)
    except (OSError, subprocess.CalledProcessError) as error:
        raise HostError(f"the start command failed: {error}") from None


def _say_add(cluster: Cluster, name: str, peer_url: str, form: str) -> None:
    """Judge the first step of a join as the engine would."""
    from quorate.cli.members import cluster_json, print_margin
    from quorate.core import invariants
    from quorate.core.actions import AddLearner
    from quorate.core.ids import normalise_url
    from quorate.core.invariants import Limits, Step
    from quorate.core.preflight import findings

    view = cluster.status()
    action = AddLearner(name, (normalise_url(peer_url),))
    found = findings(view, action.peer_urls[0])
    invariants.check(Step(view, action, Limits(view.cluster_id), cluster.clock.now()))

    def table() -> None:
        click.echo(f"would add {name} at {action.peer_urls[0]} as a learner, promote it once aligned, and verify it")
        print_margin(view)
        for finding in found:
            click.echo(f"{finding.level} {finding.name}: {finding.text}")

    rows = [{"name": one.name, "level": one.level, "text": one.text, "advice": one.advice} for one in found]
    emit(form, {"wouldAdd": name, "peerURL": action.peer_urls[0], "findings": rows, **cluster_json(view)}, table)
    if any(finding.level == "error" for finding in found):
        raise click.exceptions.Exit(PreflightFailed.exit_code)


def _show_join(cluster: Cluster, result: JoinResult, form: str) -> None:
    from quorate.cli.members import cluster_json, print_margin, print_members

    view = cluster.status()

    def table() -> None:
        print_members(view)
        print_margin(view)

    joined = {"id": f"{result.member_id:x}", "name": result.name, "timings": dict(result.timings)}
    emit(form, {"joined": joined, **cluster_json(view)}, table)


def _show_view(cluster: Cluster, form: str, text: str) -> None:
    from quorate.cli.members import cluster_json, print_margin

    view = cluster.status()

    def table() -> None:
        click.echo(text)
        print_margin(view)

    emit(form, {"done": text, **cluster_json(view)}, table)
