"""The etcds that run on this node, and what a reset would take from them.

Files tell how an etcd may be started, in more ways than can be listed: units, wrappers, variables, folders of the kubelet. One
that runs is found by what it has open. So a voter that serves is never lost because nobody understood what had started it.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import HostError, Refused
from quorate.foreign.mounts import is_on_layers
from quorate.host import proc
from quorate.host.named_files import files_named_to
from quorate.host.running_etcds import RunningEtcd, is_open_here, look_for_etcds, running_etcds
from quorate.phases.base.context import CONFIG_FOLDER, KUBELET_FOLDER
from quorate.phases.base.node_files import real_path
from quorate.tree import Tree

_STOP = "remove its member from its cluster and stop it; or, when it is no member, stop it; then run the same command again"


def is_this_host(tree: Tree) -> bool:
    """Returns whether the files are those of the machine that this runs on, and not of one below --rootfs. A mount of the whole
    machine below another path is it, too."""
    try:
        return proc.file_id(tree.at("/")) == proc.file_id(Path("/"))
    except OSError:
        return False


def refuse_running(tree: Tree, own_data: str, doomed: AbstractSet[str], folders: Iterable[str] = ()) -> None:
    """Raises `Refused` where an etcd runs that is not the one in `own_data`, and that a reset would end or take the files from:
    one in a pod, or that uses one of the files `doomed` (each as `proc.file_id`), which are in `folders`. Any other, such as
    that of another program, is left alone."""
    seen, is_here = look_for_etcds(), is_this_host(tree)
    if not _is_machine_seen(tree, [*folders, *([own_data] if own_data else [])]):
        raise Refused(
            "the processes of this machine are not seen from here: one may be an etcd whose data or keys would go",
            state="nothing was changed",
            advice="run this on the host itself, or in a container that sees its processes (--pid=host)",
        )
    if seen.unseen:
        raise Refused(
            f"it cannot be seen which files process {seen.unseen[0]} has open: it may be an etcd whose data or keys would go",
            state="nothing was changed",
            advice="run this as root with all capabilities (CAP_SYS_PTRACE), outside a container",
        )
    own = _path_of(tree, own_data) if own_data else None
    for one in seen.running:
        if own is not None and is_open_here(one, own):
            continue
        if why := _why_it_ends(one, doomed, is_here=is_here):
            raise Refused(
                f"an etcd runs here (pid {one.pid}, with its data in {one.folder}), not the one of this node's manifest, "
                f"and {why}",
                state="nothing was changed: it may be a member that the cluster counts on",
                advice=_STOP,
            )


def _is_machine_seen(tree: Tree, folders: Iterable[str]) -> bool:
    """Returns whether who uses the files of this node is seen. In a container without an init of its own the host's programs
    are not; its own files, on its layers, are no other program's, those that it was given are."""
    if proc.sees_whole_machine():
        return True
    there = [_path_of(tree, folder) for folder in dict.fromkeys([CONFIG_FOLDER, KUBELET_FOLDER, *folders])]
    return all(is_on_layers(path) for path in there if path.exists())


def _path_of(tree: Tree, data_dir: str) -> Path:
    try:
        return real_path(tree, data_dir)
    except HostError as error:
        raise Refused(error.what, state="nothing was changed", advice=error.own_advice) from error


def _why_it_ends(one: RunningEtcd, doomed: AbstractSet[str], *, is_here: bool) -> str:
    if is_here and one.is_in_pod:
        return "it runs in a pod, which would be stopped"
    if one.files & doomed:
        return "its data is in what would be deleted"
    try:
        return "it uses files that would be deleted" if _named(one) & doomed else ""
    except HostError as error:
        raise Refused(error.what, state="nothing was changed", advice=error.own_advice) from error


def _named(one: RunningEtcd) -> frozenset[str]:
    """Returns the files that an etcd was given. Raises `HostError` where that cannot be read."""
    try:
        return files_named_to(one.pid)
    except HostError as error:
        raise HostError(
            f"an etcd runs here (pid {one.pid}, with its data in {one.folder}), and it is unknown which files it uses: "
            f"{error.what}",
            advice="restart it, so that what it uses can be read; or stop it; then run the same command again",
        ) from error


def runs_elsewhere(tree: Tree, folder: str) -> bool:
    """Returns whether the data in a folder is that of an etcd that runs: its manifest is not missed."""
    return any(is_open_here(one, real_path(tree, folder)) for one in running_etcds())


@dataclass(slots=True)
class Users:
    """What the etcds that run here use, as they were when nothing had been taken away: by then a name leads nowhere."""

    _known: dict[tuple[int, str], frozenset[str]] = field(default_factory=dict[tuple[int, str], frozenset[str]])

    def look(self) -> None:
        """Notes what each uses. Raises `HostError` where that cannot be read."""
        self._known = {(one.pid, one.began): _named(one) for one in running_etcds()}

    def refuse(self, files: AbstractSet[str], folder: str) -> None:
        """Raises `HostError` where an etcd that runs now uses one of the files, also where it was started since the look."""
        for one in running_etcds():
            if (one.files | _named(one) | self._known.get((one.pid, one.began), frozenset())) & files:
                raise HostError(
                    f"an etcd runs (pid {one.pid}, with its data in {one.folder}) that uses files in {folder}: these were left "
                    "as they are",
                    advice="stop it, and what starts it, then run the same command again",
                )
