"""Makes a snapshot of all that a survivor has written down, also of what it does not know to be committed (decision 29).

1. Copy its data directory. The original is not written to, and nothing is started on it.
2. Write into the copy's log that all of it is committed, and a last entry that shows (`offline/commit_record.py`).
3. Start the survivor's own etcd on the copy, in a network namespace with nothing in it: the copy is a member of the old
   cluster, and living members would believe it. Without any leader it applies everything that is committed.
4. Stop it when the file has that last entry, and with it everything, and seal the file with its digest, as a snapshot has one.

Each entry behind the commit index is a write whose client was told that it is done, or was told nothing. The first must not be
lost, and for the second "it happened, late" is right. That holds for the newest log of all only (`core/decide_recovery.py`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from quorate.deadline import Deadline, SystemClock
from quorate.errors import ConfigError, HostError, QuorateError
from quorate.foreign.local_files import regular
from quorate.host import process
from quorate.host.daemon import tail
from quorate.host.etcd_binary import EtcdBinary
from quorate.host.etcd_identity import MEMBER
from quorate.host.last_words import etcd_reason
from quorate.host.process import Identity
from quorate.offline.bolt import Damaged
from quorate.offline.commit_record import append_commit
from quorate.offline.look import Look, look
from quorate.offline.wal import read_log
from quorate.recovery.twin import alone, end_etcd_on, number_of

_COPY, _LOG, _DATABASE = "copy", "etcd.log", "survivor.db"
_APPLIED = "etcd_server_proposals_applied_total"
_POLL_SECONDS, _STALL_SECONDS = 0.05, 120.0
_PIECE = 1 << 20


class DistilFailed(QuorateError):
    """The survivor's own etcd did not apply all that is in its log. The survivor is as it was."""

    code = "distil-failed"
    next_step = "see the log that the message names, then run the same command again"


@dataclass(frozen=True, slots=True)
class Distilled:
    """`path`: the sealed snapshot; `index`: of its newest entry; `applied`: how many entries were only in the log; `unknown`:
    how many of these the survivor did not know to be committed."""

    path: Path
    index: int
    applied: int
    unknown: int


def distil(member: Path, work: Path, etcd: EtcdBinary, clock: SystemClock) -> Distilled:
    """Returns the snapshot of a survivor, made in the empty folder `work`. `member`: the folder of its `snap` and `wal`;
    `etcd`: of the survivor's own minor version. Raises `DistilFailed`, `Damaged`, `HostError`."""
    copy = work / _COPY
    with _no_room_said(work):
        _copy(member, copy / MEMBER)
    log = read_log(copy / MEMBER / "wal")
    before = look(copy)
    of_database = before.backend.index if before.backend is not None else 0
    if log.last_index > of_database:
        marker = secrets.randbits(63) | 1
        append_commit(log, marker)
        with alone(copy, etcd, work / _LOG, clock) as twin:
            _wait(twin, copy, marker, clock)
        _refuse_less(before, copy, marker, work / _LOG)
    path = work / _DATABASE
    with _no_room_said(work):
        _seal(copy / MEMBER / "snap" / "db", path)
    shutil.rmtree(copy, ignore_errors=True)
    return Distilled(path, max(log.last_index, of_database), max(log.last_index - of_database, 0), log.tail())


@contextmanager
def _no_room_said(work: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise HostError(
            f"cannot write the copy of the survivor in {work}: {error.strerror}",
            state="the survivor is as it was; the copy was deleted",
            advice="make room there; then run the same command again",
        ) from error


def sweep(work: Path, clock: SystemClock) -> None:
    """Ends what a killed run has started on its copy, and deletes all that it made."""
    end_etcd_on(work / _COPY, clock)
    shutil.rmtree(work, ignore_errors=True)


def _copy(member: Path, into: Path) -> None:
    """Copies what an etcd reads: the log, the snapshots of raft, the database."""
    for name in ("snap", "wal"):
        (into / name).mkdir(parents=True, mode=0o700)
        for path in (member / name).iterdir():
            if stat.S_ISREG(path.lstat().st_mode):
                _copy_file(path, into / name / path.name)


def _copy_file(path: Path, into: Path) -> None:
    with regular(path) as source, into.open("xb") as target:
        into.chmod(0o600)
        shutil.copyfileobj(source, target, _PIECE)


def _wait(twin: Identity, copy: Path, marker: int, clock: SystemClock) -> None:
    """Waits until the file has everything, or the twin has ended; as long as anything is applied, there is no limit. An etcd
    that has found no leader yet is killed by SIGTERM and closes nothing: what counts is what it has written down by itself."""
    deadline, reached = Deadline(clock, _STALL_SECONDS, "the survivor's etcd applies its log"), -1
    while process.is_running(twin) and not deadline.expired and not _has(copy, marker):
        now = number_of(copy, _APPLIED)
        if now is not None and now > reached:
            deadline, reached = Deadline(clock, _STALL_SECONDS, deadline.goal), now
        clock.sleep(_POLL_SECONDS)


def _has(copy: Path, marker: int) -> bool:
    """Returns whether the file has the member that was added last. Its pages are read while they are written."""
    with suppress(Damaged, ConfigError, OSError):
        found = look(copy).backend
        return found is not None and any(one.id == marker for one in found.members)
    return False


def _refuse_less(before: Look, copy: Path, marker: int, log: Path) -> None:
    """Raises `DistilFailed` where the database does not have all that is in the log."""
    after = look(copy)
    if after.problems or not _has(copy, marker) or after.revision < before.revision:
        index = after.backend.index if after.backend is not None else 0
        said = etcd_reason(tail(log))
        why = "; ".join(after.problems) or f"it has entries up to {index} of {after.last[1]}"
        raise DistilFailed(
            f"the survivor's etcd did not apply its whole log: {why}{f'; it said: {said}' if said else ''}",
            state=f"the survivor is as it was; the log is {log}",
        )


def _seal(database: Path, path: Path) -> None:
    """Copies a database of which no etcd is open, with its digest behind it, as `etcdctl snapshot save` writes one."""
    summed, part = hashlib.sha256(), path.with_suffix(".part")
    with regular(database) as source, part.open("xb") as target:
        part.chmod(0o600)
        while piece := source.read(_PIECE):
            summed.update(piece)
            target.write(piece)
        target.write(summed.digest())
        target.flush()
        os.fsync(target.fileno())
    part.rename(path)
