"""Control groups of a node: its kubelet makes those of the pods below."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "devices", "freezer", "blkio", "cpuacct", "systemd")


def make_groups(group: str) -> None:
    for controller in CONTROLLERS:
        if (GROUPS / controller).is_dir():
            _make(GROUPS / controller, group)


def _make(controller: Path, name: str) -> None:
    """A group for sets of processors takes no process before it is told which."""
    group = controller / name
    group.mkdir(exist_ok=True)
    for one in ("cpuset.cpus", "cpuset.mems"):
        if (group / one).exists():
            (group / one).write_text((controller / one).read_text())


def in_groups(group: str) -> set[int]:
    found: set[int] = set()
    for controller in CONTROLLERS:
        for path in (GROUPS / controller / group).rglob("cgroup.procs"):
            with suppress(OSError):
                found |= {int(line) for line in path.read_text().split()}
    return found


def remove_groups(group: str) -> None:
    for controller in CONTROLLERS:
        top = GROUPS / controller / group
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            top.rmdir()
