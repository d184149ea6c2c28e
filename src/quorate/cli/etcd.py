"""`quorate etcd …`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quorate.cli.connection import cluster_opened, connected, connection_options
from quorate.cli.etcd_change import add, move_leader, promote, remove, replace
from quorate.cli.output import emit, output_option

if TYPE_CHECKING:
    from quorate.core.membership import ClusterView

_SETTINGS = {"help_option_names": ["-h", "--help"]}
_ETCDCTL_FORMATS = ("simple", "table", "json", "fields", "protobuf")


@click.group(context_settings=_SETTINGS)
@connection_options
def group() -> None:
    """Look at any etcd cluster and change its members safely.

    Flags and ETCDCTL_* variables are etcdctl's.
    """


@group.command()
@connection_options
@output_option("table", "simple", "json", "yaml")
def members(form: str) -> None:
    """The member list, read through the quorum; ids are hex strings in every format."""
    show_members(_observed(), form)


@group.command()
@connection_options
@output_option()
def status(form: str) -> None:
    """Every member: role, health, version, database size, lag; and how many may fail now."""
    from quorate.cli.members import cluster_json, print_status

    with cluster_opened() as cluster:
        view = cluster.status()
    emit(form, cluster_json(view), lambda: print_status(view))


def _observed() -> ClusterView:
    from quorate.deadline import SystemClock
    from quorate.etcd.observe import Patience, observe

    with connected() as connection:
        patience = Patience(connection.timeout, min(connection.timeout, 2.0))
        return observe(connection.access, connection.endpoints, SystemClock(), patience=patience)


def show_members(view: ClusterView, form: str) -> None:
    """Print a member list in one of our own formats."""
    from quorate.cli.members import in_order, member_json, print_members, role

    def text() -> None:
        if form == "table":
            print_members(view)
            return
        for row in in_order(view):
            click.echo(
                ", ".join((f"{row.id:x}", row.name, role(row, view), ",".join(row.peer_urls), ",".join(row.client_urls)))
            )

    emit(form, {"members": [member_json(member, view) for member in in_order(view)]}, text)


@group.command()
@connection_options
@click.option("--write", is_flag=True, help="Also put a small key through every voter, and delete it.")
@output_option()
def health(write: bool, form: str) -> None:
    """Whether every member works: a read through the quorum on voters, a local one on learners.

    Exits 1 when one does not.
    """
    from quorate.cli.members import health_json
    from quorate.cli.output import print_table
    from quorate.errors import QuorateError

    with cluster_opened() as cluster:
        found = cluster.health(write=write)

    def table() -> None:
        rows = [
            (f"{one.member.id:x}", one.member.name or "(unstarted)", one.reason or "healthy", f"{one.seconds * 1000:.1f} ms")
            for one in found
        ]
        print_table(("ID", "NAME", "HEALTH", "TOOK"), rows)

    emit(form, {"members": [health_json(one) for one in found]}, table)
    if not all(one.healthy for one in found):
        raise click.exceptions.Exit(QuorateError.exit_code)


for _command in (add, promote, remove, replace, move_leader):
    group.add_command(_command)


@group.group(context_settings=_SETTINGS)
@connection_options
def member() -> None:
    """etcdctl's spelling, with its flags, defaults and output."""


@member.command("list")
@connection_options
@click.option(
    "-w",
    "--write-out",
    type=click.Choice(_ETCDCTL_FORMATS),
    default="simple",
    show_default=True,
    envvar="ETCDCTL_WRITE_OUT",
    help="Output format.",
)
@click.option("--hex/--no-hex", "as_hex", envvar="ETCDCTL_HEX", help="Print ids as hex in json and fields.")
@click.option(
    "--consistency",
    type=click.Choice(["l", "s"]),
    default="l",
    show_default=True,
    help="Through the quorum, or one member's copy.",
)
def member_list(write_out: str, as_hex: bool, consistency: str) -> None:
    """List the members byte for byte as etcdctl does.

    \b
    Example:
      quorate etcd member list --endpoints 127.0.0.1:2379 --cacert=ca.crt --cert=client.crt --key=client.key
    """
    from quorate.cli.etcdctl_format import format_member_list
    from quorate.deadline import SystemClock
    from quorate.etcd.observe import first_member_answer

    with connected() as connection:
        answer = first_member_answer(
            connection.access,
            connection.endpoints,
            SystemClock(),
            timeout=connection.timeout,
            linearizable=consistency == "l",
        )
    click.echo(format_member_list(answer, write_out, as_hex=as_hex), nl=False)
