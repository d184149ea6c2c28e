"""Reads which member wrote an etcd data directory: its write-ahead log begins with the member and cluster ids.

Every file of the log begins with a checksum record and a metadata record (`server/storage/wal/wal.go`, 3.4 to 3.7). A frame is
a little-endian length of 8 bytes, whose highest byte holds the padding, and a protobuf record. The metadata is a protobuf
message with the node id and the cluster id.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from quorate.errors import HostError, Refused
from quorate.foreign.aside import meant_for
from quorate.foreign.local_files import regular
from quorate.foreign.protobuf import numbers_and_bytes
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.foreign.text import visible
from quorate.host.etcd_data import is_new, is_there

_TRIES, _MOST_NAMED = 3, 5
_HEAD_BYTES = 4096
_METADATA = 1


@dataclass(frozen=True, slots=True)
class DataIdentity:
    """The member that wrote a data directory."""

    member_id: int
    cluster_id: int


UNREADABLE = DataIdentity(0, 0)
"""Stands for data of which it cannot be read whose it is: a log that is damaged, or elsewhere (--wal-dir), and anything that is
not what an etcd makes there. It is never "there is no data": a join that took it for that deleted the data of a voter, and the
copy of a member that an operator had made beside it."""

MEMBER = "member"
"""The one entry that etcd makes in its data directory."""

SEAL = ".quorate-left"
"""A file in the data of a member that has left, or is abandoned, which names it."""

_FOUND = "lost+found"
_DEEPEST, _MOST_FOLDERS = 3, 50_000


class UnknownOwner(Refused):
    """There is data of an etcd member, and it cannot be read of which one."""

    code = "unknown-data"
    next_step = "look at the data by hand"


def data_identity(data_dir: Path) -> DataIdentity | None:
    """Returns the ids in a data directory; None when nothing is there. Raises `UnknownOwner`."""
    return _known(data_dir, data_owner(data_dir))


def _known(data_dir: Path, found: DataIdentity | None) -> DataIdentity | None:
    if found == UNREADABLE:
        raise unknown(data_dir)
    return found


def unknown(data_dir: Path) -> UnknownOwner:
    """Returns the error for data of which it cannot be read whose it is."""
    beside = strangers(data_dir)
    if member_owner(data_dir) is None and beside:
        what = f"{data_dir} holds {named(beside)}, which is not what an etcd makes there, and may be a copy of a member"
        return UnknownOwner(what, state="nothing was deleted", advice="move it away, then run the same command again")
    return UnknownOwner(
        f"cannot read which member the data in {data_dir} belongs to: its log is damaged, or elsewhere (--wal-dir)",
        state="nothing was deleted: the cluster may count on that member",
        advice="find the member in the list ('quorate etcd member list' on another node), and remove it by its id",
    )


def named(names: Sequence[str]) -> str:
    """Returns the first of some names of files, in words."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(visible(name) for name in names[:_MOST_NAMED])}{more}"


def data_owner(data_dir: Path) -> DataIdentity | None:
    """Returns whose a data directory is: the member that wrote there; None where it is missing, or has nothing but what is ours
    by name and what an etcd makes before it has its identity; `UNREADABLE` for everything else. What a run that was cut off has
    taken away, to delete it, is still data of its member."""
    found = member_owner(data_dir)
    return UNREADABLE if found is None and strangers(data_dir) else found


def member_owner(data_dir: Path) -> DataIdentity | None:
    """Returns as `data_owner`, of `member` alone, whatever lies beside it."""
    return owner_in(data_dir) or owner_in(data_dir / TAKEN)


def data_below(folder: Path) -> Iterator[Path]:
    """Yields the folders below one that may be data directories: all of them in a small one, and in a whole disk those to the
    depth at which they are found in /var/lib. Raises `HostError` where there are more than can be looked at in a second."""
    level, left, pseudo = [folder], _MOST_FOLDERS, _pseudo_devices()
    for depth in count(1):
        below: list[Path] = []
        for one in level:
            found = _folders_in(one, pseudo)
            yield from (path for path in found if is_there(path / MEMBER))
            below += found
            left -= len(found)
            if left < 0:
                if depth <= _DEEPEST:
                    raise HostError(f"{folder} has more folders than can be looked at for data of etcd")
                return
        if not below:
            return
        level = below


