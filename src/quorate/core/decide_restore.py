"""Whether a snapshot may be restored, and by how much its revision must grow: pure, so that a dry run judges what the run does.

A restored cluster whose revision is lower than what a client has seen serves the old world for ever, without an error: watches
from the future are accepted and silent, and an API server's cache, newer than the store, is what every list returns. Marked as
compacted behind a jump, each watch ends, and each client lists anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from quorate.core.versions import Version

DEFAULT_QUOTA = 2 << 30
"""That of an etcd without --quota-backend-bytes."""

LEAST_BUMP = 1_000_000_000
_BEYOND_SEEN = 1_000_000
_QUOTA_SHARE = 0.9
_LOG_BYTES = 64 << 20
"""A new log sets so much aside."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is restored. `is_database`: it can be read as one of etcd; `digest`: as of the look at it; `written_by`: the newest
    version whose format it has, where it says so; `corrupt`: etcd had raised CORRUPT."""

    size: int
    digest: Literal["right", "wrong", "missing", "not checked"]
    revision: int
    keys: int
    written_by: Version | None
    corrupt: bool
    no_space: bool
    problems: tuple[str, ...] = ()
    is_database: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where it goes. `path`: for messages; `holds`: what is there already; `runs`: the process of an etcd that has it open, 0
    for none; `free`: bytes there."""

    path: str
    holds: Literal["nothing", "data", "something else"]
    runs: int
    free: int | None


@dataclass(frozen=True, slots=True)
class Wish:
    """`engine`: the etcd that will run on it; `quota`: its --quota-backend-bytes; `set_aside`: rename what is there."""

    engine: Version
    quota: int
    peer_url: str
    set_aside: bool


@dataclass(frozen=True, slots=True)
class Against:
    """Why it is refused: a rule, the reason, what to do."""

    rule: str
    why: str
    advice: str


def against(content: Content, place: Place, wish: Wish) -> list[Against]:
    """Returns all that forbids the restore."""
    return [*_of_content(content), *_of_engine(content, wish), *_of_place(content, place, wish)]


def _of_content(content: Content) -> Iterator[Against]:
    if not content.is_database:
        yield Against(
            "no-snapshot",
            f"it is no snapshot of etcd: {'; '.join(content.problems)}",
            "name a file of 'etcdctl snapshot save', or a directory of backups",
        )
    elif content.digest in ("wrong", "missing"):
        what = "its digest is wrong" if content.digest == "wrong" else "it has no digest, as a copied database has none"
        yield Against(
            "digest", f"{what}: nothing shows that it is whole", "use another backup; 'quorate etcd backup list DIR' shows them"
        )
    elif content.problems:
        yield Against("damaged", "; ".join(content.problems), "use another backup; 'quorate etcd backup list DIR' shows them")
    if content.corrupt:
        yield Against("corrupt", "etcd had raised CORRUPT when it was taken: its members differed", "use an older backup")


def _of_engine(content: Content, wish: Wish) -> Iterator[Against]:
    written = content.written_by
    if written is not None and wish.engine.series < written.series:
        yield Against(
            "older-engine",
            f"it was written by etcd {written.major}.{written.minor}, and etcd {wish.engine} would run on it",
            f"pass an etcd {written.major}.{written.minor} with --etcd",
        )
    elif written is not None and wish.engine.series > (written.major, written.minor + 1):
        yield Against(
            "newer-engine",
            f"it was written by etcd {written.major}.{written.minor}; etcd {wish.engine} skips a minor version",
            f"restore it with {written.major}.{written.minor} or {written.major}.{written.minor + 1}, and upgrade then",
        )
    if content.size > _QUOTA_SHARE * wish.quota:
        needed = int(content.size / _QUOTA_SHARE) + 1
        yield Against(
            "quota",
            f"its {_mb(content.size)} nearly fill the quota of {_mb(wish.quota)}: the first write would raise NOSPACE",
            f"give its etcd --quota-backend-bytes={needed} or more, and pass the same here with --quota",
        )


def _of_place(content: Content, place: Place, wish: Wish) -> Iterator[Against]:
    if place.runs:
        yield Against("in-use", f"an etcd runs on {place.path} (pid {place.runs})", "stop it, so that it cannot start again")
    if place.holds == "data" and not wish.set_aside:
        yield Against(
            "has-data",
            f"{place.path} holds the data of a member",
            "pass --set-aside to rename it, or name another directory; nothing is overwritten",
        )
    if place.holds == "something else":
        yield Against("not-empty", f"{place.path} holds something else than etcd's data", "name an empty directory")
    needed = 2 * content.size + _LOG_BYTES
    if place.free is not None and place.free < needed:
        yield Against(
            "no-room", f"{_mb(place.free)} are free at {place.path}, and {_mb(needed)} are needed", "free some space there"
        )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def bump(content: Content, seen: int) -> int:
    """Returns by how much the revision grows. `seen`: the highest revision that anybody may have seen, as far as is known; 0
    where nothing is. Above it by a margin: a dead leader may have shown later ones."""
    return max(LEAST_BUMP, seen - content.revision + _BEYOND_SEEN)
