"""`quorate autopilot pause|resume|hold`: what operators order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.autopilot.meant import cluster_meant, cluster_options, store_of
from quorate.cli.autopilot.seen import dated
from quorate.cli.common.commands import command
from quorate.cli.common.durations import Seconds
from quorate.cli.common.output import echo, emit, output_option
from quorate.cli.etcd.completers import member_names
from quorate.core.ids import format_id
from quorate.core.membership import Member
from quorate.deadline import utc

if TYPE_CHECKING:
    from quorate.etcd.coordination.autopilot_records import Order

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
        store = store_of(cluster)
        before = store.read().pause
        until = store.pause(seconds, why)
    fields = {"order": "pause", "seconds": seconds, "until": utc(until), "why": why}

    def say() -> None:
        echo(f"paused until {dated(until)}")
        say_shortened("paused", before, until)

    emit(form, "AutopilotOrder", fields, say)


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
    """Exempt MEMBER from being replaced, moved or removed for a time.

    A voter is not replaced when it is lost, and its vote is not moved to another zone. A standby is not removed for a join that
    waits for its seat, and gets no vote for the sake of a zone; it still takes the place of a voter that is lost.

    \b
    Examples:
      quorate autopilot hold m2 --for 4h --why 'new disk'
      quorate autopilot hold m2 --for 0
    """
    if not seconds:
        _release(member, why, folder, form)
        return
    with cluster_meant(folder) as cluster:
        held, store = cluster.member(member), store_of(cluster)
        before = store.read().holds.get(held.id)
        until = store.hold(held, seconds, why)
    fields = {
        "order": "hold",
        "member": {"id": format_id(held.id), "name": held.name},
        "seconds": seconds,
        "until": utc(until),
        "why": why,
    }

    def say() -> None:
        echo(_held(held, until))
        say_shortened("held", before, until)

    emit(form, "AutopilotOrder", fields, say)


def say_shortened(what: str, before: Order | None, until: float) -> None:
    """Says where an order takes the place of a longer one, which somebody may rely on."""
    if before is not None and before.until > until:
        echo(f"it was {what} until {dated(before.until)} ({before.why or 'no reason was given'}): that is shortened")


def _release(member: str, why: str, folder: Path | None, form: str) -> None:
    with cluster_meant(folder) as cluster:
        held = cluster.member(member)
        was_held = store_of(cluster).release(held, why)
    text = f"{_named(held)} is held no longer" if was_held else f"{_named(held)} was not held: nothing was changed"
    named = {"id": format_id(held.id), "name": held.name}
    fields = {"order": "hold", "member": named, "seconds": 0.0, "until": None, "why": why, "wasHeld": was_held}
    emit(form, "AutopilotOrder", fields, lambda: echo(text))


def _named(member: Member) -> str:
    return member.name or format_id(member.id)


def _held(member: Member, until: float) -> str:
    """Returns what a hold means for this member: of a learner nothing is replaced."""
    if not member.is_learner:
        return f"{_named(member)} is not replaced, nor its vote moved, until {dated(until)}"
    return (
        f"{_named(member)} is a learner: until {dated(until)} it is not removed for its seat, and gets no vote for the sake of "
        "a zone; it still takes the place of a voter that is lost or missing"
    )
