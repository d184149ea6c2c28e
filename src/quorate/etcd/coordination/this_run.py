"""Which process wrote a place, a record or a lock: host and pid for people, and what tells it from a later process."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quorate.foreign.values import integer_of, text_of


@dataclass(frozen=True, slots=True)
class Origin:
    """The process that wrote a row. `started`: in clock ticks after the boot `boot_id`. `namespace`: in which its pid counts.
    Empty where they are unknown, as in rows of earlier versions: two hosts may share a name, two containers a boot."""

    host: str
    pid: int
    started: int = -1
    boot_id: str = ""
    namespace: str = ""


def fields() -> dict[str, object]:
    """Returns the fields of a row that name this process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The command name may hold blanks and parentheses: fields are counted after its last ")".
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        known = {"bootId": boot, "started": started, "pidNamespace": str(Path("/proc/self/ns/pid").readlink())}
    except (OSError, ValueError, IndexError):
        known = {}
    return {"host": socket.gethostname(), "pid": os.getpid(), **known}


def origin_of(row: Mapping[str, object]) -> Origin:
    """Returns the process that the fields of a row name."""
    return Origin(
        text_of(row.get("host")),
        integer_of(row.get("pid")),
        integer_of(row.get("started"), -1),
        text_of(row.get("bootId")),
        text_of(row.get("pidNamespace")),
    )
