"""Restores a snapshot to one new voter of a new cluster.

1. Look at the file, at the place, at the programs; refuse before anything is made (`core/decide_restore.py`).
2. Build the data directory beside its place, by etcdutl: its digest is compared, old members are left out, the token is fresh
   and random, the revision jumps, and what was before is marked as compacted.
3. Look at what was built: the keys, the revision, another cluster id than before. Sync it.
4. Rename: what is there is set aside, and the new one takes its place at once. Until then no etcd can start on half of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from quorate.core.decide_restore import Against, Content, Place, Wish, against, bump
from quorate.core.ids import format_id
from quorate.core.versions import Version
from quorate.deadline import SystemClock
from quorate.errors import HostError, QuorateError, Refused
from quorate.foreign.kernel import rename_new
from quorate.foreign.local_files import regular
from quorate.foreign.mounts import is_mount_point
from quorate.foreign.text import to_paste
from quorate.foreign.trust import distrust_way
from quorate.host import programs
from quorate.host.etcd_identity import MEMBER, data_owner
from quorate.host.running_etcds import is_open_here, running_etcds
from quorate.host.work_folder import free_bytes, is_run, sweep, work_in
from quorate.offline.look import Look, look
from quorate.report import Event, Report

_PIECE = 1 << 20
_SECONDS_PER_GB, _LEAST_SECONDS = 120.0, 120.0
_WORK, _BUILT = ".quorate-new-", "built"
_KEPT = re.compile(r"member\.quorate-(?:kept-[0-9a-f]{8}|recovery(?:-[0-9a-f]{8})?|used-[0-9a-f]{8}\.json|fenced\.json)")


class RestoreFailed(QuorateError):
    """What was built is not what was to be restored; it was deleted, and nothing else was changed."""

    code = "restore-failed"
    next_step = "see what the message names, then run the same command again"


@dataclass(frozen=True, slots=True)
class Job:
    """What is restored, where to, and by which programs. `seen`: as for `bump`. `old_cluster`: the id that the backup's
    manifest names; 0 where it is not known. `owner`: user and group of what is built; None: as what is there, or else who runs
    this. `sha256`: what the backup's manifest says of the file; empty where it has none."""

    snapshot: Path
    data_dir: Path
    name: str
    peer_url: str
    etcdutl: Path
    wish: Wish
    seen: int = 0
    old_cluster: int = 0
    owner: tuple[int, int] | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Restored:
    """`cluster_id`, `member_id`: of the new cluster; `kept`: where what was there lies now; None where nothing was."""

    cluster_id: int
    member_id: int
    keys: int
    revision: int
    bumped_by: int
    token: str
    kept: Path | None
    no_space: bool

    def as_dict(self) -> dict[str, object]:
        return {
            "clusterId": format_id(self.cluster_id),
            "memberId": format_id(self.member_id),
            "keys": self.keys,
            "revision": self.revision,
            "bumpedBy": self.bumped_by,
            "token": self.token,
            "keptAs": str(self.kept) if self.kept is not None else None,
            "noSpaceRaised": self.no_space,
        }


def judge(job: Job, report: Report) -> Content:
    """Looks at everything; returns what is restored. Raises `Refused` with all that forbids it."""
    _refuse_no_folder(job.data_dir)
    report(Event("restore", job.name, "reading the snapshot"))
    if job.sha256 and _sha256(job.snapshot) != job.sha256:
        raise Refused(
            f"{job.snapshot} is not what its manifest says: it was changed since it was saved",
            state="nothing was changed",
            advice="use another backup; 'quorate etcd backup verify DIR WHICH' shows which are whole",
        )
    content = content_of(look(job.snapshot, deep=True))
    found = against(content, _place(job.data_dir), job.wish)
    distrusted(job.etcdutl)
    _refuse(found)
    return content


def _refuse_no_folder(data_dir: Path) -> None:
    """Raises `Refused` for a place that cannot be renamed at once as a folder."""
    if data_dir.is_symlink():
        raise Refused(
            f"{data_dir} is a link: what is built would take its place, and not that of what it leads to",
            state="nothing was changed",
            advice=f"name what it leads to: {to_paste(str(data_dir.resolve()))}",
        )
    if data_dir.exists() and not data_dir.is_dir():
        raise Refused(f"{data_dir} is no folder", state="nothing was changed", advice="name the directory of --data-dir")


