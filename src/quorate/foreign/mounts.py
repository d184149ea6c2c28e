"""Reads the mount points from the kernel, decoded: a blank in a path must not hide a mount."""

from __future__ import annotations

import os
import re
from pathlib import Path

from quorate.errors import HostError

_ESCAPED = re.compile(r"\\([0-7]{3})")


def mounted_below(folder: Path) -> list[Path]:
    """Returns the mount points strictly below a folder whose path has no links, the deepest first. Raises `HostError`."""
    return [place for place in mount_points() if place != folder and place.is_relative_to(folder)]


def mount_points() -> list[Path]:
    """Returns all mount points of this process's namespace, the last mounted first. Raises `HostError`."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().decode(errors="surrogateescape").split("\n")
    except OSError as error:
        raise HostError(f"cannot read the mount points: {error.strerror}") from error
    return [Path(decode(fields[4])) for line in reversed(lines) if len(fields := line.split(" ")) > 4]


def decode(text: str) -> str:
    """Returns a decoded path: the kernel writes blanks, tabs, line breaks and backslashes in octal."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def mount_of(fd: int) -> int:
    """Returns the id of the mount that an open file is on. The device would not do: a bind mount shares it with its parent."""
    for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
        if line.startswith("mnt_id:"):
            return int(line.split()[1])
    return os.fstat(fd).st_dev
