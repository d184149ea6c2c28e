"""The etcd and etcdutl of a node's static pod: they are in its container, and go with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quorate.errors import ConfigError, HostError
from quorate.files import make_folder
from quorate.host import etcd_binary
from quorate.host.etcd_binary import EtcdBinary
from quorate.host.running_etcds import open_in
from quorate.host.work_folder import work_in
from quorate.recovery.fence import spot_of
from quorate.recovery.progress import folder_of

_NAMES = ("etcd", "etcdutl")
_MODE = 0o755


def keep_programs(data_dir: Path, folder: Path) -> None:
    """Copies the programs of the etcd that runs on the data to `folder`, which only root may write to: they are needed when it
    has ended. What an older run has left there is of an older pod, and written over. A copy has its name only when it is whole.
    Raises `HostError`."""
    running = open_in(data_dir)
    if running is None:
        return
    make_folder(folder)
    for name in _NAMES:
        there = Path(f"/proc/{running.pid}/exe") if name == "etcd" else _beside(running.pid, name)
        if there is not None:
            _copied(there, folder / name)


@contextmanager
def borrowed_programs(data_dir: Path) -> Iterator[Path]:
    """Yields a folder with the programs of the etcd that runs on the data, for a judgement that changes nothing beside it."""
    # Not in /tmp, which many hosts mount without the right to run programs.
    with work_in(data_dir.parent, ".quorate-recover-") as folder:
        keep_programs(data_dir, folder)
        # Of a pod that has ended: those that a run kept which was killed behind that.
        yield folder if any(folder.iterdir()) else folder_of(spot_of(data_dir))


def _beside(pid: int, name: str) -> Path | None:
    """Returns another program in the folder of a process's own, as that process sees it."""
    try:
        own = str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return None
    beside = Path(f"/proc/{pid}/root{own.rpartition('/')[0]}/{name}")
    # A link would lead to a file of the host, seen from here.
    return beside if beside.is_file() and not beside.is_symlink() else None


def _copied(source: Path, place: Path) -> None:
    part = place.with_name(f".{place.name}.part")
    try:
        with source.open("rb") as there, part.open("wb") as made:
            shutil.copyfileobj(there, made, 1 << 20)
            os.fchmod(made.fileno(), _MODE)
            os.fsync(made.fileno())
        part.rename(place)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise HostError(
            f"cannot keep {source.name} of this node's etcd in {place.parent}: {error.strerror}",
            state="nothing was changed",
            advice="make room there, or pass --etcd and --etcdutl",
        ) from error


def forget_programs(folder: Path) -> None:
    """Deletes the copies, once etcd runs from its own image again; best effort."""
    for name in _NAMES:
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def programs_in(folder: Path, etcd: str | None, etcdutl: str | None) -> tuple[EtcdBinary, Path]:
    """Returns the programs that were named, or those that were kept, or those of PATH. Raises `ConfigError`."""
    kept = {name: str(folder / name) for name in _NAMES if (folder / name).is_file()}
    program = etcd_binary.find(etcd or kept.get("etcd"))
    try:
        return program, etcd_binary.etcdutl_for(etcdutl or kept.get("etcdutl"), program.path)
    except ConfigError as error:
        error.advice = f"{error.own_advice}; the image of etcd has it: etcdutl of {program.version} or newer"
        raise