def _sha256(path: Path) -> str:
    summed = hashlib.sha256()
    with regular(path) as file:
        while piece := file.read(_PIECE):
            summed.update(piece)
    return summed.hexdigest()


def _owner_there(data_dir: Path) -> tuple[int, int] | None:
    """Returns whose the place is, for root, who may give what it builds to them: their etcd could not open it else."""
    there = next((one for one in (data_dir / MEMBER, data_dir) if one.is_dir()), None)
    if os.geteuid() != 0 or there is None:
        return None
    status = there.stat()
    return status.st_uid, status.st_gid


def distrusted(etcdutl: Path) -> None:
    """Raises `Refused` for a program that others could have put there."""
    if doubt := distrust_way(etcdutl):
        raise Refused(
            f"{etcdutl} is not trusted and was not run: {doubt}",
            state="nothing was changed",
            advice="pass another with --etcdutl",
        )


def _refuse(found: Sequence[Against]) -> None:
    if found:
        raise Refused(
            "; ".join(one.why for one in found), state="nothing was changed", advice="; ".join(one.advice for one in found)
        )


def content_of(found: Look) -> Content:
    backend, walk = found.backend, found.walk
    told = (backend.storage_version or backend.cluster_version) if backend is not None else ""
    alarms = {kind for _, kind in backend.alarms} if backend is not None else set[str]()
    return Content(
        size=found.size,
        digest=found.digest,
        revision=found.revision,
        keys=walk.keys if walk is not None else 0,
        written_by=Version.told(told) if told else None,
        corrupt="CORRUPT" in alarms,
        no_space="NOSPACE" in alarms,
        problems=found.problems,
        is_database=backend is not None,
    )


def _place(data_dir: Path) -> Place:
    owner = data_owner(data_dir)
    holds: Literal["nothing", "data", "something else"] = "nothing"
    if data_dir.exists() and (strays(data_dir) or (data_dir / MEMBER).exists()):
        holds = "data" if owner is not None and (data_dir / MEMBER).is_dir() else "something else"
    runs = next((one.pid for one in running_etcds() if is_open_here(one, data_dir)), 0)
    return Place(str(data_dir), holds, runs, free_bytes(data_dir))


def strays(data_dir: Path) -> list[str]:
    """Returns what is in a data directory beside `member`, and is in the way."""
    return sorted(one.name for one in data_dir.iterdir() if one.name != MEMBER and not _is_no_data(one.name))


def _is_no_data(name: str) -> bool:
    """Returns whether an entry is in nobody's way: what a new file system has, and what runs of ours have built and kept in
    a mount point."""
    return name == "lost+found" or _KEPT.fullmatch(name) is not None or (is_run(name.rpartition(_WORK)[2]) and _WORK in name)


def _nothing(_made: Look) -> None:
    """Notes nothing."""


def restore(job: Job, clock: SystemClock, report: Report, before_it_shows: Callable[[Look], None] = _nothing) -> Restored:
    """Restores; raises `Refused`, `RestoreFailed` and `HostError` with nothing changed, but for what the message says.
    `before_it_shows` gets what was built before that has its name: whoever goes on later knows it again."""
    content = judge(job, report)
    run = secrets.token_hex(4)
    with _work_beside(job.data_dir) as work:
        added = bump(content, job.seen)
        token = f"quorate-{secrets.token_hex(8)}"
        report(Event("restore", job.name, "building the data directory"))
        _build(job, work, token, added, clock)
        made = _checked(job, work, content, added)
        if (owner := job.owner or _owner_there(job.data_dir)) is not None:
            _give(work, *owner)
        _sync(work)
        # An etcd may have been started there while this was built.
        _refuse(against(content, replace(_place(job.data_dir), free=None), job.wish))
        before_it_shows(made)
        kept = _put(job, work, run)
    return Restored(
        made.cluster_id, made.member_id, content.keys, content.revision + added, added, token, kept, content.no_space
    )


@contextmanager
def _work_beside(data_dir: Path) -> Iterator[Path]:
    """Yields a name in a new folder beside the place, on the same file system: inside it where it is a mount point."""
    with work_in(_beside(data_dir), f"{data_dir.name}{_WORK}") as held:
        yield held / _BUILT


def sweep_beside(data_dir: Path) -> None:
    """Deletes what killed runs have built for a place."""
    sweep(_beside(data_dir), f"{data_dir.name}{_WORK}")


