"""Mounts in the folders that a reset empties: pods' volumes are unmounted, any other mount has another owner and stays.

Mounts are checked before the etcd member is removed: afterwards the reset cannot be undone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from quorate.errors import HostError, Refused
from quorate.foreign.mounts import Mount, mounted_below, mounts_below
from quorate.host import programs
from quorate.phases.base.context import KUBELET_FOLDER
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.reset.state import ResetRun, folders
from quorate.report import Notice

_UMOUNT_SECONDS, _ANSWER_SECONDS = 30.0, 2.0
"""A network file system whose server is gone never answers; the reset continues and reports what stayed mounted."""
_FLAGS = {"MNT_FORCE": ("--force",), "MNT_DETACH": ("--lazy",), "UMOUNT_NOFOLLOW": ("--no-canonicalize",)}
_OF_PODS = ("pods", "plugins")
"""Below these the kubelet mounts volumes. A mount point that is one of these itself is a disk that an administrator mounted."""


def refuse(run: ResetRun, etcd: LocalEtcd | None) -> None:
    """Raises `Refused`, before anything is changed, for problems that would stop the reset halfway."""
    wanted = [*([etcd.data_dir] if etcd is not None else []), *folders(run)]
    problems = [problem for folder in wanted for problem in _problems(run, folder)]
    if problems:
        raise Refused(
            f"this node cannot be reset: {'; '.join(problems[:5])}",
            state="nothing was changed",
            advice="unmount or fix what is named, then run the same command again",
        )


def _problems(run: ResetRun, folder: str) -> list[str]:
    try:
        where = run.tree.at(folder)
        found = [f"something is mounted at {place}" for place in mounted_below(where) if not _is_volume(place, where, folder)]
        if where.is_dir() and os.statvfs(where).f_flag & os.ST_RDONLY:
            found.append(f"{where} is mounted read-only")
    except HostError as error:
        return [error.what]
    except OSError as error:
        return [f"{folder}: {error.strerror}"]
    if not {"MNT_FORCE", "MNT_DETACH"} & set(run.reset.unmount_flags):
        dead = [place for place in mounted_below(where) if _is_volume(place, where, folder) and not _answers(place)]
        found += [f"the volume at {place} does not answer: set unmountFlags: [MNT_DETACH] for umount --lazy" for place in dead]
    return found


def _is_volume(place: Path, where: Path, folder: str) -> bool:
    parts = place.relative_to(where).parts
    return folder == KUBELET_FOLDER and parts[0] in _OF_PODS and len(parts) > 1


def _answers(place: Path) -> bool:
    """Returns whether the file system answers. One whose server is gone blocks the caller, hence the thread."""
    answered = threading.Event()

    def ask() -> None:
        try:
            os.statvfs(place)
        except OSError as error:
            if error.errno is None:
                return
        answered.set()

    threading.Thread(target=ask, daemon=True).start()
    return answered.wait(_ANSWER_SECONDS)


def volumes(run: ResetRun) -> list[Mount]:
    """Returns the mounts of pods' volumes, the deepest first."""
    where = run.tree.at(KUBELET_FOLDER)
    return [one for one in mounts_below(where) if _is_volume(one.place, where, KUBELET_FOLDER)]


def unmount(run: ResetRun, seen: Sequence[Mount]) -> None:
    """Unmounts the pods' volumes that were seen, the deepest first; a mount that came since is of a pod that began since. One
    that stays mounted is reported and not touched: the deletion does not enter it."""
    flags = [word for flag in run.reset.unmount_flags for word in _FLAGS.get(flag, ())]
    for one in seen:
        # Of several at one place, umount ends the last.
        if next((there for there in volumes(run) if there.place == one.place), None) != one:
            continue
        try:
            done = programs.run(["umount", *flags, "--", str(one.place)], seconds=_UMOUNT_SECONDS, cancel=run.clock.cancel)
            why = done.err.strip() if done.code else ""
        except HostError as error:
            why = error.what
        if why:
            run.report(Notice(f"cannot unmount {one.place}: {why}", "warning"))
