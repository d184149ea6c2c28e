"""What a cluster has agreed on after each entry of its log: members, keys, leases. Values only; nothing here knows of time."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from quorate.core.quorum import quorum


class Row(NamedTuple):
    """One member as committed."""

    id: int
    peer_urls: tuple[str, ...]
    is_learner: bool
    name: str = ""
    client_urls: tuple[str, ...] = ()


class Value(NamedTuple):
    value: bytes
    create: int
    mod: int
    version: int
    lease: int


class State(NamedTuple):
    """After one entry. `removed`: ids that were members once; they never come back."""

    rows: dict[int, Row]
    kv: dict[bytes, Value]
    revision: int
    leases: dict[int, int]
    removed: frozenset[int] = frozenset()

    @property
    def voters(self) -> list[Row]:
        return [row for row in self.rows.values() if not row.is_learner]

    @property
    def learners(self) -> list[Row]:
        return [row for row in self.rows.values() if row.is_learner]

    @property
    def quorum(self) -> int:
        return quorum(len(self.voters))


class Entry(NamedTuple):
    """One committed entry: in which term, when, and what it did, in words for a trace."""

    term: int
    at: float
    what: str


def member_id(peer_urls: tuple[str, ...], second: int) -> int:
    """The id that etcd makes for a member added at run time: of its URLs and the unix second."""
    text = "".join(sorted(peer_urls)) + str(second)
    return int.from_bytes(hashlib.sha1(text.encode()).digest()[:8], "big")


def with_row(state: State, row: Row) -> State:
    return state._replace(rows={**state.rows, row.id: row})


def without_row(state: State, gone: int) -> State:
    rows = {key: row for key, row in state.rows.items() if key != gone}
    return state._replace(rows=rows, removed=state.removed | {gone})


def put(state: State, key: bytes, value: bytes, lease: int) -> State:
    revision, before = state.revision + 1, state.kv.get(key)
    row = Value(value, before.create if before else revision, revision, before.version + 1 if before else 1, lease)
    return state._replace(kv={**state.kv, key: row}, revision=revision)


def in_range(key: bytes, start: bytes, end: bytes) -> bool:
    """etcd's convention: no end means one key, a zero byte means everything from the start on."""
    if not end:
        return key == start
    return key >= start and (end == b"\0" or key < end)


def delete(state: State, start: bytes, end: bytes) -> tuple[State, int]:
    kept = {key: row for key, row in state.kv.items() if not in_range(key, start, end)}
    count = len(state.kv) - len(kept)
    return (state._replace(kv=kept, revision=state.revision + 1), count) if count else (state, 0)


def end_lease(state: State, lease: int) -> State:
    """Without the lease and the keys that hang on it."""
    leases = {key: ttl for key, ttl in state.leases.items() if key != lease}
    kept = {key: row for key, row in state.kv.items() if row.lease != lease}
    revision = state.revision + (len(kept) != len(state.kv))
    return state._replace(leases=leases, kv=kept, revision=revision)
