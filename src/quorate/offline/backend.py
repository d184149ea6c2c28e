"""What etcd keeps beside the keys in its database: who the members are, versions, alarms, users, and how far it has applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quorate.core.ids import parse_id
from quorate.errors import ConfigError
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.protobuf import NoMessage, numbers_and_bytes
from quorate.foreign.values import integer_of, mapping_of, text_of, texts_of
from quorate.offline.bolt import Bolt

_MOST_MEMBERS, _MOST_ALARMS = 1000, 100
_NO_SPACE = 1
_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A member as the database lists it. `id` is that of its record, not of its key."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool


@dataclass(frozen=True, slots=True)
class Backend:
    """`index`, `term`: of the last entry that was applied (0 in a snapshot that was restored and never started);
    `scheduled_compact`, `finished_compact`: revisions; `storage_version`: since 3.6."""

    index: int
    term: int
    scheduled_compact: int
    finished_compact: int
    storage_version: str
    cluster_version: str
    voters: tuple[int, ...]
    learners: tuple[int, ...]
    members: tuple[StoredMember, ...]
    removed: tuple[int, ...]
    alarms: tuple[tuple[int, str], ...]
    auth: bool
    users: int
    roles: int
    leases: int
    is_of_etcd: bool = True
    """Whether it has the state that every etcd writes beside its keys."""


def read_backend(bolt: Bolt) -> Backend:
    """Reads everything but the keys. Raises `Damaged`."""
    meta = {key: bytes(value[: 1 << 20]) for key, value in bolt.bucket(b"meta")}
    cluster = {key: bytes(value[: 1 << 12]) for key, value in bolt.bucket(b"cluster")}
    auth = {key: bytes(value[:64]) for key, value in bolt.bucket(b"auth")}
    state = _object(meta.get(b"confState", b""))
    return Backend(
        index=_number(meta.get(b"consistent_index", b"")),
        term=_number(meta.get(b"term", b"")),
        scheduled_compact=_number(meta.get(b"scheduledCompactRev", b"")[:8]),
        finished_compact=_number(meta.get(b"finishedCompactRev", b"")[:8]),
        storage_version=_text(meta.get(b"storageVersion", b"")),
        cluster_version=_text(cluster.get(b"clusterVersion", b"")),
        voters=_ids(state.get("voters")),
        learners=_ids(state.get("learners")),
        members=tuple(_members(bolt)),
        removed=tuple(number for key, _ in _few(bolt, b"members_removed") if (number := _hex(key)) is not None),
        alarms=tuple(_alarms(bolt)),
        auth=auth.get(b"authEnabled", b"\0") == b"\1",
        users=sum(1 for _ in bolt.bucket(b"authUsers")),
        roles=sum(1 for _ in bolt.bucket(b"authRoles")),
        leases=sum(1 for _ in bolt.bucket(b"lease")),
        is_of_etcd=bool(meta) or bool(cluster),
    )


def _few(bolt: Bolt, name: bytes) -> list[tuple[bytes, memoryview]]:
    return [row for _, row in zip(range(_MOST_MEMBERS), bolt.bucket(name), strict=False)]


def _members(bolt: Bolt) -> list[StoredMember]:
    rows = ((key, _object(bytes(value))) for key, value in _few(bolt, b"members"))
    return [
        StoredMember(
            integer_of(row.get("id")) or _hex(key) or 0,
            text_of(row.get("name")),
            texts_of(row.get("peerURLs")),
            texts_of(row.get("clientURLs")),
            row.get("isLearner") is True,
        )
        for key, row in rows
    ]


def _alarms(bolt: Bolt) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for key, _ in _few(bolt, b"alarm")[:_MOST_ALARMS]:
        try:
            numbers, _ = numbers_and_bytes(key)
        except NoMessage:
            continue
        kind = numbers.get(2, 0)
        if kind:
            found.append((numbers.get(1, 0), "NOSPACE" if kind == _NO_SPACE else "CORRUPT"))
    return found


def _object(content: bytes) -> Mapping[str, object]:
    if not content:
        return {}
    try:
        return mapping_of(read_object(content, "a record", RECORD))
    except BadDocument:
        return {}


def _ids(value: object) -> tuple[int, ...]:
    return tuple(integer_of(one) for one in value if integer_of(one)) if isinstance(value, list) else ()


def _number(content: bytes) -> int:
    return int.from_bytes(content, "big") if len(content) == 8 else 0


def _hex(key: bytes) -> int | None:
    try:
        return parse_id(key.decode(errors="replace")) if len(key) <= _ID_DIGITS else None
    except ConfigError:
        return None


def _text(content: bytes) -> str:
    return content[:64].decode(errors="replace")
