"""What a place of backups is asked for, be it a folder of this machine or an object store.

<cluster id>/20261127T034512Z-1042.db      the snapshot, as etcd sent it; with .zst and .age behind it: packed
<cluster id>/20261127T034512Z-1042.json    its manifest, written last
<cluster id>/20261127T030000Z.claim.0      which host makes the backup of that period
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from quorate.errors import HostError

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store: its name, with the folders below the store's, its size in bytes, and its time in unix seconds."""

    name: str
    size: int
    modified: float


class Arriving(Protocol):
    """A file that is being written through `fd`, which can be read by nobody until it gets its name."""

    @property
    def fd(self) -> int: ...

    def keep(self, name: str) -> None:
        """Gives it its name. Raises `HostError`; where a file has that name, it stays as it is."""

    def failed(self, error: OSError) -> HostError:
        """Returns what to raise where it cannot be written."""


class Receives(Protocol):
    """Where a file can be written whose name comes later."""

    def room(self) -> tuple[str, int | None]:
        """Returns the place that is written to, and how many bytes it has free; None where that is not known."""

    def arriving(self, folder: str, name: str) -> AbstractContextManager[Arriving]:
        """Makes a file for the block, meant for a folder of the store. It is gone afterwards, unless it got its name. Raises
        `HostError`."""


class Store(Receives, Protocol):
    """Backups, of any number of clusters. All that it does raises `HostError` where the place does not do it."""

    @property
    def place(self) -> str:
        """Returns what a user calls it."""

    def create(self, name: str, content: bytes) -> bool:
        """Writes a small file at once, where there is none; returns False, and changes nothing, where there is one."""

    def replace(self, name: str, content: bytes) -> None:
        """Writes a small file over the one that is there."""

    def read(self, name: str, most_bytes: int) -> bytes:
        """Returns a small file. Raises `ConfigError` for one that is larger."""

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yields a file piece by piece: it may be larger than memory."""

    def local(self, name: str) -> AbstractContextManager[Path]:
        """Yields where a file lies on this machine, for the block: for what reads files by their names."""

    def stored(self) -> list[Stored]:
        """Returns the files of every cluster, in the order of their names; none where there is no store."""

    def delete(self, name: str) -> None:
        """Deletes a file, if it is there."""
