"""The request of a reset, what it has done so far, and its confirmation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from quorate.config import types as v4
from quorate.deadline import SystemClock
from quorate.errors import PreflightFailed, Refused
from quorate.host.kubelet import Kubelet
from quorate.phases.base.context import CONFIG_FOLDER
from quorate.phases.base.node_files import runtime_socket
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.report import PhaseLine, PhaseReport
from quorate.tree import Tree


@dataclass(slots=True)
class ResetRun:
    """One run of reset. `ask`: asks a question and returns whether the answer was yes. `abandon`: delete the data of an etcd
    member although the cluster still lists it. `left`: the etcd whose data this run has deleted."""

    reset: v4.ResetConfiguration
    tree: Tree
    clock: SystemClock
    report: PhaseReport
    ask: Callable[[str], bool]
    kubelet: Kubelet = field(default_factory=Kubelet)
    kubeconfig: str = f"{CONFIG_FOLDER}/admin.conf"
    abandon: bool = False
    left: LocalEtcd | None = None
    dry_run: bool = False

    @property
    def cri_socket(self) -> str:
        """The endpoint of this node's container runtime."""
        return runtime_socket(self.tree, self.reset.cri_socket)

    def say(self, phase: str, text: str) -> None:
        self.report(PhaseLine(phase, text))


def confirm(run: ResetRun) -> None:
    """Asks for confirmation. Raises `Refused` when the answer is no, `PreflightFailed` when not run as root."""
    if os.geteuid() != 0 and "all" not in run.reset.ignore_preflight_errors:
        raise PreflightFailed("this must be run as root", state="nothing was changed")
    run.say("preflight", "Running pre-flight checks")
    if run.reset.force or run.dry_run:
        return
    if not run.ask("Changes made to this host by 'init' or 'join' will be reverted. Are you sure you want to proceed?"):
        raise Refused("the reset was not confirmed", state="nothing was changed", advice="--force skips the question")
