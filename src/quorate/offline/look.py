"""Looks at a data directory, or at a snapshot, while no etcd serves it: what `quorate etcd look` shows.

Read only, and nothing is started: an etcd that is started to be compared may change its term, and votes.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from quorate.core.ids import format_id
from quorate.errors import ConfigError
from quorate.foreign.local_files import regular
from quorate.offline import bolt, keys
from quorate.offline.backend import Backend, StoredMember, read_backend
from quorate.offline.bolt import Damaged
from quorate.offline.members_seen import Configuration, configurations
from quorate.offline.raft_snapshot import RaftSnapshot, newest_snapshot
from quorate.offline.wal import Log, read_log

MEMBER = "member"
_DIGEST_BYTES, _SECTOR = 32, 512
_PIECE = 1 << 20

Digest: TypeAlias = Literal["right", "wrong", "missing", "not checked"]


@dataclass(frozen=True, slots=True)
class Look:
    """What is in a data directory or a snapshot. `member_id`, `cluster_id`: 0 in a snapshot, which names neither; `last_term`,
    `last_index`: of the newest entry in the log or the database, by which survivors are compared; `revision`: of the database,
    which may lack what is in the log only; `tail`: entries past the commit index; `walk`: what all keys are, where they were
    read; `problems`: what could not be read."""

    path: Path
    kind: Literal["data directory", "snapshot"]
    size: int
    backend: Backend | None
    revision: int = 0
    log: Log | None = None
    raft_snapshot: RaftSnapshot | None = None
    seen: Sequence[Configuration] = ()
    digest: Digest = "not checked"
    walk: keys.Walk | None = None
    problems: tuple[str, ...] = ()

    @property
    def member_id(self) -> int:
        return self.log.member_id if self.log is not None else 0

    @property
    def cluster_id(self) -> int:
        return self.log.cluster_id if self.log is not None else 0

    @property
    def last(self) -> tuple[int, int]:
        """Returns term and index of the newest entry. A log that ends before the database is legal: the member received it as
        a whole."""
        of_log = (self.log.last_term, self.log.last_index) if self.log is not None else (0, 0)
        of_database = (self.backend.term, self.backend.index) if self.backend is not None else (0, 0)
        return max(of_log, of_database, key=lambda one: one[1])

    def as_dict(self) -> dict[str, object]:
        """Returns the look as `-o json` shows it."""
        term, index = self.last
        return {
            "path": str(self.path),
            "type": "snapshot" if self.kind == "snapshot" else "dataDirectory",
            "bytes": self.size,
            "memberId": format_id(self.member_id) if self.member_id else None,
            "clusterId": format_id(self.cluster_id) if self.cluster_id else None,
            "lastTerm": term,
            "lastIndex": index,
            "commitIndex": self.log.commit if self.log is not None else None,
            "tail": self.log.tail() if self.log is not None else None,
            "torn": self.log.torn if self.log is not None else "",
            "appliedIndex": self.backend.index if self.backend is not None else None,
            "revision": self.revision,
            "digest": self.digest,
            "members": [_member(one) for one in self.backend.members] if self.backend is not None else [],
            "configurations": [_configuration(one) for one in self.seen],
            **(_of_backend(self.backend) if self.backend is not None else {}),
            **(_of_walk(self.walk) if self.walk is not None else {}),
            "problems": list(self.problems),
        }


def _member(one: StoredMember) -> dict[str, object]:
    return {
        "id": format_id(one.id),
        "name": one.name,
        "peerURLs": list(one.peer_urls),
        "clientURLs": list(one.client_urls),
        "isLearner": one.is_learner,
    }


def _configuration(one: Configuration) -> dict[str, object]:
    return {
        "index": one.index,
        "voters": sorted(map(format_id, one.voters)),
        "learners": sorted(map(format_id, one.learners)),
    }


def _of_backend(one: Backend) -> dict[str, object]:
    return {
        "storageVersion": one.storage_version or None,
        "clusterVersion": one.cluster_version or None,
        "scheduledCompactRevision": one.scheduled_compact,
        "finishedCompactRevision": one.finished_compact,
        "removedMembers": [format_id(member) for member in one.removed],
        "alarms": [{"member": format_id(member), "alarm": kind} for member, kind in one.alarms],
        "auth": one.auth,
        "users": one.users,
        "roles": one.roles,
        "leases": one.leases,
    }


def _of_walk(one: keys.Walk) -> dict[str, object]:
    lease: datetime | None = one.newest_lease
    return {
        "keys": one.keys,
        "entries": one.entries,
        "encryptionKeys": sorted(one.encryption_keys),
        "dataAsOf": lease.isoformat().replace("+00:00", "Z") if lease is not None else None,
    }


def look(path: Path, *, deep: bool = False) -> Look:
    """Looks at a data directory or a file. `deep`: reads every key, and compares the digest of a snapshot. What cannot be read
    is in `problems`; raises `ConfigError` where there is nothing of etcd, or nothing may be read."""
    try:
        # Also where it is missing: a mistyped directory is no file that is no snapshot.
        if stat.S_ISDIR(path.stat().st_mode):
            return _of_folder(path, deep=deep)
        return _of_file(path, deep=deep)
    except OSError as error:
        raise ConfigError(
            f"cannot read {error.filename or path}: {error.strerror}", advice="check the path, and who may read it"
        ) from error


def _of_folder(path: Path, *, deep: bool) -> Look:
    member = path if (path / "snap").is_dir() and (path / "wal").is_dir() else path / MEMBER
    if not member.is_dir():
        raise ConfigError(f"{path} has no {MEMBER}: it is no data directory of etcd", advice="name the directory of --data-dir")
    problems: list[str] = []
    log, raft_snapshot, database = _log_of(member, problems), None, member / "snap" / "db"
    with suppress(OSError):
        raft_snapshot = newest_snapshot(member / "snap")
    if raft_snapshot is not None and raft_snapshot.unreadable and not _reaches(log, raft_snapshot):
        # Else etcd calls it .broken, and starts from the one before and the log behind that.
        problems.append(f"{', '.join(raft_snapshot.unreadable)} cannot be read")
    backend, revision, walk = _database(database, problems, deep=deep)
    seen = _seen(log, raft_snapshot, backend, problems)
    size = database.stat().st_size if database.exists() else 0
    return Look(path, "data directory", size, backend, revision, log, raft_snapshot, seen, walk=walk, problems=tuple(problems))


def _reaches(log: Log | None, snapshot: RaftSnapshot) -> bool:
    """Returns whether the log has all that comes behind a snapshot."""
    return log is not None and log.first_index <= snapshot.index + 1


def _log_of(member: Path, problems: list[str]) -> Log | None:
    try:
        return read_log(member / "wal")
    except Damaged as error:
        problems.append(error.what)
    except OSError as error:
        problems.append(f"cannot read {member / 'wal'}: {error.strerror}")
    return None


def _database(path: Path, problems: list[str], *, deep: bool) -> tuple[Backend | None, int, keys.Walk | None]:
    try:
        with bolt.opened(path) as found:
            backend = read_backend(found)
            revision = max(keys.last_revision(found), backend.scheduled_compact)
            return backend, revision, keys.walk(found) if deep else None
    except Damaged as error:
        problems.append(error.what)
    except OSError as error:
        problems.append(f"cannot read {path}: {error.strerror}")
    return None, 0, None


def _seen(
    log: Log | None, raft_snapshot: RaftSnapshot | None, backend: Backend | None, problems: list[str]
) -> list[Configuration]:
    if raft_snapshot is not None:
        base = raft_snapshot.members
    elif backend is not None and log is not None and log.first_index > 1:
        base = _of_database(backend)
    else:
        # The log begins with the first member.
        base = Configuration(0, frozenset())
    try:
        found = configurations(base, log.changes if log is not None else ())
    except Damaged as error:
        problems.append(error.what)
        found = [base]
    return [one for one in found if one.voters or one.learners]


def _of_database(backend: Backend) -> Configuration:
    """Returns who are members by the database. Before 3.5 it has no state of raft, only the list."""
    if backend.voters or backend.learners:
        return Configuration(backend.index, frozenset(backend.voters), frozenset(backend.learners))
    voters = frozenset(one.id for one in backend.members if not one.is_learner)
    return Configuration(backend.index, voters, frozenset(one.id for one in backend.members if one.is_learner))


def _of_file(path: Path, *, deep: bool) -> Look:
    problems: list[str] = []
    backend, revision, walk = _database(path, problems, deep=deep)
    if backend is None and not deep:
        raise ConfigError(
            f"{path} is no snapshot of etcd: {'; '.join(problems)}", advice="name a file of 'etcdctl snapshot save'"
        )
    size = path.stat().st_size
    digest = _digest(path, size) if deep else "missing" if size % _SECTOR != _DIGEST_BYTES else "not checked"
    if digest == "wrong":
        problems.append("its digest is wrong: the file was damaged since it was saved")
    elif size % _SECTOR not in (0, _DIGEST_BYTES):
        problems.append("its size is neither that of a database nor of a snapshot: it was cut off, or something was added")
    if backend is not None and not backend.is_of_etcd:
        problems.append("it has nothing that an etcd writes")
    members = [_of_database(backend)] if backend else []
    return Look(path, "snapshot", size, backend, revision, seen=members, digest=digest, walk=walk, problems=tuple(problems))


def _digest(path: Path, size: int) -> Digest:
    """Compares the digest that `etcdctl snapshot save` writes behind the database. `etcdutl snapshot status` does not look."""
    if size % _SECTOR != _DIGEST_BYTES:
        return "missing"
    summed, left = hashlib.sha256(), size - _DIGEST_BYTES
    with regular(path) as file:
        while left and (piece := file.read(min(_PIECE, left))):
            summed.update(piece)
            left -= len(piece)
        return "right" if file.read(_DIGEST_BYTES) == summed.digest() else "wrong"
