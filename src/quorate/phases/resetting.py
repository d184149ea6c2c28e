"""What a reset knows of this node: what is left of a control plane, and whose etcd member runs here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import yaml

from quorate.config import types as v4
from quorate.deadline import SystemClock
from quorate.errors import PreflightFailed, Refused
from quorate.host.kubelet import Kubelet
from quorate.phases.context import CONFIG_FOLDER
from quorate.phases.node_files import refuse_link
from quorate.phases.static_pods import manifest_path
from quorate.report import PhaseLine, PhaseReport
from quorate.tree import Tree


@dataclass(slots=True)
class ResetRun:
    """`ask`: puts a question and returns whether the answer was yes. `abandon`: wipe the data of an etcd member although the
    cluster still lists it. `left`: the etcd whose data this run has deleted."""

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

    def say(self, phase: str, text: str) -> None:
        self.report(PhaseLine(phase, text))


@dataclass(frozen=True, slots=True)
class LocalEtcd:
    """What the manifest of the local etcd says: `rows` of --initial-cluster, by name."""

    name: str
    peer_url: str
    client_urls: tuple[str, ...]
    rows: dict[str, str]
    data_dir: str


LEFT = f"{CONFIG_FOLDER}/.quorate-reset-etcd.yaml"
"""The manifest of an etcd whose member has left, until its data is deleted: a reset that is cut off between goes on by it."""

_SEAL = ".quorate-left"
"""Lies in the data of that member: without it the note is of data that somebody else has deleted since."""


def note_left(tree: Tree, etcd: LocalEtcd) -> None:
    """Of a member that has left, or is abandoned."""
    tree.write(f"{etcd.data_dir}/{_SEAL}", b"", mode=0o600)
    tree.write(LEFT, tree.read(manifest_path("etcd")) or b"", mode=0o600)


def has_left(tree: Tree) -> LocalEtcd | None:
    """The etcd of a reset that was cut off. Where a manifest is there the note tells nothing: that may be of another member,
    which was made since, and asking the cluster again does no harm."""
    noted = None if tree.is_file(manifest_path("etcd")) else _parsed(tree.read(LEFT))
    return noted if noted is not None and tree.is_file(f"{noted.data_dir}/{_SEAL}") else None


def delete_data(tree: Tree, etcd: LocalEtcd) -> None:
    """The seal last: until then the same command goes on. Raises `HostError` for a link in the directory's place."""
    refuse_link(tree, etcd.data_dir)
    for name in tree.names(etcd.data_dir):
        if name != _SEAL:
            tree.remove(f"{etcd.data_dir}/{name}")
    tree.remove(f"{etcd.data_dir}/{_SEAL}")
    tree.remove(LEFT)


def local_etcd(tree: Tree) -> LocalEtcd | None:
    """Read from the manifest; None where no etcd is run as a static pod."""
    return _parsed(tree.read(manifest_path("etcd")))


def _parsed(content: bytes | None) -> LocalEtcd | None:
    if content is None:
        return None
    try:
        command = yaml.safe_load(content)["spec"]["containers"][0]["command"]
        flags = dict(word.removeprefix("--").split("=", 1) for word in command if word.startswith("--"))
        rows = dict(row.split("=", 1) for row in flags.get("initial-cluster", "").split(",") if "=" in row)
        clients = tuple(flags["listen-client-urls"].split(","))
        return LocalEtcd(flags["name"], flags["initial-advertise-peer-urls"], clients, rows, flags["data-dir"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError):
        return None


def confirm(run: ResetRun) -> None:
    """Raises `Refused` when it is not meant."""
    if os.geteuid() != 0 and "all" not in run.reset.ignore_preflight_errors:
        raise PreflightFailed("this must be run as root", state="nothing was changed")
    run.say("preflight", "Running pre-flight checks")
    if run.reset.force or run.dry_run:
        return
    if not run.ask("Changes made to this host by 'init' or 'join' will be reverted. Are you sure you want to proceed?"):
        raise Refused("the reset was not confirmed", state="nothing was changed", advice="--force does not ask")
