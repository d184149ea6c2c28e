"""`quorate etcd add|promote|remove|replace|move-leader`: one verb each, safe by the engine's rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.commands import command
from quorate.cli.common.dry_run import NOTHING_DONE
from quorate.cli.common.durations import DURATION
from quorate.cli.common.option_groups import given_flags
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.etcd.completers import learner_names, member_names, voter_names
from quorate.cli.etcd.connection import connection_options, given_by_hand, named_by_hand
from quorate.cli.etcd.host_options import HostOptions, new_member_options
from quorate.cli.etcd.join_options import JoinOptions, timeout_option, with_patience
from quorate.cli.etcd.joiner import joiner_of
from quorate.cli.etcd.opening import cluster_to_change
from quorate.cli.etcd.planned import PLAIN_ADD, Swap, say_add, show_errors, show_removal
from quorate.cli.etcd.standby import Standby, standby_options
from quorate.cli.local.change import Add, Replace, local_change
from quorate.errors import ConfigError

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView, Member
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.membership.join_state import JoinResult
    from quorate.etcd.observation.write_probe import WriteGap

Command = Callable[..., Any]


def _common(command: Command) -> Command:
    for option in (
        connection_options,
        output_option(),
        click.option("--dry-run", is_flag=True, help="Check and show the plan; change nothing."),
    ):
        command = option(command)
    return command


@command()
@click.argument("name")
@new_member_options
@standby_options
@_common
def add(
    name: str,
    peer_url: str | None,
    folder: Path | None,
    host: HostOptions,
    joining: JoinOptions,
    standby: Standby,
    form: str,
    dry_run: bool,
) -> None:
    """Add the member NAME, as a learner first. It becomes a voter once it is fully aligned.

    The member is registered, its ETCD_* variables are written or printed, and the command waits for it. Start its etcd on its
    machine, or let --start do so; with --runtime it runs on this host. If the join fails before the promotion, the member is
    removed from the member list again.

    \b
    Examples:
      quorate etcd add node-d --peer-urls https://10.0.0.4:2380 --env-file /etc/etcd/join.env --start 'systemctl start etcd'
      quorate etcd add node-d --peer-urls https://10.0.0.4:2380 --runtime systemd
      quorate etcd add node-d --peer-urls http://127.0.0.1:2480 --runtime process --data-dir ./d --client-urls http://127.0.0.1:2479
      quorate etcd add m4 --dir ./try        # on a local cluster
      quorate etcd add spare --peer-urls https://10.0.0.9:2380 --standby --occupy-the-seat
    """
    if folder is not None:
        standby.refuse_local(name, folder)
        _refuse_options_of_a_remote_cluster()
        local_change(folder, Add(name), form, dry_run=dry_run)
        return
    standby.refuse_what_is_ignored()
    with cluster_to_change() as opened:
        cluster = standby.applied(joining.applied(opened))
        joiner = joiner_of(cluster, name, peer_url, host, joining, standby.of_local(name))
        if dry_run:
            say_add(joiner, form, PLAIN_ADD)
            return
        with joining.probed(cluster) as gap:
            result = joiner.join()
        standby.marked(cluster, result)
        _show_join(cluster, result, form, gap())


def _refuse_options_of_a_remote_cluster(*used: str) -> None:
    """Raises `ConfigError` for options that a local cluster has no use for: one that is ignored is taken to have worked. Writes
    are probed there in any case. `used`: options that the command has a use for there."""
    given = [*(["--peer-urls"] if given_by_hand("peer_url") else []), *given_flags(JoinOptions, HostOptions)]
    given = [flag for flag in given if flag not in ("--probe-writes", *used)]
    if given:
        raise ConfigError(f"--dir names a local cluster: leave out {', '.join(given)}", state="nothing was changed")
    if named := named_by_hand():
        both = f"--dir and {', '.join(named)} name two clusters"
        raise ConfigError(both, state="nothing was changed", advice="pass one of them")


@command()
@click.argument("member", shell_complete=learner_names)
@timeout_option
@_common
def promote(member: str, form: str, timeout: float, dry_run: bool) -> None:
    """Promote the learner MEMBER (name, hex id or peer URL). Waits until it is fully aligned.

    \b
    Example:
      quorate etcd promote node-d
    """
    with cluster_to_change() as opened:
        cluster = with_patience(opened, timeout)
        found = cluster.check_promote(member)
        standby = found.is_learner and cluster.with_standbys(cluster.look()).is_standby(found)
        result = None if dry_run else cluster.promote(member)
        if result is not None:
            _show_join(cluster, result, form)
            return
    from quorate.cli.common.cluster_output import named_json

    name = found.name or f"{found.id:x}"
    what = f"{name}, a standby of the autopilot," if standby else name
    text = f"{name} is already a voter" if not found.is_learner else f"would promote {what} once it is aligned"
    promote_next = [named_json(found)] if found.is_learner else []

    def table() -> None:
        echo(text)
        if dry_run:
            echo(NOTHING_DONE)

    emit(form, "PromotePlan", {"dryRun": dry_run, "promote": promote_next, "isStandby": standby}, table)


@command()
@click.argument("member", shell_complete=member_names)
@click.option("--accept-reduced-tolerance", is_flag=True, help="Proceed although fewer members may fail afterwards.")
@click.option(
    "--absence",
    type=DURATION,
    default="10s",
    show_default=True,
    help="A voter counts as dead after so long without a sign of life, to us and to the leader.",
)
@timeout_option
@_common
def remove(member: str, form: str, timeout: float, dry_run: bool, accept_reduced_tolerance: bool, absence: float) -> None:
    """Remove MEMBER (name, hex id or peer URL). Refused when that could cost the quorum.

    Leadership is moved away first. The removed member's data stays on its host: delete it before the member joins again.

    \b
    Examples:
      quorate etcd remove node-b --dry-run
      quorate etcd remove 8e9e05c52164694d
    """
    with cluster_to_change() as opened:
        cluster = changed(with_patience(opened, timeout), absence_seconds=absence)
        verb = cluster.check_remove if dry_run else cluster.remove
        gone = verb(member, accept_reduced_tolerance=accept_reduced_tolerance)
        label = f"{gone.name or 'an unstarted member'} ({gone.id:x})"
        if dry_run:
            show_removal(cluster.with_standbys(cluster.status()), form, gone, label)
        else:
            _show_view(cluster, form, _Done("RemoveResult", "removed", gone, f"removed {label}"))


@command()
@click.argument("old", shell_complete=member_names)
@click.argument("new")
@new_member_options
@_common
def replace(
    old: str,
    new: str,
    peer_url: str | None,
    folder: Path | None,
    host: HostOptions,
    joining: JoinOptions,
    form: str,
    dry_run: bool,
) -> None:
    """Replace OLD with NEW. A live OLD is removed once NEW serves; a dead OLD is removed first.

    \b
    Examples:
      quorate etcd replace node-a node-e --peer-urls https://10.0.0.5:2380 --start './start.sh'
      quorate etcd replace m1 m5 --dir ./try -o json
    """
    if folder is not None:
        _refuse_options_of_a_remote_cluster("--accept-reduced-tolerance")
        local_change(folder, Replace(old, new, joining.accept_reduced_tolerance), form, dry_run=dry_run)
        return
    with cluster_to_change() as opened:
        cluster = joining.applied(opened)
        joiner = joiner_of(cluster, new, peer_url, host, joining, ("quorate", "etcd", "replace", old, new))
        if dry_run:
            gone, first = cluster.check_swap(old, joiner.peer_url, lambda: show_errors(joiner, form))
            say_add(joiner, form, Swap(gone, first))
            return
        with joining.probed(cluster) as gap:
            result = cluster.swap(old, joiner.peer_url, joiner.join, joiner.judge)
        _show_join(cluster, result, form, gap())


@command("move-leader")
@click.argument("member", shell_complete=voter_names)
@click.option("--accept-reduced-tolerance", "consent", is_flag=True, help="Proceed although its links cannot be seen.")
@connection_options
@output_option()
def move_leader(member: str, consent: bool, form: str) -> None:
    """Move leadership to the voter MEMBER.

    \b
    Example:
      quorate etcd move-leader node-c
    """
    with cluster_to_change() as opened:
        cluster = changed(opened, policy=changed(opened.policy, accept_reduced_tolerance=consent))
        leader = cluster.move_leader(member)
        _show_view(cluster, form, _Done("MoveLeaderResult", "movedTo", leader, f"{leader.name} is the leader"))


def _show_join(cluster: Cluster, result: JoinResult, form: str, gap: WriteGap | None = None) -> None:
    from quorate.cli.common.cluster_output import cluster_json, gap_json, print_gap, print_margin, print_members

    view = look_after(cluster)

    def table() -> None:
        if view is None:
            echo(f"{result.name} ({result.member_id:x}) is a voter and serves")
        else:
            print_members(view)
            print_margin(view)
        print_gap(gap)

    emit(form, "JoinResult", {"joined": [result.as_dict()], **gap_json(gap), **(cluster_json(view) if view else {})}, table)


@dataclass(frozen=True, slots=True)
class _Done:
    """A change of one member: `kind` and `key` are for JSON, `text` is for people."""

    kind: str
    key: str
    member: Member
    text: str


def _show_view(cluster: Cluster, form: str, done: _Done) -> None:
    from quorate.cli.common.cluster_output import cluster_json, named_json, print_margin

    view = look_after(cluster)

    def table() -> None:
        echo(done.text)
        if view is not None:
            print_margin(view)

    emit(form, done.kind, {done.key: named_json(done.member), **(cluster_json(view) if view else {})}, table)


def look_after(cluster: Cluster) -> ClusterView | None:
    """Returns the cluster after a change, to be printed, or None when the look fails. The change is done, so a failing look
    is a warning and no error."""
    from quorate.errors import QuorateError
    from quorate.report import Notice

    try:
        return cluster.with_standbys(cluster.status())
    except QuorateError as error:
        cluster.report(Notice(f"the change is done, but the cluster could not be read afterwards: {error.what}", "warning"))
        return None
