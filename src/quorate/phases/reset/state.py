"""The request of a reset, what it has done so far, and its confirmation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from quorate.config import types as v4
from quorate.deadline import SystemClock
from quorate.errors import HostError, PreflightFailed, Refused
from quorate.host.etcd_identity import DataIdentity
from quorate.host.kubelet import Kubelet
from quorate.phases.base.context import CONFIG_FOLDER
from quorate.phases.base.node_files import runtime_socket
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.static_pods import manifest_path
from quorate.report import PhaseLine, PhaseReport
from quorate.tree import Tree


@dataclass(slots=True)
class ResetRun:
    """One run of reset. `ask`: asks a question and returns whether the answer was yes. `abandon`: delete the data of an etcd
    member although the cluster still lists it. `left`: the etcd whose data this run has deleted.

    `manifest`: the content of etcd's manifest when this run looked, None once it is deleted or where there was none; `owner`:
    the member whose data was here then. Before each step that cannot be undone they are compared with what is there."""

    reset: v4.ResetConfiguration
    tree: Tree
    clock: SystemClock
    report: PhaseReport
    ask: Callable[[str], bool]
    kubelet: Kubelet = field(default_factory=Kubelet)
    kubeconfig: str = f"{CONFIG_FOLDER}/admin.conf"
    abandon: bool = False
    left: LocalEtcd | None = None
    has_looked: bool = False
    manifest: bytes | None = None
    owner: DataIdentity | None = None
    dry_run: bool = False

    @property
    def cri_socket(self) -> str:
        """The endpoint of this node's container runtime."""
        return runtime_socket(self.tree, self.reset.cri_socket)

    def look(self) -> None:
        """Notes what is here, once a run."""
        if not self.has_looked:
            self.manifest, self.has_looked = self.tree.read(manifest_path("etcd")), True

    def refuse_changed(self) -> None:
        """Raises `HostError` when another program has made an etcd on this node, or changed it, since this run looked."""
        if self.tree.read(manifest_path("etcd")) != self.manifest:
            raise HostError(
                f"{manifest_path('etcd')} was written by another program since this run looked: it may run a new member",
                advice="look at what works on this node, then run the same command again",
            )

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
