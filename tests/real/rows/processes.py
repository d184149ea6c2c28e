"""The etcds that run on this machine, whoever started them, and waiting with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def until(holds: Callable[[], object], seconds: float = 15.0, what: str = "") -> None:
    """Return once `holds()`; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what or f"not within {seconds} s"
        time.sleep(0.03)


def running() -> list[int]:
    """Every process that is an etcd, as its name says."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in found if Path((arguments_of(pid) or [""])[0]).name.startswith("etcd") and state_of(pid) != "Z"]


def processes_with(argument: str) -> list[int]:
    """The etcds that have it on their command line."""
    return [pid for pid in running() if argument in arguments_of(pid)]


def arguments_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
