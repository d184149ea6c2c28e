"""An append-only record of intents and outcomes, on disk before the effect happens.

One JSON object a line, each line with a checksum, so a record torn by a crash is recognised and dropped. The file is
preallocated and its records overwrite the padding, so a full disk cannot stop the record of an outcome whose intent
was written. An observation always outranks the journal: the journal explains, and records which run owns a change that
is half made.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.documents import BadDocument, Limits, read_object
from quorate.foreign.values import is_newer, text_of

_ROOM = 64 * 1024
_LIMITS = Limits(size=_ROOM, depth=8, values=1_000, aliases=0)
_PADDING = b"\n"
FORMAT = 1
_SEEN_AGAIN = frozenset({"outcome"})
"""Records that are not fsynced: a look at the cluster shows the outcome of an intent, so a lost record costs no safety."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line: its kind, its wall-clock time in seconds, and its fields."""

    kind: str
    at: float
    fields: Mapping[str, object]


def encode(record: Record) -> bytes:
    body = json.dumps({"format": FORMAT, "kind": record.kind, "at": record.at, **record.fields}, sort_keys=True)
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


def decode(line: bytes) -> Record | None:
    """Returns the record of a line; None for padding, a torn line, a foreign one, and one that a newer version wrote."""
    try:
        fields = read_object(line.partition(b" ")[2], "a record", _LIMITS) if _is_whole(line) else {}
        if is_newer(fields, FORMAT):
            return None
        fields.pop("format", None)
        at = fields.pop("at")
        return Record(text_of(fields.pop("kind")), float(at), fields) if isinstance(at, int | float) else None
    except (ValueError, KeyError, OverflowError, BadDocument):
        return None


def _is_whole(line: bytes) -> bool:
    """Returns whether the checksum of a line is right, in whatever format it was written."""
    checksum, _, body = line.partition(b" ")
    try:
        return int(checksum, 16) == zlib.crc32(body)
    except ValueError:
        return False


def read(path: Path) -> list[Record]:
    """Returns all whole records, oldest first; an absent file is an empty journal."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return [record for record in map(decode, content.split(b"\n")) if record is not None]


def is_of_newer(path: Path) -> bool:
    """Returns whether a newer version of quorate has written into a journal: what it says is not known then."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return False
    return any(_is_whole(line) and decode(line) is None and _is_newer(line) for line in lines)


def _is_newer(line: bytes) -> bool:
    try:
        return is_newer(read_object(line.partition(b" ")[2], "a record", _LIMITS), FORMAT)
    except BadDocument:
        return False


class Journal:
    """Writes records to `path` (mode 0600). Each is on disk when `write` returns, except outcomes.

    Raises `HostError` when there is no room for the file; a record that fits the preallocated room always succeeds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = self._open()
        self._end = self._length_of_records()

    def _open(self) -> int:
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._reserve(fd, 0)
        except OSError as error:
            raise HostError(
                f"cannot open the journal {self.path}: {error.strerror}",
                state="nothing was changed",
                advice="free some space or choose another directory, then run the same command again",
            ) from error
        return fd

    def _reserve(self, fd: int, used: int) -> None:
        """Keeps room for records past `used` as written blocks: a full disk could refuse to fill a hole."""
        size = os.fstat(fd).st_size
        if size - used < _ROOM // 2:
            os.pwrite(fd, _PADDING * (used + _ROOM - size), size)
            os.fsync(fd)

    def _length_of_records(self) -> int:
        content = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        end = 0
        for line in content.split(b"\n"):
            # A whole line of a newer version counts, although we cannot read it: it must not be overwritten.
            if not _is_whole(line):
                break
            end += len(line) + 1
        return end

    def write(self, record: Record) -> None:
        """Appends a record; it is on disk when this returns, unless its loss costs nothing. It overwrites the terminating
        newline of a torn predecessor. Raises `HostError` when the journal and the disk are full."""
        line = encode(record)
        try:
            self._reserve(self._fd, self._end + len(line))
        except OSError:
            if self._end + len(line) > os.fstat(self._fd).st_size:
                raise HostError(f"the journal {self.path} is full and the disk has no space left") from None
        os.pwrite(self._fd, line, self._end)
        # A longer torn record may reach past this line: cut its tail off so that it cannot be read as a line of its own.
        self._blank_tail(self._end + len(line))
        if record.kind not in _SEEN_AGAIN:
            os.fsync(self._fd)
        self._end += len(line)

    def _blank_tail(self, start: int) -> None:
        size = os.fstat(self._fd).st_size
        tail = os.pread(self._fd, size - start, start)
        rest = tail.rstrip(_PADDING)
        if rest:
            os.pwrite(self._fd, _PADDING * len(rest), start)

    def close(self) -> None:
        os.close(self._fd)
