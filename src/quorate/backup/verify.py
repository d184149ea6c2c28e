"""Reads a backup again: its digests, etcd's digest in it, and every key. What was whole when it was saved may not be now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from quorate.backup.content import Opener, can_open, snapshot_of, why_changed
from quorate.backup.manifest import COMPARED, SUFFIX, WALKED, Failed, Manifest
from quorate.backup.packing import CannotUnpack, NotForUs
from quorate.backup.store import Store
from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.offline.look import look


@dataclass(frozen=True, slots=True)
class Checked:
    """`manifest`: with the outcome in it; `problems`: what is not whole."""

    manifest: Manifest
    problems: tuple[str, ...]


def verify(store: Store, manifest: Manifest, opener: Opener, clock: SystemClock) -> Checked:
    """Reads all of a backup, and notes in its manifest what was found: one that is not whole counts for nothing from then on.
    Of one that is encrypted, without an identity, the digests alone are compared. Raises `HostError` where it cannot be read,
    which says nothing about it, and where nothing can be noted."""
    checked = read_again(store, manifest, opener, clock)
    if not any(one.name == manifest.id + SUFFIX for one in store.stored()):
        raise HostError(f"{manifest.id} was deleted while it was read, by a prune or by somebody", state="nothing was noted")
    try:
        store.replace(checked.manifest.id + SUFFIX, checked.manifest.as_bytes())
    except HostError as error:
        if not checked.problems:
            raise
        return Checked(checked.manifest, (*checked.problems, f"this could not be noted in its manifest: {error.what}"))
    return checked


def read_again(store: Store, manifest: Manifest, opener: Opener, clock: SystemClock) -> Checked:
    """Reads all of a backup. Raises `HostError` where it cannot be read, which says nothing about it, and `CannotUnpack`."""
    problems = [why for one in manifest.files if (why := why_changed(store, manifest, one, clock.cancel))]
    how = COMPARED
    if can_open(manifest, opener) and not problems:
        how, problems = WALKED, _content_problems(store, manifest, opener, clock)
    now = datetime.fromtimestamp(clock.wall(), UTC)
    if problems:
        return Checked(replace(manifest, damaged=Failed(now, tuple(problems), how)), tuple(problems))
    return Checked(manifest.checked(now, how), ())


def _content_problems(store: Store, manifest: Manifest, opener: Opener, clock: SystemClock) -> list[str]:
    try:
        with snapshot_of(store, manifest, opener, clock.cancel) as path:
            found = look(path, deep=True)
    except NotForUs:
        raise
    except CannotUnpack as error:
        return [error.what]
    problems = list(found.problems)
    if found.walk is not None and (found.revision, found.walk.keys) != (manifest.revision, manifest.keys):
        problems.append(
            f"it holds {found.walk.keys} keys at revision {found.revision}; its manifest has {manifest.keys} at "
            f"{manifest.revision}"
        )
    return problems
