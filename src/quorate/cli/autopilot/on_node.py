"""`--stacked`: the autopilot on a control-plane node, whose held back components it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.etcd.connection import given_value, widen_own
from quorate.errors import ConfigError, UsageProblem

if TYPE_CHECKING:
    from quorate.deadline import SystemClock
    from quorate.etcd.autopilot.own_node import OwnNode
    from quorate.report import Report

Command = Callable[..., Any]
MANIFESTS = "/etc/kubernetes/manifests"

stacked_option = click.option(
    "--stacked",
    is_flag=True,
    help="This host is a control-plane node: start what 'join --standby' held back, once its etcd has its vote.",
)


def mean_own_node(folder: Path | None) -> None:
    """Names the members that this node's manifest knows, where nothing else says which cluster is meant: a learner answers no
    question about its cluster. Raises `UsageProblem`, and `ConfigError` where this node has no etcd."""
    if folder is not None:
        raise UsageProblem("--stacked is about this node, and --dir names a local cluster", advice="leave one out")
    if not (_root() / MANIFESTS.lstrip("/") / "etcd.yaml").is_file():
        raise ConfigError(
            f"there is no {MANIFESTS}/etcd.yaml on this node: --stacked is for a control-plane node with its own etcd",
            state="nothing was started",
            advice="leave out --stacked; or make this node a standby: quorate join ... --control-plane --standby",
        )
    widen_own(_others)


def own_node(clock: SystemClock, report: Report) -> OwnNode:
    """Returns what this node does beside the rounds."""
    from quorate.etcd.autopilot.own_node import OwnNode
    from quorate.phases.base.this_node import ThisNode
    from quorate.phases.start.standby_node import StandbyNode
    from quorate.tree import RealTree

    here = ThisNode(rootfs=given_value("rootfs") or "")
    out = (
        "another one has its place. Its etcd does not start again, and its API server cannot work; to bring the node back: "
        f"{here.command('reset')}, then 'quorate join ... --control-plane --standby'"
    )
    return OwnNode(StandbyNode(RealTree(_root()), clock, here), clock, report, out)


def _root() -> Path:
    return Path(given_value("rootfs") or "/").absolute()


def _others() -> list[str]:
    from quorate.phases.node.local_etcd import local_etcd
    from quorate.tree import RealTree

    etcd = local_etcd(RealTree(_root()))
    return etcd.others if etcd is not None else []
