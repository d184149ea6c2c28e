"""What every command that joins a member takes: how long to wait, what may be done to it, and how it gets started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.option_groups import packed
from quorate.cli.etcd.connection import Duration, Seconds
from quorate.errors import ConfigError

if TYPE_CHECKING:
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.observation.write_probe import WriteGap

_OPTIONS = (
    click.option(
        "--start",
        "start_command",
        metavar="CMD",
        help="Run this once the member is registered, without a shell; it gets ETCD_*, and must return within --timeout.",
    ),
    click.option(
        "--restart",
        "restart_command",
        metavar="CMD",
        help="Run this once to restart its etcd when its publish was lost, which spares 7 s on etcd 3.6 and newer.",
    ),
    click.option("--env-file", type=click.Path(path_type=Path), help="Write the ETCD_* here instead of to stderr."),
    click.option(
        "--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds without progress to give up after."
    ),
    click.option("--keep-on-failure", is_flag=True, help="Roll nothing back when the join fails, for a look."),
    click.option("--no-learner-restart", is_flag=True, help="Wait 7 s for a lost publish instead of one restart."),
    click.option("--probe-writes", is_flag=True, help="Write all the while and tell the longest time without a write."),
    click.option("--accept-reduced-tolerance", is_flag=True, help="Go on although fewer members may fail afterwards."),
    click.option(
        "--absence",
        type=Duration(),
        default="10s",
        show_default=True,
        help="With replace: how long a voter must show no sign of life, to us and to the leader, to count as dead.",
    ),
)


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """What was given on the command line; `timeout` in seconds."""

    start_command: str | None
    restart_command: str | None
    env_file: Path | None
    timeout: float
    keep_on_failure: bool
    no_learner_restart: bool
    probe_writes: bool
    accept_reduced_tolerance: bool
    absence: float

    def applied(self, cluster: Cluster) -> Cluster:
        """Returns the cluster whose joins are done so."""
        from quorate.etcd.membership.join_state import JoinPolicy

        policy = JoinPolicy(
            self.timeout,
            keep_on_failure=self.keep_on_failure,
            restart_learner=not self.no_learner_restart,
            accept_reduced_tolerance=self.accept_reduced_tolerance,
        )
        return replace(cluster, policy=policy, absence_seconds=checked_absence(self.absence))

    @contextmanager
    def probed(self, cluster: Cluster) -> Iterator[Callable[[], WriteGap | None]]:
        """A writer beside the block, when wanted; what it gives tells afterwards what the writer saw."""
        if not self.probe_writes:
            yield lambda: None
            return
        with cluster.probe() as probe:
            yield lambda: probe.gap


_LEAST_ABSENCE_SECONDS = 3.0
"""A voter that writes to a busy disk stands still for a second or two and is healthy."""


def with_patience(cluster: Cluster, seconds: float) -> Cluster:
    """Returns the cluster whose joins may go without progress, and whose removals may take, so long."""
    return replace(cluster, policy=replace(cluster.policy, stall_seconds=seconds))


def checked_absence(seconds: float) -> float:
    """Raises `ConfigError` for a time in which a healthy voter may stand still."""
    if seconds < _LEAST_ABSENCE_SECONDS:
        raise ConfigError(
            f"--absence {seconds:g}s: a voter whose machine hangs for a moment would be taken for dead",
            state="nothing was changed",
            advice=f"at least {_LEAST_ABSENCE_SECONDS:g}s",
        )
    return seconds


join_options = packed(JoinOptions, "joining", _OPTIONS)
