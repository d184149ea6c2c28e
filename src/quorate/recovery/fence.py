"""Holds the data of a lost cluster's member: under another name, so that no etcd starts on it, and nothing of it is lost.

etcd's clients do not compare cluster ids. Where old members come back beside a new cluster they form the old quorum and serve,
and a client with endpoints of both gets answers of both in turn. So a fence is a step, not advice.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from quorate.core.decide_recovery import Survivor
from quorate.errors import HostError, QuorateError, Refused
from quorate.files import write_into
from quorate.foreign.kernel import rename_new
from quorate.foreign.mounts import is_mount_point, mounted_below
from quorate.foreign.text import to_paste
from quorate.foreign.trust import distrust_way
from quorate.host import proc
from quorate.host.etcd_identity import MEMBER
from quorate.host.running_etcds import RunningEtcd, is_open_here, look_for_etcds
from quorate.recovery.survivors import Fenced, read_fenced, survivor_in

_KEPT, _RECORD = ".quorate-kept-", ".quorate-fenced.json"
_PODS, _UNIT_END = "kubepods", ".service"
_MANIFESTS = "/etc/kubernetes/manifests"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the data of a member is named. `folder` holds the name; `name`: of the data directory, or of `member` in one that
    is a mount point and cannot be renamed itself."""

    folder: Path
    name: str

    def kept(self, run: str) -> str:
        return f"{self.name}{_KEPT}{run}"

    @property
    def record(self) -> str:
        return f"{self.name}{_RECORD}"

    @property
    def data(self) -> Path:
        return self.folder / self.name


def spot_of(data_dir: Path) -> Spot:
    """Returns where a data directory is named, as its links lead. Raises `HostError` where others could rename it."""
    real = data_dir.resolve()
    if real.name == MEMBER and not is_mount_point(real) and ((real / "wal").is_dir() or _is_held_in(real.parent)):
        raise Refused(
            f"{data_dir} is what etcd makes in its data directory",
            state="nothing was changed",
            advice=f"name the data directory: {to_paste(str(real.parent))}",
        )
    spot = Spot(real, MEMBER) if is_mount_point(real) else Spot(real.parent, real.name)
    if doubt := distrust_way(spot.folder):
        raise HostError(
            f"{spot.folder} cannot be used: {doubt}",
            state="nothing was changed",
            advice="let only root, or the user who runs this, own it and write to it",
        )
    if inside := mounted_below(spot.data):
        raise Refused(
            f"{inside[0]} is a mount in the data: it would move with it, and be back at its place after the next boot",
            state="nothing was changed",
            advice="copy what is on it into the data directory, which then has all of it, and unmount it",
        )
    return spot


def _is_held_in(folder: Path) -> bool:
    """Returns whether a recovery holds the `member` of a data directory, which is not there meanwhile."""
    try:
        return any(one.name.startswith(f"{MEMBER}{_KEPT}") for one in folder.iterdir())
    except OSError:
        return False


def refuse_running(data_dir: Path) -> None:
    """Raises `Refused` where an etcd runs on a data directory, or one may that cannot be seen, with what stops it for good."""
    _refuse_running(data_dir, how_to_stop)


def refuse_not_held(data_dir: Path) -> None:
    """As `refuse_running`, for a command that can hold its service."""
    _refuse_running(
        data_dir, lambda etcd: f"add --unit {unit} to this command" if (unit := unit_of(etcd)) else how_to_stop(etcd)
    )


def _refuse_running(data_dir: Path, stopped_by: Callable[[RunningEtcd], str]) -> None:
    seen = look_for_etcds()
    if seen.unseen:
        raise Refused(
            f"it cannot be seen which files process {seen.unseen[0]} has open: it may be the etcd of {data_dir}",
            state="nothing was changed",
            advice="run this as root with all capabilities (CAP_SYS_PTRACE), outside a container",
        )
    for one in seen.running:
        if is_open_here(one, data_dir) or has_open(one, data_dir):
            raise Refused(f"an etcd runs on {data_dir} (pid {one.pid})", state="nothing was changed", advice=stopped_by(one))


def unit_of(etcd: RunningEtcd) -> str:
    """Returns the service of systemd that runs an etcd, without .service; empty for none, and for a pod. One in a session of a
    user's own manager (user@1000.service/...) has none: stopped, that would end all that the user runs."""
    groups = proc.cgroups(etcd.pid)
    last = () if _PODS in groups else (line.rpartition("/")[2] for line in groups.splitlines() if "/user@" not in line)
    return next((part.removesuffix(_UNIT_END) for part in last if part.endswith(_UNIT_END)), "")


def how_to_stop(etcd: RunningEtcd) -> str:
    """Returns what stops an etcd so that nothing starts it again."""
    again = "then run the same command again"
    groups = proc.cgroups(etcd.pid)
    if _PODS in groups:
        # Under that name 'quorate rejoin' and 'quorate recover' find it again; moved away, they know of no etcd.
        hold = to_paste("mv", f"{_MANIFESTS}/etcd.yaml", f"{_MANIFESTS}/.etcd.yaml")
        return f"{hold}    # a name that the kubelet ignores; wait until its container is gone, {again}"
    if unit := unit_of(etcd):
        # Not masked: systemd refuses that for a unit file in /etc/systemd/system.
        return f"{to_paste('systemctl', 'disable', '--now', f'{unit}{_UNIT_END}')}; {again}"
    return f"stop what starts it, and then it: kill {etcd.pid}; {again}"