def _folders_in(folder: Path, pseudo: Container[int]) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            return sorted(Path(entry.path) for entry in found if entry.stat(follow_symlinks=False).st_dev not in pseudo)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return []
        raise HostError(f"cannot read {folder}: {error.strerror}") from error


_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP)
"""Of a folder: it has gone, or is one of a user's own file systems, which root may not read either."""


def _pseudo_devices() -> set[int]:
    """Returns the devices of file systems that are no disk: /proc alone has a hundred folders for each process."""
    found: set[int] = set()
    for path in ("/proc", "/sys", "/sys/fs/cgroup", "/dev"):
        with suppress(OSError):
            found.add(Path(path).stat().st_dev)
    # In a container one of them may be a folder of its root.
    with suppress(OSError):
        found.discard(Path("/").stat().st_dev)
    return found


def strangers(data_dir: Path) -> list[str]:
    """Returns the names of what lies beside `member`, also of what was taken away, and is not ours by name."""
    return [*_strangers_in(data_dir), *(f"{TAKEN}/{name}" for name in _strangers_in(data_dir / TAKEN))]


def _strangers_in(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder)
        return sorted(name for name in names if not _is_ours(name) and not _is_empty_lost_and_found(folder / name))
    except FileNotFoundError:
        # A link that leads nowhere: what it leads to may be on a disk that is not mounted.
        return ["."] if folder.is_symlink() else []
    except OSError:
        return ["."]


def _is_ours(name: str) -> bool:
    return name in (MEMBER, SEAL, TAKEN, JUDGED) or meant_for(name) == SEAL


def _is_empty_lost_and_found(path: Path) -> bool:
    return path.name == _FOUND and not os.listdir(path)


def owner_in(folder: Path) -> DataIdentity | None:
    """Returns as `member_owner`, but does not look at what was taken away."""
    member = folder / MEMBER
    try:
        if not is_there(member):
            return None
        head = _first_bytes(member / "wal")
        if head is None:
            head = _first_bytes(member / "wal.tmp") or b""
            # Only room is made there until etcd writes its ids.
            if not head.strip(b"\0") and is_new(member):
                return None
        return _from_head(head) or UNREADABLE
    except (OSError, ValueError, IndexError, KeyError, struct.error):
        return UNREADABLE


def _first_bytes(wal: Path) -> bytes | None:
    """Returns the beginning of the log; None where there is none. Raises OSError, also for a link that leads nowhere, and for a
    log whose first part is gone each time."""
    for _ in range(_TRIES):
        try:
            names = sorted(name for name in os.listdir(wal) if name.endswith(".wal"))
        except FileNotFoundError:
            if is_there(wal):
                raise
            return None
        if not names:
            return None
        try:
            with regular(wal / names[0]) as file:
                return file.read(_HEAD_BYTES)
        except FileNotFoundError:
            # etcd deletes old parts of its log.
            continue
    raise FileNotFoundError(wal)


def member_of(data_dir: Path) -> int:
    """Returns the id of the member whose `member` is in a data directory; 0 when there is none. Raises `UnknownOwner`."""
    owner = _known(data_dir, member_owner(data_dir))
    return owner.member_id if owner else 0


def _from_head(head: bytes) -> DataIdentity | None:
    at = 0
    while at + 8 <= len(head):
        (frame,) = struct.unpack_from("<Q", head, at)
        length, padding = frame & ((1 << 56) - 1), (frame >> 56) & 7 if frame >> 63 else 0
        if not 0 < length <= len(head) - at - 8:
            return None
        numbers, content = numbers_and_bytes(head[at + 8 : at + 8 + length])
        if numbers.get(1) == _METADATA:
            ids, _ = numbers_and_bytes(content[3])
            return DataIdentity(ids[1], ids[2])
        at += 8 + length + padding
    return None
