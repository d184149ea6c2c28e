"""`quorate etcd watch`: the cluster at regular intervals, with each member's lag over time and how many may fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from quorate.cli.common.cluster_output import cluster_json, health_words, role
from quorate.cli.common.durations import WAIT
from quorate.cli.common.output import echo, emit_event, enveloped, stdout_is_terminal
from quorate.cli.common.progress import drawn
from quorate.cli.etcd.connection import cluster_opened, connection_options
from quorate.core.membership import ClusterView, in_order, lag_of, margin_of
from quorate.core.meters import LagMeter
from quorate.errors import Interrupted

if TYPE_CHECKING:
    from rich.console import Group

    from quorate.etcd.cluster import Cluster

_BARS = "▁▂▃▄▅▆▇█"
_SAMPLES = 30


@dataclass(frozen=True, slots=True)
class Frame:
    """One look: the cluster, or the `problem` of reading it; `lags` are in seconds, by member id."""

    view: ClusterView | None
    problem: str
    lags: dict[int, float]


@dataclass(slots=True)
class History:
    """The lag in entries of each member, newest last."""

    entries: dict[int, deque[int]] = field(default_factory=dict[int, "deque[int]"])
    meters: dict[int, LagMeter] = field(default_factory=dict[int, LagMeter])

    def add(self, view: ClusterView) -> dict[int, float]:
        """Stores this look and returns each member's lag in seconds."""
        leader = view.answer(view.leader.id) if view.leader else None
        lags: dict[int, float] = {}
        for member in view.members:
            answer = view.answer(member.id)
            if answer is None or leader is None:
                continue
            self.entries.setdefault(member.id, deque(maxlen=_SAMPLES)).append(lag_of(view, member))
            meter = self.meters.setdefault(member.id, LagMeter(view.taken_at))
            lags[member.id] = meter.seconds(view.taken_at, leader.raft_index, answer.applied_index)
        return lags

    def curve(self, member_id: int) -> str:
        return sparkline(self.entries.get(member_id, ()))


def sparkline(values: deque[int] | tuple[int, ...]) -> str:
    """Returns bars from 0 to the largest value; a flat line when nothing lags."""
    most = max(values, default=0)
    return "".join(_BARS[round(value / most * (len(_BARS) - 1))] if most else _BARS[0] for value in values)


@click.command()
@click.option("--interval", type=WAIT, default="1s", show_default=True, help="Time between looks.")
@click.option("--count", type=click.IntRange(min=1), help="End after this many looks.  [default: until Ctrl-C]")
@click.option("-o", "--output", "form", type=click.Choice(("table", "json")), default="table", help="json: one look per line.")
@connection_options
def watch(interval: float, count: int | None, form: str) -> None:
    """Watch the cluster until Ctrl-C. Shows roles, health, each member's lag as a curve, and how many may fail.

    On a terminal the table is redrawn; elsewhere each look is one line.

    \b
    Examples:
      quorate etcd watch
      quorate etcd watch --interval 500ms --count 20 -o json
    """
    history = History()
    with cluster_opened(silent=True) as cluster:
        frames = _frames(cluster, history, interval, count)
        try:
            if form == "json":
                for frame in frames:
                    emit_event(enveloped("ClusterLook", _json(frame)))
            elif stdout_is_terminal():
                _draw(frames, history)
            else:
                for frame in frames:
                    echo(_line(frame))
        except Interrupted:
            # Ctrl-C is how a watch ends.
            return


def _frames(cluster: Cluster, history: History, interval: float, count: int | None) -> Iterator[Frame]:
    from quorate.etcd.client.errors import EtcdError

    looks = 0
    while True:
        try:
            view = cluster.status()
        except EtcdError as error:
            yield Frame(None, error.what, {})
        else:
            yield Frame(view, "", history.add(view))
        looks += 1
        if looks == count:
            return
        cluster.clock.sleep(interval)


def _json(frame: Frame) -> dict[str, object]:
    now = {"time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    if frame.view is None:
        return {**now, "problem": frame.problem}
    return {**now, **cluster_json(frame.view), "lagSeconds": {f"{key:x}": round(lag, 2) for key, lag in frame.lags.items()}}


def _line(frame: Frame) -> str:
    clock = datetime.now().astimezone().strftime("%H:%M:%S")
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
    kind = " (learner)" if member.is_learner else ""
    return f"{name}{kind}: {lag_of(view, member)} behind ({frame.lags.get(member_id, 0.0):.1f} s)"


def _draw(frames: Iterator[Frame], history: History) -> None:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        for frame in frames:
            live.update(_picture(frame, history), refresh=True)


def _picture(frame: Frame, history: History) -> Group:
    from rich.console import Group
    from rich.table import Table

    if frame.view is None:
        return Group(drawn(frame.problem, style="red"))
    view, table = frame.view, Table(box=None, pad_edge=False)
    for header in ("NAME", "ROLE", "HEALTH", "BEHIND", "SECONDS", "LAG OVER TIME"):
        table.add_column(header, no_wrap=header != "HEALTH")
    for member in in_order(view):
        seconds = frame.lags.get(member.id)
        cells = (str(lag_of(view, member)), f"{seconds:.1f}") if seconds is not None else ("", "")
        name = member.name or f"{member.id:x}"
        row = (name, role(member, view), health_words(member, view), *cells, history.curve(member.id))
        table.add_row(*map(drawn, row))
    left = margin_of(view)
    lines = [drawn(_verdict(view), style="green" if left > 0 else "yellow" if left == 0 else "red")]
    lines += [drawn(f"alarm {alarm.kind}", style="red") for alarm in view.alarms]
    return Group(table, *lines)
