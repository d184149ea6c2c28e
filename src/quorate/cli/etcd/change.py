"""`quorate etcd add|promote|remove|replace|move-leader`: one verb each, safe by the engine's rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.etcd.connection import Duration, Seconds, cluster_opened, connection_options, given_by_hand
from quorate.cli.etcd.host_options import HostOptions, check_host, host_of_options, host_options
from quorate.cli.etcd.join_options import JoinOptions, checked_absence, join_options, with_patience
from quorate.cli.etcd.start_hook import restarter, starter
from quorate.cli.local.change import Add, Replace, local_change
from quorate.errors import ConfigError, PreflightFailed

if TYPE_CHECKING:
    from quorate.core.finding import Finding
    from quorate.core.membership import ClusterView, Member
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.membership.external import Start
    from quorate.etcd.membership.join_state import JoinResult
    from quorate.etcd.observation.write_probe import WriteGap
    from quorate.member.join_here import Host

Command = Callable[..., Any]


_timeout = click.option(
    "--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds without progress to give up after."
)


def _common(command: Command) -> Command:
    for option in (
        connection_options,
        output_option(),
        click.option("--dry-run", is_flag=True, help="Look and judge; change nothing."),
    ):
        command = option(command)
    return command


def _new_member(command: Command) -> Command:
    for option in (
        join_options,
        host_options,
        click.option(
            "--dir",
            "folder",
            type=click.Path(path_type=Path),
            help="The member is one of the local cluster in this directory ('quorate local'); nothing else is needed then.",
        ),
        click.option("--peer-urls", "peer_url", metavar="URL", help="Where the other members will reach it."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("name")
@_new_member
@_common
def add(
    name: str, peer_url: str | None, folder: Path | None, host: HostOptions, joining: JoinOptions, form: str, dry_run: bool
) -> None:
    """Add the member NAME: as a learner first, a voter once it is fully aligned.

    The member is registered, what its etcd needs to know is written or printed, and then it is waited for: start it on its
    machine, or let --start do so. With --runtime its etcd is run on this host. If it does not get ready it is taken off the
    member list again.

    \b
    Examples:
      quorate etcd add node-d --peer-urls https://10.0.0.4:2380 --env-file /etc/etcd/join.env --start 'systemctl start etcd'
      quorate etcd add node-d --peer-urls https://10.0.0.4:2380 --runtime systemd --cert-file … --peer-cert-file …
      quorate etcd add m4 --dir ./try        # on a local cluster
    """
    if folder is not None:
        _only_with_a_cluster(peer_url, joining.start_command, joining.env_file, host.runtime)
        local_change(folder, Add(name), form, dry_run=dry_run)
        return
    with cluster_opened() as opened:
        cluster = joining.applied(opened)
        joiner = _joiner(
            cluster, name, peer_url, host, starter(joining, cluster.clock.cancel), restarter(joining, cluster.clock.cancel)
        )
        if dry_run:
            _say_add(joiner, form)
            return
        with joining.probed(cluster) as gap:
            result = joiner.join()
        _show_join(cluster, result, form, gap())


def _only_with_a_cluster(*given: object) -> None:
    if any(value is not None for value in given):
        raise ConfigError("--dir names a local cluster, whose members need no other option")
    if given_by_hand("endpoints"):
        raise ConfigError("--dir and --endpoints name two clusters", state="nothing was changed", advice="give one of them")


@dataclass(frozen=True, slots=True)
class _Joiner:
    """A member to be and who runs it: this host, or somebody else."""

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
        """Raises `PreflightFailed` for what would make the join fail, before anything else is changed for it."""
        from quorate.core.view_findings import judge

        view, found = self.look()
        judge([*found, *self.cluster.preflight(view, self.name, [self.peer_url])], self.cluster.report)

    def look(self) -> tuple[ClusterView, list[Finding]]:
        """The cluster, and what this host's own checks say."""
        if self.here is None:
            return self.cluster.status(), []
        from quorate.member.join_here import look

        return look(self.cluster, self.here)


def _joiner(
    cluster: Cluster, name: str, peer_url: str | None, host: HostOptions, start: Start, restart: Start | None
) -> _Joiner:
    from quorate.core.ids import normalise_url

    if peer_url is None:
        raise ConfigError("--peer-urls is missing: where will the other members reach it?")
    check_host(host)
    url = normalise_url(peer_url)
    here = host_of_options(host, name, url, cluster.clock) if host.runtime else None
    return _Joiner(cluster, name, url, start, restart, here, not host.no_inbound_probe)