def _beside(data_dir: Path) -> Path:
    return data_dir if is_mount_point(data_dir) else data_dir.absolute().parent


def _build(job: Job, work: Path, token: str, added: int, clock: SystemClock) -> None:
    command = [
        *(str(job.etcdutl), "snapshot", "restore", str(job.snapshot), f"--data-dir={work}", f"--name={job.name}"),
        *(f"--initial-cluster={job.name}={job.peer_url}", f"--initial-advertise-peer-urls={job.peer_url}"),
        *(f"--initial-cluster-token={token}", f"--bump-revision={added}", "--mark-compacted"),
    ]
    seconds = _LEAST_SECONDS + _SECONDS_PER_GB * job.snapshot.stat().st_size / 1e9
    done = programs.run(command, seconds=seconds, cancel=clock.cancel)
    # Ctrl-C on a terminal ends etcdutl, too.
    clock.cancel.check()
    if done.code != 0:
        why = _reason(done.err)
        raise RestoreFailed(f"{job.etcdutl} could not restore {job.snapshot}: {why[:500]}", state="nothing was changed")


def _reason(said: str) -> str:
    """Returns the line that says why a Go program ended: behind it there may be the lines of its stack."""
    lines = [one.strip() for one in said.strip().splitlines() if one.strip()] or ["it said nothing"]
    return next((one for one in lines if one.startswith(("Error:", "panic:", "fatal error:"))), lines[-1])


def _checked(job: Job, work: Path, content: Content, added: int) -> Look:
    """Returns what was built. Raises `RestoreFailed` where it is not what was to be built."""
    made = look(work, deep=True)
    keys = made.walk.keys if made.walk is not None else -1
    wrong = [
        *made.problems,
        *([f"it has {keys} keys instead of {content.keys}"] if keys != content.keys else []),
        *([f"its revision is {made.revision}"] if made.revision != content.revision + added else []),
        *(["it has the id of the old cluster"] if made.cluster_id in (0, job.old_cluster) else []),
        *(["it has more than one member"] if made.backend is None or len(made.backend.members) != 1 else []),
    ]
    if wrong:
        raise RestoreFailed(f"what was built of {job.snapshot} is not right: {'; '.join(wrong)}", state="nothing was changed")
    return made


def _give(folder: Path, user: int, group: int) -> None:
    """Gives all of it to the user whose etcd ran there before: root made it, and that etcd could not open it."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in [*names, "."]:
            os.chown(Path(path) / name, user, group, follow_symlinks=False)


def _sync(folder: Path) -> None:
    """Writes all of it to its disk, files before the folders that name them."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in [*names, "."]:
            fd = os.open(Path(path) / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _put(job: Job, work: Path, run: str) -> Path | None:
    """Gives the new directory its name; what is there is renamed before. Returns where that lies now. Where the data directory
    is a mount point, it is `member` in it that is renamed."""
    if is_mount_point(job.data_dir):
        folder, new, name = job.data_dir, f"{_inside(work)}/{MEMBER}", MEMBER
    else:
        folder, new, name = job.data_dir.absolute().parent, _inside(work), job.data_dir.name
    return _take_place(folder, new, name, f"{name}.quorate-kept-{run}" if job.wish.set_aside else "")


def _inside(work: Path) -> str:
    return f"{work.parent.name}/{work.name}"


def _take_place(folder: Path, new: str, name: str, kept: str) -> Path | None:
    """`kept`: the name that data which is there gets; empty where it must not be moved."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    aside = False
    try:
        if (folder / name).exists():
            aside = bool(kept) and any((folder / name).iterdir())
            if aside:
                rename_new(name, kept, src_dir_fd=held, dst_dir_fd=held)
            else:
                os.rmdir(name, dir_fd=held)
        rename_new(new, name, src_dir_fd=held, dst_dir_fd=held)
        os.fsync(held)
    except OSError as error:
        if aside and (folder / kept).exists():
            with suppress(OSError):
                rename_new(kept, name, src_dir_fd=held, dst_dir_fd=held)
        state = f"what was there is {folder / kept}" if (folder / kept).exists() else "nothing was changed"
        raise HostError(f"cannot rename in {folder}: {error.strerror}", state=state) from error
    finally:
        os.close(held)
    return folder / kept if aside else None
