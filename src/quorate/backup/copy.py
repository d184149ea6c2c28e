"""Copies a backup to another store, and reads what arrived: half a copy is none."""

from __future__ import annotations

import hashlib
import os

from quorate.backup.catalog import blob_of
from quorate.backup.folder import FolderStore
from quorate.backup.manifest import SUFFIX, Manifest
from quorate.core.ids import format_id
from quorate.deadline import SystemClock
from quorate.errors import HostError, Refused
from quorate.foreign.text import to_paste

_PIECE = 1 << 20


def copy(manifest: Manifest, source: FolderStore, target: FolderStore, clock: SystemClock) -> bool:
    """Copies the file and then its manifest; returns False where the target has it already. Raises `Refused` for a file that is
    not what its manifest says: a copy of damage would look like a second backup."""
    if any(one.name == manifest.id + SUFFIX for one in target.stored()):
        return False
    digest, size = hashlib.sha256(), 0
    with (
        source.open(blob_of(manifest)) as file,
        target.arriving(format_id(manifest.cluster_id), manifest.blob.name) as arriving,
    ):
        while piece := file.read(_PIECE):
            clock.cancel.check()
            digest.update(piece)
            size += len(piece)
            try:
                _write(arriving.fd, piece)
            except OSError as error:
                raise arriving.failed(error) from error
        if (size, digest.hexdigest()) != (manifest.blob.size, manifest.blob.sha256):
            verify = to_paste("quorate", "etcd", "backup", "verify", source.place)
            raise Refused(
                f"{manifest.id} is not what its manifest says: it was damaged since it was saved",
                state="nothing was copied",
                advice=f"see which other backup is whole: {verify} WHICH",
            )
        arriving.keep(manifest.blob.name)
    if not target.create(manifest.id + SUFFIX, manifest.as_bytes()):
        raise HostError(f"another run has written {target.place}/{manifest.id}{SUFFIX} meanwhile", advice="verify it there")
    return True


def _write(fd: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]
