"""The etcds that run on this host, by the one thing that each has, whatever starts it and however it is called: its database
and its log, open for writing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from quorate.host import proc
from quorate.host.etcd_identity import MEMBER

_OPEN = re.compile(r"(?:(.*?)/)?(?:snap/db|(?:wal/)?[0-9a-f]{16}-[0-9a-f]{16}\.wal)(?: \(deleted\))?", re.DOTALL)
"""The path of an open file shows no link on the way to it: the folders may have any other names, and a segment of the log has
its own. While etcd defragments its database only its log is open."""
_PODS = "kubepods"
_FLAGS = ("data-dir", "config-file", "listen-peer-urls", "initial-cluster")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunningEtcd:
    """`began`: when, which tells the process from another of its pid; `folder`: its data directory, by the path that it has for
    the process; `files`: what it has open for writing, each as `proc.file_id`; `is_in_pod`: it runs in a pod of a kubelet
    with this host's network, as a static pod of etcd does, and ends with it."""

    pid: int
    began: str
    folder: str
    files: frozenset[str]
    is_in_pod: bool


@dataclass(frozen=True, slots=True)
class EtcdsSeen:
    """`unseen`: the processes whose open files cannot be read, and whose words are as those of an etcd. That is all that shows
    for root without CAP_SYS_PTRACE."""

    running: list[RunningEtcd]
    unseen: list[int]


def running_etcds() -> list[RunningEtcd]:
    """Returns those that are seen; without root, those of this user."""
    return look_for_etcds().running


def look_for_etcds() -> EtcdsSeen:
    """Returns the etcds among the processes that are visible here, whatever their network: what a container was given of this
    host's files is this host's still. Raises `HostError` where /proc cannot be read."""
    here = proc.network_namespace(os.getpid())
    running, unseen = list[RunningEtcd](), list[int]()
    for pid in proc.pids():
        files = proc.written_files(pid)
        if files is None:
            unseen += [pid] if _reads_like_etcd(pid) else []
            continue
        matches = [match for path, _ in files if (match := _OPEN.fullmatch(path))]
        # All of them: a link may give the database any name.
        ids = frozenset(one for _, file in files if (one := proc.seen_id(file)) is not None) if matches else frozenset[str]()
        fields = proc.stat_fields(pid)
        if not ids and any(not path for path, _ in files):
            # One of them may be its database.
            unseen += [pid] if _reads_like_etcd(pid) else []
        if not ids or fields is None:
            continue
        folder = (matches[0][1] or "").removesuffix(f"/{MEMBER}") or "/"
        is_in_pod = proc.network_namespace(pid) == here and _PODS in proc.cgroups(pid)
        running.append(RunningEtcd(pid, fields[19], folder, ids, is_in_pod))
    return EtcdsSeen(running, unseen)


def _reads_like_etcd(pid: int) -> bool:
    """Returns whether a process may be an etcd by its words, also where we may not read them."""
    if proc.are_words_hidden(pid):
        return True
    words = proc.command_line(pid, _MOST_BYTES)
    return any("etcd" in word.casefold() or word.lstrip("-").startswith(_FLAGS) for word in words)


def is_open_here(etcd: RunningEtcd, data_dir: Path) -> bool:
    """Returns whether the data that an etcd has open is that in a data directory of this host."""
    member = data_dir / MEMBER
    try:
        paths = [member / "snap" / "db", *(member / "wal").glob("*.wal")]
    except OSError:
        paths = []
    return any(proc.seen_id(path) in etcd.files for path in paths)


def open_in(data_dir: Path) -> RunningEtcd | None:
    """Returns an etcd that runs on the data in a directory, wherever that was moved since it was started."""
    return next((one for one in running_etcds() if is_open_here(one, data_dir)), None)
