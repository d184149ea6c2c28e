"""Copies a backup to another store, and reads what arrived: half a copy is none."""

from __future__ import annotations

import hashlib

from quorate.backup.catalog import file_of
from quorate.backup.manifest import SUFFIX, Blob, Manifest
from quorate.backup.store import Store
from quorate.core.ids import format_id
from quorate.deadline import SystemClock
from quorate.errors import HostError, Refused
from quorate.foreign.text import to_paste
from quorate.foreign.writing import write_all


def copy(manifest: Manifest, source: Store, target: Store, clock: SystemClock) -> bool:
    """Copies the files as they are packed, and then the manifest; returns False where the target has it already. Raises
    `Refused` for a file that is not what its manifest says: a copy of damage would look like a second backup."""
    if any(one.name == manifest.id + SUFFIX for one in target.stored()):
        return False
    for blob in manifest.files:
        _copy(manifest, blob, source, target, clock)
    if not target.create(manifest.id + SUFFIX, manifest.as_bytes()):
        raise HostError(f"another run has written {target.place}/{manifest.id}{SUFFIX} meanwhile", advice="verify it there")
    return True


def _copy(manifest: Manifest, blob: Blob, source: Store, target: Store, clock: SystemClock) -> None:
    digest, size = hashlib.sha256(), 0
    with target.arriving(format_id(manifest.cluster_id), blob.name) as arriving:
        for piece in source.pieces(file_of(manifest, blob)):
            clock.cancel.check()
            digest.update(piece)
            size += len(piece)
            try:
                write_all(arriving.fd, piece)
            except OSError as error:
                raise arriving.failed(error) from error
        if (size, digest.hexdigest()) != (blob.size, blob.sha256):
            verify = to_paste("quorate", "etcd", "backup", "verify", source.place)
            raise Refused(
                f"{manifest.id} is not what its manifest says: it was damaged since it was saved",
                state="nothing was copied",
                advice=f"see which other backup is whole: {verify} WHICH",
            )
        arriving.keep(blob.name)