def fence(data_dir: Path, run: str) -> tuple[Fenced, Path]:
    """Gives the data of a member another name, and writes beside it what a recovery on another host has to know. Returns that,
    and the path of the file; the same where it was done before. Raises `Refused` and `HostError` with nothing changed."""
    spot = spot_of(data_dir)
    if begun := _begun(spot):
        # Killed behind the rename, or typed again.
        return _noted(spot, begun, survivor_in(spot.folder / spot.kept(begun))[0])
    refuse_not_held(data_dir)
    survivor, _ = survivor_in(data_dir)
    _refuse_nobodys(survivor, data_dir)
    with _opened(spot.folder) as held:
        put_aside(held, spot, run)
        try:
            return _noted(spot, run, survivor)
        except OSError as error:
            rename_new(spot.kept(run), spot.name, src_dir_fd=held, dst_dir_fd=held)
            raise HostError(f"cannot write to {spot.folder}: {error.strerror}", state="nothing was changed") from error


def kept_runs(spot: Spot) -> list[str]:
    """Returns the runs that have put data of this name aside."""
    head = f"{spot.name}{_KEPT}"
    return sorted(path.name.removeprefix(head) for path in spot.folder.iterdir() if path.name.startswith(head))


def _begun(spot: Spot) -> str:
    """Returns the run of a fence that has put the data aside; empty where it is in its place, or there is none. The record is
    believed of that run only: one that an undone fence had left let a newer log count as the older one of its time."""
    if spot.data.exists():
        return ""
    kept, noted = kept_runs(spot), _noted_run(spot)
    if noted in kept:
        return noted
    if len(kept) > 1:
        raise _several(spot, kept)
    return "".join(kept)


def _noted_run(spot: Spot) -> str:
    """Returns the run of the fence's record; empty where there is none that can be read."""
    try:
        return read_fenced(spot.folder / spot.record).run
    except QuorateError:
        return ""


def _several(spot: Spot, kept: list[str]) -> Refused:
    names = ", ".join(spot.kept(one) for one in kept)
    return Refused(
        f"{spot.data} is not there, and several are kept beside it: {names}",
        state="nothing was changed",
        advice="look which has the newest log ('quorate etcd look'), and give it its name back by hand: "
        f"{to_paste('mv', str(spot.folder / spot.kept(kept[-1])), str(spot.data))}",
    )


def _noted(spot: Spot, run: str, survivor: Survivor) -> tuple[Fenced, Path]:
    """Writes what a recovery on another host has to know. Raises OSError."""
    found = Fenced(survivor, socket.gethostname(), str(spot.folder / spot.kept(run)), run)
    held = os.open(spot.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_into(held, spot.record, found.text(), mode=0o600)
    finally:
        os.close(held)
    return found, spot.folder / spot.record


def _refuse_nobodys(survivor: Survivor, data_dir: Path) -> None:
    if not survivor.member_id:
        raise Refused(
            f"{data_dir} does not say of which member it is: {'; '.join(survivor.problems)}",
            state="nothing was changed",
            advice="move it away by hand; it proves nothing about its cluster",
        )


def put_aside(held: int, spot: Spot, run: str) -> str:
    """Gives the data its other name; returns it. Raises `Refused`, with everything as it was, where an etcd has it open."""
    kept = spot.kept(run)
    rename_new(spot.name, kept, src_dir_fd=held, dst_dir_fd=held)
    os.fsync(held)
    # One that was started between the look and the rename has it open under the new name.
    running = next((one for one in look_for_etcds().running if has_open(one, spot.folder / kept)), None)
    if running is not None:
        rename_new(kept, spot.name, src_dir_fd=held, dst_dir_fd=held)
        raise Refused(
            f"an etcd was started on {spot.data} meanwhile (pid {running.pid})",
            state="nothing was changed",
            advice=how_to_stop(running),
        )
    return kept


def has_open(etcd: RunningEtcd, data: Path) -> bool:
    """Returns whether an etcd has data open: that of a data directory, or of a `member` alone."""
    folders = (data / MEMBER, data)
    paths = [path for one in folders for path in (one / "snap" / "db", *_logs(one / "wal"))]
    return any(proc.seen_id(path) in etcd.files for path in paths)


def _logs(folder: Path) -> list[Path]:
    try:
        return list(folder.glob("*.wal"))
    except OSError:
        return []


def unfence(data_dir: Path, run: str = "") -> Path:
    """Gives data that was held its name back; returns the name that it had. `run`: which put it aside, where that is known.
    Raises `Refused` where it is not one that can be told, or something has its name by now."""
    spot = spot_of(data_dir)
    kept = kept_runs(spot)
    if spot.data.exists() or not kept:
        why = f"{spot.data} is there" if spot.data.exists() else f"nothing is kept beside {spot.data}"
        raise Refused(
            f"nothing is given its name back: {why}", state="nothing was changed", advice=f"look at what is in {spot.folder}"
        )
    noted = run or _noted_run(spot)
    if noted not in kept:
        if len(kept) > 1:
            raise _several(spot, kept)
        noted = kept[0]
    with _opened(spot.folder) as held:
        # Before the data has its name: killed in between, no record speaks of data that is not held.
        with suppress(FileNotFoundError):
            os.unlink(spot.record, dir_fd=held)
        os.fsync(held)
        rename_new(spot.kept(noted), spot.name, src_dir_fd=held, dst_dir_fd=held)
        os.fsync(held)
    return spot.folder / spot.kept(noted)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield held
        finally:
            os.close(held)
    except OSError as error:
        raise HostError(f"cannot rename in {folder}: {error.strerror}", state="nothing was changed") from error
