"""The request of a reset, what it has done so far, and its confirmation."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from quorate.config import types as v4
from quorate.deadline import SystemClock
from quorate.errors import HostError, PreflightFailed, Refused
from quorate.foreign.content import Content, content_of, ids_below, ids_of
from quorate.foreign.deletion import NotDeleted
from quorate.foreign.paths import clean
from quorate.foreign.places import Stamp, stamp_at
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.host.etcd_identity import DataIdentity
from quorate.host.kubelet import Kubelet
from quorate.host.member_data import NOTHING_SEEN, DataSeen, of_another
from quorate.manifests.control_plane import PODS
from quorate.phases.base.context import CONFIG_FOLDER, KUBELET_FOLDER, MANIFESTS_FOLDER
from quorate.phases.base.node_files import real_path, runtime_socket
from quorate.phases.base.this_node import HERE, ThisNode
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.own_running import Users
from quorate.phases.node.paths import CONFS
from quorate.phases.node.static_pods import manifest_path
from quorate.pki.table import BASES, SA_KEY, SA_PUB
from quorate.report import PhaseLine, PhaseReport
from quorate.tree import Tree

_TMP_FOLDER = f"{CONFIG_FOLDER}/tmp"  # noqa: S108
_EMPTIED = (MANIFESTS_FOLDER, f"{CONFIG_FOLDER}/pki", KUBELET_FOLDER, _TMP_FOLDER)
"""Folders that are emptied whole. In any other that --cert-dir names only certificates are deleted."""
_MOST_NAMED = 5


@dataclass(slots=True)
class ResetRun:
    """One run of reset. `ask`: asks a question and returns whether the answer was yes. `abandon`: delete the data of an etcd
    member although the cluster still lists it. `left`: the etcd whose data this run has deleted. `is_member_judged`: whether a
    phase of this run has looked for a member of this node.

    `seen`: the files that tell this node from one that was made here since, as they were when this run looked; None once this
    run has deleted one, or where there was none. `content`: of the folders that are emptied whole, also what tells nothing: a
    manifest of the operator's, a copy of a CA's key. `data_dir`, `data`: where etcd's data is, and what was there
    then. Before each step that cannot be undone they are compared with what is there. `is_alone`: the etcd here was the only
    member at the last look; `committed`: an index of its log that was committed by then."""

    reset: v4.ResetConfiguration
    tree: Tree
    clock: SystemClock
    report: PhaseReport
    ask: Callable[[str], bool]
    kubelet: Kubelet = field(default_factory=Kubelet)
    kubeconfig: str = f"{CONFIG_FOLDER}/admin.conf"
    abandon: bool = False
    left: LocalEtcd | None = None
    is_member_judged: bool = False
    has_looked: bool = False
    seen: dict[str, Stamp | None] = field(default_factory=dict[str, "Stamp | None"])
    content: dict[str, Content] = field(default_factory=dict[str, Content])
    data_dir: str = ""
    is_alone: bool = False
    committed: int = 0
    data: DataSeen = NOTHING_SEEN
    dry_run: bool = False
    this_node: ThisNode = HERE
    users: Users = field(default_factory=Users)

    @property
    def owner(self) -> DataIdentity | None:
        """The member whose data was there."""
        return self.data.owner

    @property
    def cri_socket(self) -> str:
        """The endpoint of this node's container runtime."""
        return runtime_socket(self.tree, self.reset.cri_socket)

    def look(self) -> None:
        """Notes what is here, once a run."""
        if not self.has_looked:
            self.seen = {path: self._stamp(path) for path in _telling(self)}
            for folder in folders(self):
                if is_emptied(folder) and folder != KUBELET_FOLDER:
                    self.note_content(folder)
            self.has_looked = True

    def note_content(self, folder: str) -> None:
        """Notes what is in a folder, once the only program that may change it is this one."""
        self.content[folder] = content_of(self.tree.at(folder))

    def refuse_changed(self) -> None:
        """Raises `HostError` when another program has made something of a node here, or changed it, since this run looked."""
        for path, seen in self.seen.items():
            if self._stamp(path) != seen:
                raise HostError(
                    f"{path} was written by another program since this run looked: this node may have joined again",
                    state="what this run did before is done; nothing more was deleted",
                    advice="look at what works on this node, then run the same command again",
                )
        # The kubelet's is large, and is compared when it is emptied.
        came = [path for folder in self.content if folder != KUBELET_FOLDER for path in self._came(folder)]
        if came:
            raise _came_since(came)
        if self.data_dir and not self.data.is_still_in(real_path(self.tree, self.data_dir)):
            raise of_another(real_path(self.tree, self.data_dir))

    def _came(self, folder: str, where: Path | None = None) -> list[str]:
        """Returns what is in a folder now, or where it was taken, and was not at the look."""
        if folder not in self.content:
            return []
        there = content_of(where or self.tree.at(folder))
        return sorted(f"{folder}/{name}" for name, _ in there - self.content[folder])

    def _stamp(self, path: str) -> Stamp | None:
        """Returns the stamp of a file, also of one that an earlier run had taken away to delete it when it was cut off."""
        (folder, name), above = posixpath.split(path), posixpath.split(posixpath.dirname(path))
        aside = [one for held in (TAKEN, JUDGED) for one in (f"{folder}/{held}/{name}", f"{above[0]}/{held}/{above[1]}/{name}")]
        return next(filter(None, map(self.tree.stamp, [path, *aside])), None)

    def remove(self, path: str) -> None:
        """Deletes a file as it was when this run looked. Raises `HostError`, and leaves it, where it is another one."""
        seen = self.seen.get(path)
        if seen is None:
            self.refuse_changed()
            return
        self.tree.remove_if(path, seen)
        self.seen[path] = None

    def empty(self, folder: str, *, keep: Collection[str] = ()) -> None:
        """Deletes the content of a folder, if it is what was there when this run looked: it is taken away, looked at, and only
        then deleted. Raises `HostError`, with everything in its place, where another program has made something there, and
        where an etcd runs that uses something of it."""
        came: list[str] = []

        def is_as_seen(taken: Path) -> bool:
            self.refuse_used(ids_below(taken), folder)
            came[:] = self._came(folder, taken)
            if came:
                return False
            inside = {path: seen for path, seen in self.seen.items() if path.startswith(f"{folder}/")}
            return all(stamp_at(taken / path.removeprefix(f"{folder}/")) in (None, seen) for path, seen in inside.items())

        self.refuse_changed()
        self.users.look()
        try:
            is_deleted = self.tree.take(folder, is_as_seen, keep=keep)
        except NotDeleted:
            # A volume that is busy: the rest is deleted.
            self._expect_gone(folder)
            raise
        if not is_deleted:
            self.refuse_changed()
            if came:
                raise _came_since(came)
            raise HostError(
                f"the files in {folder} were written by another program since this run looked: they were left as they are"
            )
        self._expect_gone(folder)

    def refuse_used(self, files: frozenset[str], folder: str) -> None:
        """Raises `HostError` where an etcd that runs uses one of the files. In a dry run the one that would have ended does."""
        if not self.dry_run:
            self.users.refuse(files, folder)

    def _expect_gone(self, folder: str) -> None:
        gone = [path for path in self.seen if path.startswith(f"{folder}/") and self._stamp(path) is None]
        self.seen |= dict.fromkeys(gone)

    def say(self, phase: str, text: str) -> None:
        self.report(PhaseLine(phase, text))


