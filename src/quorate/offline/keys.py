"""Walks the keys of etcd's database: revisions, keys that are there, and what their values need to be read."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.protobuf import NoMessage, numbers_and_bytes
from quorate.foreign.values import mapping_of, text_of
from quorate.offline.bolt import Bolt, Damaged

_KEYS = b"key"
_REVISION, _TOMBSTONE = 17, 18
_ENCRYPTED = b"k8s:enc:"
_PREFIX = re.compile(rb"k8s:enc:([a-z0-9-]{1,32}):(v[0-9]{1,3}):([^:]{1,253}):")
_LEASES = b"/registry/leases/"
_KUBERNETES = b"k8s\x00"
_MOST_PROVIDERS = 100


@dataclass(slots=True)
class Walk:
    """What the keys are. `keys`: how many there are now; `entries`: with all their revisions; `encryption_keys`: provider,
    version and name of each key that Kubernetes needs to read its values; `newest_lease`: the newest time that a node or a
    controller renewed its lease, which dates the content."""

    keys: int = 0
    entries: int = 0
    revision: int = 0
    encryption_keys: set[str] = field(default_factory=set[str])
    newest_lease: datetime | None = None


def last_revision(bolt: Bolt) -> int:
    """Returns the revision of the newest entry; 0 where there is none. Raises `Damaged`."""
    key = bolt.last_key(_KEYS)
    return _main(key) if key is not None else 0


def _main(key: bytes) -> int:
    if len(key) not in (_REVISION, _TOMBSTONE) or key[8:9] != b"_" or (len(key) == _TOMBSTONE and key[17:] != b"t"):
        raise Damaged(f"an entry has the key {key[:32]!r}, which is no revision")
    return int.from_bytes(key[:8], "big")


def walk(bolt: Bolt) -> Walk:
    """Reads every entry. Raises `Damaged` for the first that cannot be read."""
    found = Walk()
    alive: dict[bytes, str] = {}
    for key, name, value, is_deleted in _entries(bolt):
        found.entries += 1
        found.revision = _main(key)
        # Keys may be long, and there may be millions: sixteen bytes tell them apart.
        short = hashlib.blake2b(name, digest_size=16).digest() if len(name) > 16 else bytes(name)
        if is_deleted:
            alive.pop(short, None)
            continue
        # Only what a key holds now has to be read: older values were written before a rotation, or are gone.
        needs = _encrypted_by(bytes(value[:512])) if value[: len(_ENCRYPTED)] == _ENCRYPTED else ""
        # The empty key marks where a restore raised the revision: nobody can ask for it.
        if name:
            alive[short] = sys.intern(needs)
        if name[: len(_LEASES)] == _LEASES:
            _note_lease(value, found)
    found.keys = len(alive)
    found.encryption_keys = set(sorted(set(alive.values()) - {""})[:_MOST_PROVIDERS])
    return found


def _entries(bolt: Bolt) -> Iterator[tuple[bytes, memoryview, memoryview, bool]]:
    empty = memoryview(b"")
    for key, row in bolt.bucket(_KEYS):
        try:
            _, content = numbers_and_bytes(row)
        except NoMessage:
            raise Damaged(f"the entry of revision {_main(key)} cannot be read") from None
        yield key, content.get(1, empty), content.get(5, empty), len(key) == _TOMBSTONE


def _encrypted_by(start: bytes) -> str:
    match = _PREFIX.match(start)
    return ":".join(part.decode(errors="replace") for part in match.groups()) if match else ""


def _note_lease(value: memoryview, found: Walk) -> None:
    at = _renewed(value)
    if at is not None and (found.newest_lease is None or at > found.newest_lease):
        found.newest_lease = at


def _renewed(value: memoryview) -> datetime | None:
    """Returns when a Lease of Kubernetes was renewed; None for what is none."""
    try:
        if value[:4] == _KUBERNETES:
            _, unknown = numbers_and_bytes(value[4:])
            _, lease = numbers_and_bytes(unknown[2])
            _, stored = numbers_and_bytes(lease[2])
            seconds, _ = numbers_and_bytes(stored[4])
            return datetime.fromtimestamp(seconds[1], UTC)
        spec = mapping_of(read_object(bytes(value), "a lease", RECORD).get("spec"))
        return datetime.fromisoformat(text_of(spec.get("renewTime"))).astimezone(UTC)
    except (NoMessage, BadDocument, KeyError, ValueError, OverflowError, OSError):
        return None
