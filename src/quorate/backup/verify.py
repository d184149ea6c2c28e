"""Reads a backup again: its digest, etcd's digest in it, and every key. What was whole when it was saved may not be now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from quorate.backup.catalog import blob_of
from quorate.backup.folder import FolderStore
from quorate.backup.manifest import SUFFIX, WALKED, Manifest
from quorate.deadline import SystemClock
from quorate.offline.look import look

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """`manifest`: with the check in it where the backup is whole; `problems`: what is not."""

    manifest: Manifest
    problems: tuple[str, ...]


def verify(store: FolderStore, manifest: Manifest, clock: SystemClock) -> Checked:
    """Reads all of a backup; where it is whole, its manifest says so from then on. Raises `HostError` where it cannot be read,
    which says nothing about it."""
    problems = _digest_problems(store, manifest, clock)
    found = look(store.path(blob_of(manifest)), deep=True)
    problems += found.problems
    if found.walk is not None and (found.revision, found.walk.keys) != (manifest.revision, manifest.keys):
        problems.append(
            f"it holds {found.walk.keys} keys at revision {found.revision}; its manifest has {manifest.keys} at "
            f"{manifest.revision}"
        )
    if problems:
        return Checked(manifest, tuple(problems))
    checked = manifest.checked(datetime.fromtimestamp(clock.wall(), UTC), WALKED)
    store.replace(manifest.id + SUFFIX, checked.as_bytes())
    return Checked(checked, ())


def _digest_problems(store: FolderStore, manifest: Manifest, clock: SystemClock) -> list[str]:
    digest, size = hashlib.sha256(), 0
    with store.open(blob_of(manifest)) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
            clock.cancel.check()
    if size != manifest.blob.size:
        return [f"it has {size} bytes instead of {manifest.blob.size}"]
    return [] if digest.hexdigest() == manifest.blob.sha256 else ["its SHA-256 is not that of its manifest: it was changed"]
