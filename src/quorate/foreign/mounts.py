"""Reads the mount points from the kernel, decoded: a blank in a path must not hide a mount."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError

_ESCAPED = re.compile(r"\\([0-7]{3})")
_LAYERED = frozenset({"overlay", "fuse.fuse-overlayfs", "aufs"})


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount. `id`: the kernel's, which it gives to another mount once this one is gone; `device`: MAJOR:MINOR. Together
    they tell one mount from another at the same place."""

    id: str
    device: str
    place: Path


def mounts_below(folder: Path) -> list[Mount]:
    """Returns the mounts strictly below a folder whose path has no links, the deepest first. Raises `HostError`."""
    return [one for one in _mounts() if one.place != folder and one.place.is_relative_to(folder)]


def mounted_below(folder: Path) -> list[Path]:
    """Returns the mount points strictly below a folder whose path has no links, the deepest first. Raises `HostError`."""
    return [one.place for one in mounts_below(folder)]


def mount_points() -> list[Path]:
    """Returns all mount points of this process's namespace, the last mounted first. Raises `HostError`."""
    return [one.place for one in _mounts()]


def is_mount_point(path: Path) -> bool:
    """Returns whether something is mounted at a place, also a bind mount, whose device is that of its parent. Raises
    `HostError`."""
    return path.resolve() in mount_points()


def is_on_layers(path: Path) -> bool:
    """Returns whether a folder, with all below it, is on what `/` is made of here, and that is of layers, as in a container:
    the machine has its own. Raises `HostError`."""
    root = next((line for line in _lines("self") if line.split(" ")[4:5] == ["/"]), "")
    kind = root.partition(" - ")[2].split(" ")[0]
    inner = mounts_below(path.resolve())
    return kind in _LAYERED and path.stat().st_dev == Path("/").stat().st_dev and not inner


def sources(pid: int) -> list[tuple[str, str, str]]:
    """Returns device, path on that device and mount point of every mount that a process sees (0: this one), the last mounted
    first. What was mounted and has been replaced since ends in //deleted. Raises `HostError`."""
    rows = [fields for line in _lines(str(pid or "self")) if len(fields := line.split(" ")) > 4]
    return [(fields[2], decode(fields[3]), decode(fields[4])) for fields in rows]


def _mounts() -> list[Mount]:
    rows = [fields for line in _lines("self") if len(fields := line.split(" ")) > 4]
    return [Mount(fields[0], fields[2], Path(decode(fields[4]))) for fields in rows]


def _lines(process: str) -> list[str]:
    """Returns the lines of the kernel's table, the last mounted first."""
    try:
        return Path(f"/proc/{process}/mountinfo").read_bytes().decode(errors="surrogateescape").split("\n")[::-1]
    except OSError as error:
        raise HostError(f"cannot read the mount points: {error.strerror}") from error


def decode(text: str) -> str:
    """Returns a decoded path: the kernel writes blanks, tabs, line breaks and backslashes in octal."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def mount_of(fd: int) -> int:
    """Returns the id of the mount that an open file is on. The device would not do: a bind mount shares it with its parent."""
    for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
        if line.startswith("mnt_id:"):
            return int(line.split()[1])
    return os.fstat(fd).st_dev
