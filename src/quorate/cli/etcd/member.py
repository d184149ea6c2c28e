"""`quorate etcd member …`: etcdctl's spelling, flags, defaults and output, on the engine that keeps the quorum safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import group
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import document, echo
from quorate.cli.etcd.completers import learner_ids, member_ids
from quorate.cli.etcd.connection import CONNECTION, Connection, connected, connection_options, left_to_etcdctl
from quorate.cli.etcd.opening import cluster_to_change, waited_for
from quorate.errors import ConfigError
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView
    from quorate.deadline import SystemClock
    from quorate.etcd.client.wire_pb2 import MembersResponse

_FORMATS = ("simple", "table", "json", "fields", "protobuf")
_write_out = click.option(
    "-w",
    "--write-out",
    type=click.Choice(_FORMATS),
    default="simple",
    show_default=True,
    envvar="ETCDCTL_WRITE_OUT",
    help="Output format.",
)
_hex = click.option("--hex/--no-hex", "as_hex", envvar="ETCDCTL_HEX", help="Print ids as hex in json and fields.")


@group("member", foreign=left_to_etcdctl("member"), hands_down=CONNECTION)
@connection_options
def member() -> None:
    """List and change members with etcdctl's spelling, flags, defaults and output.

    \b
    Examples:
      quorate etcd member list -w table
      quorate etcd member add node-d --peer-urls=https://10.0.0.4:2380 --learner
    """


@member.command("list", ends=READS)
@connection_options
@_write_out
@_hex
@click.option(
    "--consistency",
    type=click.Choice(["l", "s"]),
    default="l",
    show_default=True,
    help="l: read through the quorum; s: one member's own copy.",
)
def list_members(write_out: str, as_hex: bool, consistency: str) -> None:
    """List the members byte for byte as etcdctl does.

    \b
    Example:
      quorate etcd member list --endpoints 127.0.0.1:2379 --cacert=ca.crt --cert=client.crt --key=client.key
    """
    from quorate.cli.etcd.etcdctl_format import format_member_list
    from quorate.deadline import SystemClock

    clock = SystemClock()
    with waited_for(clock) as connection:
        answer = _answer(connection, clock, linearizable=consistency == "l")
    document(format_member_list(answer, write_out, as_hex=as_hex))


@member.command("add")
@click.argument("name")
@connection_options
@click.option("--peer-urls", required=True, metavar="URL[,URL]", help="Where the other members will reach the new one.")
@click.option("--learner/--no-learner", help="Accepted; a new member is always a learner first.")
@_write_out
@_hex
def add(name: str, peer_urls: str, learner: bool, write_out: str, as_hex: bool) -> None:
    """Register NAME as a learner and print its ETCD_* variables. Neither waits for the member nor promotes it.

    'quorate etcd add' does all of that.

    \b
    Example:
      quorate etcd member add node-d --peer-urls=https://10.0.0.4:2380 --learner
    """
    _only(write_out, "simple", "json", "fields", "protobuf")
    with cluster_to_change() as cluster:
        added, view = cluster.register(name, peer_urls.split(","))
    if not learner:
        advice = to_paste("quorate", "etcd", "member", "promote", f"{added.id:x}")
        echo(f"the member was added as a learner, without a vote; once its etcd runs, run: {advice}", err=True)
    if write_out != "simple":
        _echo_list(write_out, as_hex=as_hex)
        return
    echo(f"Member {added.id:16x} added as learner to cluster {view.cluster_id:16x}")
    echo()
    document(_variables(name, added.id, view))


def _variables(name: str, member_id: int, view: ClusterView) -> str:
    """Returns the lines that etcdctl prints: members sorted by id, those without a name as `=URL`."""
    from quorate.etcd.membership.external import environment_file, variables

    rows = sorted(view.members, key=lambda row: row.id)
    pairs = [(name if row.id == member_id else row.name, url) for row in rows for url in row.peer_urls]
    own = next(row for row in rows if row.id == member_id)
    return environment_file(variables(name, ",".join(own.peer_urls), pairs))


@member.command("promote")
@click.argument("member_id", metavar="ID", shell_complete=learner_ids)
@connection_options
@_write_out
@_hex
def promote(member_id: str, write_out: str, as_hex: bool) -> None:
    """Promote the learner ID (hex). Waits until it answers and has applied a write made just before.

    Where etcdctl fails while the learner lags, this command waits, up to 60 s without progress.

    \b
    Example:
      quorate etcd member promote 8e9e05c52164694d
    """
    from quorate.core.ids import parse_id

    with cluster_to_change() as cluster:
        found = cluster.member(f"{parse_id(member_id):x}")
        if cluster.promote(f"{found.id:x}") is None:
            echo("the member is already a voter: nothing was changed", err=True)
        cluster_id = cluster.access.routes.cluster_id
    _done(f"Member {found.id:16x} promoted in cluster {cluster_id:16x}", write_out, as_hex=as_hex)


@member.command("remove")
@click.argument("member_id", metavar="ID", shell_complete=member_ids)
@connection_options
@click.option("--accept-reduced-tolerance", is_flag=True, help="Proceed although fewer members may fail afterwards.")
@_write_out
@_hex
def remove(member_id: str, write_out: str, as_hex: bool, accept_reduced_tolerance: bool) -> None:
    """Remove the member ID (hex). Refused when that could cost the quorum, where etcdctl proceeds.

    \b
    Example:
      quorate etcd member remove 8e9e05c52164694d
    """
    from quorate.core.ids import parse_id

    with cluster_to_change() as cluster:
        gone = cluster.remove(f"{parse_id(member_id):x}", accept_reduced_tolerance=accept_reduced_tolerance)
        cluster_id = cluster.access.routes.cluster_id
    _done(f"Member {gone.id:16x} removed from cluster {cluster_id:16x}", write_out, as_hex=as_hex)


def _done(text: str, write_out: str, *, as_hex: bool) -> None:
    _only(write_out, "simple", "json", "fields", "protobuf")
    if write_out == "simple":
        echo(text)
    else:
        _echo_list(write_out, as_hex=as_hex)


def _only(write_out: str, *supported: str) -> None:
    """Raises `ConfigError` for any other format: etcdctl prints no table for a change either."""
    if write_out not in supported:
        raise ConfigError(f"-w {write_out} is not supported here", advice=f"pass one of: {', '.join(supported)}")


def _echo_list(write_out: str, *, as_hex: bool) -> None:
    from quorate.cli.etcd.etcdctl_format import format_member_list
    from quorate.deadline import SystemClock

    with connected() as connection:
        answer = _answer(connection, SystemClock(), linearizable=True)
    document(format_member_list(answer, write_out, as_hex=as_hex))


def _answer(connection: Connection, clock: SystemClock, *, linearizable: bool) -> MembersResponse:
    from quorate.etcd.client.member_list import first_member_answer

    return first_member_answer(
        connection.access, connection.endpoints, clock, timeout=connection.timeout, linearizable=linearizable
    )
