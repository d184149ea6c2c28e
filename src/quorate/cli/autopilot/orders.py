"""`quorate autopilot pause|resume|hold`: what operators order."""

from __future__ import annotations

from pathlib import Path

import click

from quorate.cli.autopilot.meant import cluster_meant, cluster_options, store_of
from quorate.cli.common.commands import command
from quorate.cli.common.durations import Seconds
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.etcd.completers import member_names
from quorate.core.ids import format_id

_TIME = Seconds(1.0)
_why = click.option("--why", default="", help="The reason, for who looks at it later.")


@command()
@click.option("--for", "seconds", type=_TIME, required=True, help="For how long: a pause that is forgotten ends by itself.")
@_why
@cluster_options
@output_option()
def pause(seconds: float, why: str, folder: Path | None, form: str) -> None:
    """Let it do nothing for a time.

    It still watches: the time that a voter has been silent goes on meanwhile.

    \b
    Example:
      quorate autopilot pause --for 2h --why 'firmware updates'
    """
    with cluster_meant(folder) as cluster:
        store_of(cluster).pause(seconds, why)
    emit(form, "AutopilotOrder", {"order": "pause", "seconds": seconds, "why": why}, lambda: echo(f"paused for {seconds:g} s"))


@command()
@cluster_options
@output_option()
def resume(folder: Path | None, form: str) -> None:
    """End a pause.

    \b
    Example:
      quorate autopilot resume
    """
    with cluster_meant(folder) as cluster:
        was_paused = store_of(cluster).resume()
    text = "the pause is ended" if was_paused else "it was not paused"
    emit(form, "AutopilotOrder", {"order": "resume", "wasPaused": was_paused}, lambda: echo(text))


@command()
@click.argument("member", shell_complete=member_names)
@click.option("--for", "seconds", type=Seconds(), required=True, help="For how long; 0 ends a hold.")
@_why
@cluster_options
@output_option()
def hold(member: str, seconds: float, why: str, folder: Path | None, form: str) -> None:
    """Exempt MEMBER from being replaced for a time.

    \b
    Examples:
      quorate autopilot hold m2 --for 4h --why 'new disk'
      quorate autopilot hold m2 --for 0
    """
    with cluster_meant(folder) as cluster:
        held = cluster.member(member)
        store_of(cluster).hold(held, seconds, why)
    name = held.name or format_id(held.id)
    text = f"{name} is not replaced for {seconds:g} s" if seconds else f"{name} may be replaced again"
    fields = {"order": "hold", "member": {"id": format_id(held.id), "name": held.name}, "seconds": seconds, "why": why}
    emit(form, "AutopilotOrder", fields, lambda: echo(text))
