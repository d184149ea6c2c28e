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
from quorate.cli.etcd.host_options import HostOptions, check_host, host_of_options, new_member_options
from quorate.cli.etcd.join_options import JoinOptions, timeout_option, with_patience
from quorate.cli.etcd.opening import cluster_to_change
from quorate.cli.etcd.standby import Standby, standby_options
from quorate.cli.etcd.start_hook import restarter, starter
from quorate.cli.local.change import Add, Replace, local_change
from quorate.errors import ConfigError

if TYPE_CHECKING:
    from quorate.core.finding import Finding
    from quorate.core.membership import ClusterView, Member
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.membership.external import Start
    from quorate.etcd.membership.join_state import JoinResult
    from quorate.etcd.observation.write_probe import WriteGap
    from quorate.member.join_here import Host

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
        standby.refuse_local(name)
        _refuse_options_of_a_remote_cluster()
        local_change(folder, Add(name), form, dry_run=dry_run)
        return
    with cluster_to_change() as opened:
        cluster = standby.applied(joining.applied(opened))
        joiner = _joiner(cluster, name, peer_url, host, joining)
        if dry_run:
            _say_add(joiner, form, _PLAIN_ADD)
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


@dataclass(frozen=True, slots=True)
class _Joiner:
    """A member to add, and what runs it: this host (`here`), or the user's `start` and `restart`."""

    cluster: Cluster
    name: str
    peer_url: str
    start: Start
    restart: Start | None
    here: Host | None
    probe_inbound: bool

    def join(self) -> JoinResult:
        if self.here is None:
            return self.cluster.add(self.name, self.peer_url, start=self.start, restart=self.restart)
        from quorate.member.join_here import add_here

        return add_here(self.cluster, self.here, probe_inbound=self.probe_inbound)

    def judge(self) -> None:
        """Raises `PreflightFailed` for anything that would make the join fail. Changes nothing."""
        from quorate.core.view_findings import judge

        view, found = self.look()
        judge(self.cluster.join_findings(view, self.name, self.peer_url, found), self.cluster.report)

    def look(self) -> tuple[ClusterView, list[Finding]]:
        """Returns the cluster and the findings of this host's checks."""
        if self.here is None:
            return self.cluster.status(), []
        from quorate.member.join_here import look

        return look(self.cluster, self.here)


def _joiner(cluster: Cluster, name: str, peer_url: str | None, host: HostOptions, joining: JoinOptions) -> _Joiner:
    from quorate.core.ids import normalise_url

    if peer_url is None:
        advice = f"add --peer-urls https://HOST:2380, with the address of the machine of {name}"
        raise ConfigError("--peer-urls is missing: where will the other members reach the new one?", advice=advice)
    check_host(host)
    url = normalise_url(peer_url)
    here = host_of_options(host, name, url, cluster.clock) if host.runtime else None
    hooks = joining, cluster.clock.cancel, cluster.report
    return _Joiner(cluster, name, url, starter(*hooks), restarter(*hooks), here, not host.no_inbound_probe)


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
        result = None if dry_run else cluster.promote(member)
        if result is not None:
            _show_join(cluster, result, form)
            return
    from quorate.cli.common.cluster_output import named_json

    name = found.name or f"{found.id:x}"
    text = f"{name} is already a voter" if not found.is_learner else f"would promote {name} once it is aligned"
    promote_next = [named_json(found)] if found.is_learner else []

    def table() -> None:
        echo(text)
        if dry_run:
            echo(NOTHING_DONE)

    emit(form, "PromotePlan", {"dryRun": dry_run, "promote": promote_next}, table)


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
            _show_view(cluster, form, _Done("RemovePlan", "remove", gone, f"would remove {label}", NOTHING_DONE))
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
        joiner = _joiner(cluster, new, peer_url, host, joining)
        if dry_run:
            gone, first = cluster.check_swap(old, joiner.peer_url, lambda: _show_errors(joiner, form))
            _say_add(joiner, form, _Swap(gone, first))
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


@dataclass(frozen=True, slots=True)
class _Swap:
    """The member that a join replaces, None for none, and whether it is removed before the join."""

    old: Member | None = None
    first: bool = False


_PLAIN_ADD = _Swap()


def _say_add(joiner: _Joiner, form: str, swap: _Swap) -> None:
    """Prints the plan of a join with its findings; raises what the join itself would raise before its first change."""
    view, found = _show_errors(joiner, form)
    if not swap.first and view.by_peer_urls((joiner.peer_url,)) is None:
        joiner.cluster.check_add(view, joiner.name, [joiner.peer_url])
    _show_plan(joiner, form, view, found, swap)


def _show_errors(joiner: _Joiner, form: str) -> tuple[ClusterView, list[Finding]]:
    """Returns the cluster and what the join is judged by. Raises `PreflightFailed` as the join would; a program gets the plan
    with its findings as well."""
    from quorate.core.finding import errors_of
    from quorate.core.view_findings import judge

    view, here = joiner.look()
    found = joiner.cluster.join_findings(view, joiner.name, joiner.peer_url, here)
    if errors_of(found):
        if form != "table":
            _show_plan(joiner, form, view, found, _PLAIN_ADD)
        judge(found, joiner.cluster.report)
    return view, found


def _show_plan(joiner: _Joiner, form: str, view: ClusterView, found: list[Finding], swap: _Swap) -> None:
    from quorate.cli.common.cluster_output import cluster_json, named_json, print_margin

    name, url = joiner.name, joiner.peer_url

    def table() -> None:
        echo(_plan_words(view, name, url))
        if swap.old is not None:
            order = "before the join, because it is dead or a learner" if swap.first else "after the join, because it is alive"
            echo(f"would remove {swap.old.name or 'an unstarted member'} ({swap.old.id:x}) {order}")
        print_margin(view)
        for finding in found:
            echo(f"{finding.level} {finding.name}: {finding.text}")
        echo(NOTHING_DONE)

    plan = {
        "add": {"name": name, "peerURL": url},
        "remove": named_json(swap.old) if swap.old else None,
        "findings": [one.as_dict() for one in found],
    }
    emit(form, "JoinPlan", {**plan, **cluster_json(view)}, table)


def _plan_words(view: ClusterView, name: str, url: str) -> str:
    known = view.by_peer_urls((url,))
    if known is None:
        return f"would add {name} at {url} as a learner, promote it once aligned, and verify it"
    if known.is_learner:
        return f"would continue with the learner {known.id:x} at {url}: start {name}, promote it once aligned, and verify it"
    return f"{name} ({known.id:x}) is a voter already: would verify that it serves"


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
    """A change of one member, done or planned: `kind` and `key` are for JSON, `text` and the line at the end, `last`, are for
    people."""

    kind: str
    key: str
    member: Member
    text: str
    last: str = ""


def _show_view(cluster: Cluster, form: str, done: _Done) -> None:
    from quorate.cli.common.cluster_output import cluster_json, named_json, print_margin

    view = look_after(cluster)

    def table() -> None:
        echo(done.text)
        if view is not None:
            print_margin(view)
        if done.last:
            echo(done.last)

    emit(form, done.kind, {done.key: named_json(done.member), **(cluster_json(view) if view else {})}, table)


def look_after(cluster: Cluster) -> ClusterView | None:
    """Returns the cluster after a change, to be printed, or None when the look fails. The change is done, so a failing look
    is a warning and no error."""
    from quorate.errors import QuorateError
    from quorate.report import Notice

    try:
        return cluster.status()
    except QuorateError as error:
        cluster.report(Notice(f"the change is done, but the cluster could not be read afterwards: {error.what}", "warning"))
        return None