@click.command()
@click.argument("member")
@_timeout
@_common
def promote(member: str, form: str, timeout: float, dry_run: bool) -> None:
    """Make the learner MEMBER (name, hex id or peer URL) a voter, once it is fully aligned."""
    with cluster_opened() as opened:
        cluster = with_patience(opened, timeout)
        found = cluster.member(member)
        result = None if dry_run else cluster.promote(member)
        if result is not None:
            _show_join(cluster, result, form)
            return
    from quorate.cli.common.cluster_output import named_json

    text = f"{found.name} is a voter" if not found.is_learner else f"would promote {found.name} once it is aligned"
    promote_next = [named_json(found)] if found.is_learner else []
    emit(form, "PromotePlan", {"dryRun": dry_run, "promote": promote_next}, lambda: echo(text))


@click.command()
@click.argument("member")
@click.option("--accept-reduced-tolerance", is_flag=True, help="Go on although fewer members may fail afterwards.")
@click.option(
    "--absence",
    type=Duration(),
    default="10s",
    show_default=True,
    help="How long a voter must show no sign of life, to us and to the leader, to count as dead.",
)
@_timeout
@_common
def remove(member: str, form: str, timeout: float, dry_run: bool, accept_reduced_tolerance: bool, absence: float) -> None:
    """Remove MEMBER (name, hex id or peer URL); refused when that could cost the quorum.

    Leadership is moved away first. The data of the removed member stays where it is: delete it before it joins again.
    """
    with cluster_opened() as opened:
        cluster = changed(with_patience(opened, timeout), absence_seconds=checked_absence(absence))
        verb = cluster.check_remove if dry_run else cluster.remove
        gone = verb(member, accept_reduced_tolerance=accept_reduced_tolerance)
        label = f"{gone.name or 'an unstarted member'} ({gone.id:x})"
        if dry_run:
            _show_view(cluster, form, _Done("RemovePlan", "remove", gone, f"would remove {label}"))
        else:
            _show_view(cluster, form, _Done("RemoveResult", "removed", gone, f"removed {label}"))


@click.command()
@click.argument("old")
@click.argument("new")
@_new_member
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
    """Put NEW in the place of OLD: a live OLD leaves when NEW serves; a dead one is removed first.

    \b
    Examples:
      quorate etcd replace node-a node-e --peer-urls https://10.0.0.5:2380 --start './start.sh'
      quorate etcd replace m1 m5 --dir ./try -o json
    """
    if folder is not None:
        _only_with_a_cluster(peer_url, joining.start_command, joining.env_file, host.runtime)
        local_change(folder, Replace(old, new), form, dry_run=dry_run)
        return
    with cluster_opened() as opened:
        cluster = joining.applied(opened)
        joiner = _joiner(
            cluster, new, peer_url, host, starter(joining, cluster.clock.cancel), restarter(joining, cluster.clock.cancel)
        )
        if dry_run:
            _say_add(joiner, form, cluster.to_be_replaced(old, joiner.peer_url))
            return
        with joining.probed(cluster) as gap:
            result = cluster.swap(old, joiner.peer_url, joiner.join, joiner.judge)
        _show_join(cluster, result, form, gap())


@click.command("move-leader")
@click.argument("member")
@connection_options
@output_option()
def move_leader(member: str, form: str) -> None:
    """Hand leadership to the voter MEMBER."""
    with cluster_opened() as cluster:
        leader = cluster.move_leader(member)
        _show_view(cluster, form, _Done("MoveLeaderResult", "movedTo", leader, f"{leader.name} leads"))


def _say_add(joiner: _Joiner, form: str, replaced: Member | None = None) -> None:
    """Judge the first step of a join as the engine would, and this host when it is to run the member."""
    from quorate.cli.common.cluster_output import cluster_json, named_json, print_margin
    from quorate.core.finding import errors_of

    view, found = joiner.look()
    name, url = joiner.name, joiner.peer_url
    found += joiner.cluster.preflight(view, name, [url])
    joiner.cluster.check_add(view, name, [url])
    going = f"{replaced.name or 'an unstarted member'} ({replaced.id:x})" if replaced else ""

    def table() -> None:
        echo(f"would add {name} at {url} as a learner, promote it once aligned, and verify it")
        if replaced:
            echo(f"would remove {going}: after the join when it is alive, before it when it is dead or a learner")
        print_margin(view)
        for finding in found:
            echo(f"{finding.level} {finding.name}: {finding.text}")

    plan = {
        "add": {"name": name, "peerURL": url},
        "remove": named_json(replaced) if replaced else None,
        "findings": [one.as_dict() for one in found],
    }
    emit(form, "JoinPlan", {**plan, **cluster_json(view)}, table)
    if errors_of(found):
        raise click.exceptions.Exit(PreflightFailed.exit_code)


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
    """What was done to one member, or would be: for programs as `kind` with `key`, for people as `text`."""

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
    """The cluster once the change is done, to be shown. It is done: a look that fails is said, and is no failure of it."""
    from quorate.errors import QuorateError
    from quorate.report import Notice

    try:
        return cluster.status()
    except QuorateError as error:
        cluster.report(Notice(f"done; the cluster could not be looked at afterwards: {error.what}", "warning"))
        return None
