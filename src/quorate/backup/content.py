"""What a backup holds, on this machine: fetched, compared with its manifest, and unpacked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.backup.catalog import file_of
from quorate.backup.manifest import PLAIN, Blob, Manifest
from quorate.backup.packing import CannotUnpack, Keys, Target, unpack
from quorate.backup.store import Store
from quorate.deadline import Cancel
from quorate.errors import HostError
from quorate.foreign.local_files import regular
from quorate.host.work_folder import new_file, sweep, work_in

_WORK = ".quorate-unpacked-"


@dataclass(frozen=True, slots=True)
class Opener:
    """`keys`: who opens what is encrypted, None where nobody is named; `work`: the folder for what is unpacked."""

    keys: Keys | None
    work: Path


def sweep_work(work: Path) -> None:
    """Deletes what killed runs have unpacked there: in clear."""
    if work.is_dir():
        sweep(work, _WORK)


def can_open(manifest: Manifest, opener: Opener) -> bool:
    """Returns whether the content can be read at all."""
    return not manifest.packing.encryption or opener.keys is not None


@contextmanager
def snapshot_of(store: Store, manifest: Manifest, opener: Opener, cancel: Cancel) -> Iterator[Path]:
    """Yields a file with the snapshot as etcd sent it, for the block. Raises `CannotUnpack` where that is not what the manifest
    names, and `HostError`."""
    name = file_of(manifest, manifest.blob)
    if manifest.packing == PLAIN:
        with store.local(name) as path:
            yield path
        return
    with work_in(opener.work, _WORK) as folder:
        with store.local(name) as packed:
            path = folder / "snapshot.db"
            _unpacked(packed, path, manifest, opener, cancel)
        yield path


def _unpacked(packed: Path, path: Path, manifest: Manifest, opener: Opener, cancel: Cancel) -> None:
    try:
        with regular(packed) as source, new_file(path) as fd:
            target = Target(fd, manifest.snapshot_size)
            unpack(source, target, manifest.packing, opener.keys, cancel)
    except OSError as error:
        raise HostError(
            f"cannot unpack {manifest.id} to {opener.work}: {error.strerror}",
            state="nothing was changed",
            advice="free some space there, or name another folder with --work",
        ) from error
    if (target.size, target.sha256) != (manifest.snapshot_size, manifest.snapshot_sha256):
        raise CannotUnpack(
            f"{manifest.id} does not unpack to what its manifest names",
            state="nothing was changed",
            advice="use another backup",
        )


def why_changed(store: Store, manifest: Manifest, blob: Blob, cancel: Cancel) -> str:
    """Returns how a stored file is another one than its manifest names; empty where it is that. Raises `HostError`."""
    digest, size = hashlib.sha256(), 0
    for piece in store.pieces(file_of(manifest, blob)):
        cancel.check()
        digest.update(piece)
        size += len(piece)
    if size != blob.size:
        return f"{blob.name} has {size} bytes instead of {blob.size}"
    return (
        "" if digest.hexdigest() == blob.sha256 else f"the SHA-256 of {blob.name} is not that of its manifest: it was changed"
    )