def folders(run: ResetRun) -> list[str]:
    """Returns the folders whose contents a reset deletes, in addition to etcd's data."""
    tmp = [_TMP_FOLDER] if run.reset.cleanup_tmp_dir else []
    return list(dict.fromkeys([MANIFESTS_FOLDER, clean(run.reset.certificates_dir), KUBELET_FOLDER, *tmp]))


def is_emptied(folder: str) -> bool:
    """Returns whether a folder is emptied whole, whatever is in it."""
    return folder in _EMPTIED


def certificates_in(folder: str) -> list[str]:
    """Returns what of a folder is deleted that is not emptied whole."""
    names = [f"{base}.{kind}" for base in BASES for kind in ("crt", "key")]
    return [f"{folder}/{name}" for name in [*names, SA_KEY, SA_PUB]]


def doomed(run: ResetRun, data_dir: str = "") -> frozenset[str]:
    """Returns the files that a reset deletes, with all that is in a data directory, each as `proc.file_id`."""
    whole = [*(one for one in folders(run) if is_emptied(one)), *([data_dir] if data_dir else [])]
    named = [path for one in folders(run) if not is_emptied(one) for path in certificates_in(one)]
    return ids_of(map(run.tree.stamp, named)).union(*(ids_below(run.tree.at(folder)) for folder in whole))


def _came_since(paths: list[str]) -> HostError:
    return HostError(
        f"{', '.join(paths[:_MOST_NAMED])} came since this run looked: another program, or somebody, put it there",
        state="what this run did before is done; nothing more was deleted",
        advice="move away what is to be kept, then run the same command again, which deletes the rest",
    )


def _telling(run: ResetRun) -> list[str]:
    """Returns the files of which a node that is made here gets at least one anew, as a worker too."""
    return [
        *(manifest_path(name) for name in ("etcd", *PODS)),
        *(f"{CONFIG_FOLDER}/{name}.conf" for name in CONFS),
        *certificates_in(clean(run.reset.certificates_dir)),
        *(f"{KUBELET_FOLDER}/{name}" for name in ("config.yaml", "kubeadm-flags.env", "instance-config.yaml")),
    ]


def confirm(run: ResetRun) -> None:
    """Asks for confirmation. Raises `Refused` when the answer is no, `PreflightFailed` when not run as root."""
    if os.geteuid() != 0 and "all" not in run.reset.ignore_preflight_errors:
        raise PreflightFailed("this must be run as root", state="nothing was changed", advice="run it with sudo")
    run.say("preflight", "Running pre-flight checks")
    if run.reset.force or run.dry_run:
        return
    if not run.ask("Changes made to this host by 'init' or 'join' will be reverted. Are you sure you want to proceed?"):
        raise Refused("the reset was not confirmed", state="nothing was changed", advice="--force skips the question")
