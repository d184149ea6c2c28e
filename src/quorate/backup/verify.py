"""Reads a backup again: its digest, etcd's digest in it, and every key. What was whole when it was saved may not be now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from quorate.backup.catalog import blob_of
from quorate.backup.folder import FolderStore
from quorate.backup.manifest import SUFFIX, WALKED, Failed, Manifest
from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.offline.look import look

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """`manifest`: with the outcome in it; `problems`: what is not whole."""

    manifest: Manifest
    problems: tuple[str, ...]


def verify(store: FolderStore, manifest: Manifest, clock: SystemClock) -> Checked:
    """Reads all of a backup, and notes in its manifest what was found: one that is not whole counts for nothing from then on.
    Raises `HostError` where it cannot be read, which says nothing about it, and where nothing can be noted."""
    checked = read_again(store, manifest, clock)
    try:
        store.replace(checked.manifest.id + SUFFIX, checked.manifest.as_bytes())
    except HostError as error:
        if not checked.problems:
            raise
        return Checked(checked.manifest, (*checked.problems, f"this could not be noted in its manifest: {error.what}"))
    return checked


def read_again(store: FolderStore, manifest: Manifest, clock: SystemClock) -> Checked:
    """Reads all of a backup. Raises `HostError` where it cannot be read, which says nothing about it."""
    problems = _digest_problems(store, manifest, clock)
    found = look(store.path(blob_of(manifest)), deep=True)
    problems += found.problems
    if found.walk is not None and (found.revision, found.walk.keys) != (manifest.revision, manifest.keys):
        problems.append(
            f"it holds {found.walk.keys} keys at revision {found.revision}; its manifest has {manifest.keys} at "
            f"{manifest.revision}"
        )
    now = datetime.fromtimestamp(clock.wall(), UTC)
    if problems:
        return Checked(replace(manifest, damaged=Failed(now, tuple(problems))), tuple(problems))
    return Checked(manifest.checked(now, WALKED), ())


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
