"""The options of every command that joins a member: timeouts, permissions, and how its etcd is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.completion import files
from quorate.cli.common.durations import DURATION, WAIT
from quorate.cli.common.option_groups import packed

if TYPE_CHECKING:
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.observation.write_probe import WriteGap

timeout_option = click.option(
    "--timeout", type=WAIT, default="60s", show_default=True, help="Give up after so long without progress."
)
_OPTIONS = (
    click.option(
        "--start",
        "start_command",
        metavar="CMD",
        shell_complete=files,
        help="Command that starts its etcd, run after the registration, without a shell; not with --runtime. It gets "
        "ETCD_NAME, ETCD_INITIAL_CLUSTER, ETCD_INITIAL_ADVERTISE_PEER_URLS and ETCD_INITIAL_CLUSTER_STATE, which its etcd must "
        "not set by flags as well, and must return within --timeout.",
    ),
    click.option(
        "--restart",
        "restart_command",
        metavar="CMD",
        shell_complete=files,
        help="Command that restarts its etcd, run once if its publish was lost; this saves 7 s on etcd 3.6 and newer. Not with "
        "--runtime.",
    ),
    click.option(
        "--env-file",
        type=click.Path(path_type=Path),
        help="File for the ETCD_* variables, instead of stderr; not with --runtime.",
    ),
    timeout_option,
    click.option("--keep-on-failure", is_flag=True, help="Roll nothing back when the join fails, so that it can be examined."),
    click.option("--no-learner-restart", is_flag=True, help="Wait 7 s after a lost publish instead of restarting the learner."),
    click.option("--probe-writes", is_flag=True, help="Write during the change and report the longest time without a write."),
    click.option("--accept-reduced-tolerance", is_flag=True, help="Proceed although fewer members may fail afterwards."),
    click.option(
        "--absence",
        type=DURATION,
        default="10s",
        show_default=True,
        help="In a replacement a voter counts as dead after so long without a sign of life, to us and to the leader.",
    ),
)


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """The join options of the command line; `timeout` and `absence` are in seconds."""

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
        """Returns the cluster with these options as its policy. Raises `ConfigError` for an absence that is too short."""
        from quorate.etcd.membership.join_state import JoinPolicy

        policy = JoinPolicy(
            self.timeout,
            keep_on_failure=self.keep_on_failure,
            restart_learner=not self.no_learner_restart,
            accept_reduced_tolerance=self.accept_reduced_tolerance,
        )
        return replace(cluster, policy=policy, absence_seconds=self.absence)

    @contextmanager
    def probed(self, cluster: Cluster) -> Iterator[Callable[[], WriteGap | None]]:
        """Runs the write probe during the block, if --probe-writes is given. Yields a function that returns its result."""
        if not self.probe_writes:
            yield lambda: None
            return
        with cluster.probe() as probe:
            yield lambda: probe.gap


def with_patience(cluster: Cluster, seconds: float) -> Cluster:
    """Returns the cluster with `seconds` as the limit for a join without progress, and for a removal."""
    return replace(cluster, policy=replace(cluster.policy, stall_seconds=seconds))


join_options = packed(JoinOptions, "joining", _OPTIONS)
