"""The etcds that run on this host, by the one thing that each has, whatever starts it and however it is called: its database,
open for writing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from quorate.host import proc
from quorate.host.etcd_identity import MEMBER

_DATABASE = f"/{MEMBER}/snap/db"
_DELETED = " (deleted)"
_PODS, _ITS_VARIABLES = "kubepods", "ETCD_"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunningEtcd:
    """`folder`: its data directory, by the path that it has for the process; `database`: of its file, as `proc.file_id`;
    `is_in_pod`: it runs in a pod of a kubelet, and ends with it."""

    pid: int
    folder: str
    database: str
    is_in_pod: bool


def running_etcds() -> list[RunningEtcd]:
    """Returns those that share this host's network: a static pod of etcd does, and a service. One in a container with a network
    of its own, such as a whole node in a container, is no other's business. Without root, those of this user."""
    here, found = proc.network_namespace(os.getpid()), list[RunningEtcd]()
    for pid in proc.pids():
        if proc.network_namespace(pid) != here:
            continue
        for path, file in proc.written_files(pid):
            whole = path.removesuffix(_DELETED)
            if whole.endswith(_DATABASE):
                database = proc.seen_id(file)
                if database is not None:
                    found.append(RunningEtcd(pid, whole.removesuffix(_DATABASE) or "/", database, _PODS in proc.cgroups(pid)))
                break
    return found


def uses(etcd: RunningEtcd, folder: str) -> bool:
    """Returns whether an etcd was given files below a folder of this host: as a word, a variable of its own, or a mount."""
    words = proc.command_line(etcd.pid, _MOST_BYTES)
    variables = (proc.environment(etcd.pid) or b"").decode(errors="replace").split("\0")
    below = folder.rstrip("/") + "/"
    if any(below in word for word in [*words, *(one for one in variables if one.startswith(_ITS_VARIABLES))]):
        return True
    # The fourth field is the folder of its file system that is mounted.
    mounted = [line.split(" ") for line in proc.mounts(etcd.pid).split("\n")]
    return any(len(row) > 4 and row[3] != "/" and (row[3] + "/").startswith(below) for row in mounted)


def is_open_here(etcd: RunningEtcd, data_dir: Path) -> bool:
    """Returns whether an etcd's database is the one in a data directory of this host."""
    try:
        return proc.file_id(data_dir / MEMBER / "snap" / "db") == etcd.database
    except OSError:
        return False
