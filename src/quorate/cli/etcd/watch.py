"""`quorate etcd watch`: the cluster at regular intervals, with each member's lag over time and how many may fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from quorate.cli.common import terminal
from quorate.cli.common.cluster_output import cluster_json, role
from quorate.cli.common.commands import command
from quorate.cli.common.durations import WAIT
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import echo, emit_document, emit_event, enveloped, output_option
from quorate.cli.common.signals import ending
from quorate.cli.etcd import watch_history
from quorate.cli.etcd.connection import connected, connection_options, for_etcdctl, given_value
from quorate.cli.etcd.watch_history import Frame, History
from quorate.core.membership import ClusterView, in_order, lag_of, margin_of
from quorate.errors import Interrupted, UsageProblem

if TYPE_CHECKING:
    from quorate.etcd.cluster import Cluster

_MOST_SECONDS = 1.5
"""Most seconds that one look waits for an answer. Without a quorum no list can be read through it, and with the 5 s of other
commands the picture would stand still just when it matters."""


def _of_keys(ctx: click.Context, words: Sequence[str]) -> UsageProblem:
    from quorate.cli.common.foreign_commands import watched_keys

    return watched_keys(*for_etcdctl(ctx.parent or ctx, words))


@command(ends=READS, foreign=_of_keys)
@click.option("--interval", type=WAIT, default="1s", show_default=True, help="Time between looks.")
@click.option("--count", type=click.IntRange(min=1), help="End after this many looks.  [default: until Ctrl-C]")
@output_option()
@connection_options
@click.pass_context
def watch(ctx: click.Context, interval: float, count: int | None, form: str) -> None:
    """Watch the cluster until Ctrl-C. Shows roles, health, each member's lag as a curve, and how many may fail.

    On a terminal the picture is redrawn, also when its size changes; elsewhere each look is one line. json prints one look per
    line, yaml one document per look.

    With --count it exits with code 1 when the last look found no quorum, or nobody who answers.

    \b
    Examples:
      quorate etcd watch
      quorate etcd watch --interval 500ms --count 20 -o json

    Ctrl-C ends it with exit code 130.
    """
    history = History()
    try:
        with _cluster() as cluster:
            frames = _frames(cluster, history, interval, count)
            last = _draw(frames, history) if form == "table" and terminal.draws() else _print_all(frames, form)
            # In here, so that what is advised names this cluster.
            _refuse_no_quorum(last)
    except (Interrupted, KeyboardInterrupt):
        # Ctrl-C is how a watch ends: there is nothing to say about it.
        ctx.exit(Interrupted.exit_code)


@contextmanager
def _cluster() -> Iterator[Cluster]:
    """Yields the cluster that the flags describe. A command that only reads needs no journal, and has its own display."""
    from quorate.deadline import Cancel, SystemClock
    from quorate.etcd.cluster import Cluster

    cancel = Cancel()
    with ending(cancel), connected(cancel) as connection:
        timeout = min(connection.timeout, _MOST_SECONDS)
        yield Cluster(connection.access, connection.endpoints, SystemClock(cancel), timeout=timeout)


def _frames(cluster: Cluster, history: History, interval: float, count: int | None) -> Iterator[Frame]:
    from quorate.etcd.client.errors import EtcdError

    looks = 0
    while True:
        try:
            view = cluster.with_standbys(cluster.status())
        except EtcdError as error:
            history.miss()
            yield Frame(_now(), None, error, {})
        else:
            yield Frame(_now(), view, None, history.add(view))
        looks += 1
        if looks == count:
            return
        cluster.clock.sleep(interval)


def _now() -> datetime:
    return datetime.now().astimezone()


def _print_all(frames: Iterator[Frame], form: str) -> Frame | None:
    """Prints each look; returns the last one."""
    last = None
    for last in frames:
        _print(last, form)
    return last


def _refuse_no_quorum(last: Frame | None) -> None:
    """Raises `EtcdError` where the last look found no quorum: a script that waits with --count must not take that for a cluster
    that accepts writes."""
    from quorate.core.membership import starting_advice
    from quorate.etcd.client.errors import Unavailable
    from quorate.etcd.membership.first_step import no_quorum

    if last is None:
        return
    if last.error is not None:
        raise last.error
    if last.view is not None and margin_of(last.view) < 0:
        raise Unavailable(
            no_quorum(last.view).what, advice=f"{starting_advice(last.view)}, then look again: quorate etcd status"
        )


def _print(frame: Frame, form: str) -> None:
    match form:
        case "json":
            emit_event(enveloped("ClusterLook", _fields(frame)))
        case "yaml":
            emit_document(enveloped("ClusterLook", _fields(frame)))
        case _:
            echo(_line(frame))


def _fields(frame: Frame) -> Mapping[str, object]:
    now = {"time": frame.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    if frame.view is None:
        return {**now, "problem": frame.problem}
    return {**now, **cluster_json(frame.view), "lagSeconds": {f"{key:x}": round(lag, 2) for key, lag in frame.lags.items()}}


def _line(frame: Frame) -> str:
    clock = frame.at.strftime("%H:%M:%S")
    if frame.view is None:
        return f"{clock}  {frame.problem}"
    view = frame.view
    lags = "  ".join(_lag_words(view, member.id, member.name or f"{member.id:x}", frame) for member in in_order(view))
    leader = view.leader.name if view.leader else "no member"
    alarms = "".join(f"  alarm {alarm.kind}" for alarm in view.alarms)
    return f"{clock}  {leader} leads, {_verdict(view)}  {lags}{alarms}"


def _verdict(view: ClusterView) -> str:
    left = margin_of(view)
    return f"{left} more may fail" if left >= 0 else "no quorum: the cluster accepts no writes"


def _lag_words(view: ClusterView, member_id: int, name: str, frame: Frame) -> str:
    member = view.by_id(member_id)
    if member is None or view.answer(member_id) is None:
        return f"{name}: no answer"
    kind = f" ({role(member, view)})" if member.is_learner else ""
    if view.leader is None:
        # Behind whom would it be?
        return f"{name}{kind}: no leader"
    return f"{name}{kind}: {lag_of(view, member)} behind ({frame.lags.get(member_id, 0.0):.1f} s)"


def _draw(frames: Iterator[Frame], history: History) -> Frame:
    """Draws on the alternate screen until the looks end, then leaves the last one, which is returned, as a line on the screen
    that was there before. The display redraws by itself: a terminal whose size was changed is filled again within a quarter of
    a second."""
    from rich.live import Live

    from quorate.cli.etcd.watch_screen import Shown

    endpoints, plain = given_value("endpoints") or "", not terminal.can_show(watch_history.BARS)
    frame = Frame(_now(), None, None, {})
    begun = Shown(frame, None, (), endpoints, plain)
    with Live(begun, console=terminal.console(), screen=True, redirect_stdout=False, redirect_stderr=False) as live:
        for frame in frames:
            live.update(Shown(frame, history.last, tuple(history.looks), endpoints, plain), refresh=True)
    echo(_line(frame))
    return frame
