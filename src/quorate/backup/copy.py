"""Copies a backup to another store, and reads what arrived: half a copy is none."""

from __future__ import annotations

import hashlib

from quorate.backup.catalog import catalog, file_of
from quorate.backup.content import why_changed
from quorate.backup.manifest import SUFFIX, Blob, Manifest
from quorate.backup.store import Store
from quorate.core.ids import format_id
from quorate.deadline import SystemClock
from quorate.errors import HostError, Refused
from quorate.foreign.text import to_paste
from quorate.foreign.writing import write_all


def copy(manifest: Manifest, source: Store, target: Store, clock: SystemClock) -> bool:
    """Copies the files as they are packed, and then the manifest; returns False where the target has it already, whole. What a
    run that was cut off has copied counts, where it is that. Raises `Refused` for a file that is not what its manifest says,
    here or there: a copy of damage would look like a second backup."""
    stored = {one.name for one in target.stored()}
    if manifest.id + SUFFIX in stored:
        _refuse_not_whole(manifest, target)
        return False
    # Small ones, which come after the first.
    for blob in manifest.files[1:]:
        if why_changed(source, manifest, blob, clock.cancel):
            raise _damaged(manifest, source)
    for blob in manifest.files:
        if file_of(manifest, blob) not in stored:
            _copy(manifest, blob, source, target, clock)
        elif why := why_changed(target, manifest, blob, clock.cancel):
            raise Refused(
                f"{target.place} has another file of that name: {why}",
                state="it was left as it is, and has no manifest",
                advice=f"look at {target.place}/{file_of(manifest, blob)}, and move it away; then run the same command again",
            )
    if not target.create(manifest.id + SUFFIX, manifest.as_bytes()):
        raise HostError(f"another run has written {target.place}/{manifest.id}{SUFFIX} meanwhile", advice="verify it there")
    return True


def _refuse_not_whole(manifest: Manifest, target: Store) -> None:
    there = next((one for one in catalog(target).backups if one.id == manifest.id), None)
    if there is None or there.damaged is not None or there.files != manifest.files:
        raise Refused(
            f"{manifest.id} is in {target.place}, and is not whole there, or is another one",
            state="nothing was copied",
            advice=f"'quorate etcd backup list' shows what is wrong with it; to copy it anew, delete its manifest there: "
            f"{target.place}/{manifest.id}{SUFFIX}, and its files",
        )


def _damaged(manifest: Manifest, source: Store) -> Refused:
    verify = to_paste("quorate", "etcd", "backup", "verify", source.place)
    return Refused(
        f"{manifest.id} is not what its manifest says: it was damaged since it was saved",
        state="nothing was copied",
        advice=f"see which other backup is whole: {verify} WHICH",
    )


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
            raise _damaged(manifest, source)
        arriving.keep(blob.name)
