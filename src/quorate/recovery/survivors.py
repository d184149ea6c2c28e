"""The members of a lost cluster, as their data directories on this host and the files of fenced ones on others show them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.core.decide_recovery import Survivor
from quorate.core.ids import format_id, parse_id
from quorate.errors import ConfigError
from quorate.foreign.documents import BadDocument, Limits, read_object
from quorate.foreign.local_files import read_at_most
from quorate.foreign.text import visible
from quorate.foreign.values import integer_of, is_newer, mapping_of, text_of, texts_of
from quorate.offline.look import Look, look
from quorate.offline.members_seen import Configuration

FORMAT = 1
_LIMITS = Limits(size=1 << 20, depth=8, values=50_000, aliases=0)
_MOST_CONFIGURATIONS, _MOST_VOTERS = 200, 100


@dataclass(frozen=True, slots=True)
class Fenced:
    """What `quorate etcd fence` wrote on a host. `kept`: where the data is there."""

    survivor: Survivor
    host: str
    kept: str
    run: str

    def text(self) -> bytes:
        return json.dumps(self.as_dict(), indent=1).encode() + b"\n"

    def as_dict(self) -> dict[str, object]:
        one = self.survivor
        return {
            "format": FORMAT,
            "kind": "quorate-fenced",
            "host": self.host,
            "kept": self.kept,
            "run": self.run,
            "name": one.name,
            "clusterId": format_id(one.cluster_id),
            "memberId": format_id(one.member_id),
            "lastTerm": one.last[0],
            "lastIndex": one.last[1],
            "revision": one.revision,
            "isLearner": one.is_learner,
            "isCorrupt": one.is_corrupt,
            "isWhole": one.is_whole,
            "configurations": [sorted(map(format_id, voters)) for voters in one.configurations],
            "learners": sorted(map(format_id, one.learners)),
            "problems": list(one.problems),
        }


def read_fenced(path: Path) -> Fenced:
    """Reads what another host's `quorate etcd fence` wrote. Raises `ConfigError` for anything that is not whole."""
    try:
        found = mapping_of(read_object(read_at_most(path, _LIMITS.size), str(path), _LIMITS))
    except BadDocument as error:
        raise ConfigError(f"{path} is no file of 'quorate etcd fence': {error.what}") from None
    return fenced_of(found, str(path))


def fenced_of(found: Mapping[str, object], path: str) -> Fenced:
    """Returns what a fence wrote, of its fields. Raises `ConfigError`."""
    if text_of(found.get("kind")) != "quorate-fenced":
        raise ConfigError(f"{path} is no file of 'quorate etcd fence'")
    if is_newer(found, FORMAT):
        raise ConfigError(f"{path} was written by a newer quorate", advice="use that one here, too")
    try:
        survivor = _survivor_in(found)
    except ValueError as error:
        raise ConfigError(f"{path} is damaged: {error}", advice="copy it once more from the host that wrote it") from None
    return Fenced(survivor, *(visible(text_of(found.get(name))) for name in ("host", "kept", "run")))


def _survivor_in(found: Mapping[str, object]) -> Survivor:
    given = found.get("configurations")
    rows = [texts_of(one) for one in given] if isinstance(given, list) else []
    learners = found.get("learners")
    if not isinstance(learners, list) or len(texts_of(learners)) != len(learners) or len(learners) > _MOST_VOTERS:
        raise ValueError("it does not say who were learners")
    if not rows or not all(rows) or len(rows) > _MOST_CONFIGURATIONS or any(len(one) > _MOST_VOTERS for one in rows):
        # One that was left out might be the one whose quorum lives.
        raise ValueError("it does not say who were members")
    return Survivor(
        name=visible(text_of(found.get("name"))),
        cluster_id=parse_id(text_of(found.get("clusterId"))),
        member_id=parse_id(text_of(found.get("memberId"))),
        last=(integer_of(found.get("lastTerm")), integer_of(found.get("lastIndex"))),
        revision=integer_of(found.get("revision")),
        configurations=tuple(frozenset(map(parse_id, row)) for row in rows),
        is_learner=found.get("isLearner") is True,
        is_corrupt=found.get("isCorrupt") is True,
        is_whole=found.get("isWhole") is True,
        is_here=False,
        learners=frozenset(map(parse_id, texts_of(learners))),
        problems=tuple(map(visible, texts_of(found.get("problems")))),
    )


def survivor_in(data_dir: Path) -> tuple[Survivor, Look]:
    """Looks at a data directory of this host. Raises `ConfigError` where there is none."""
    found = look(data_dir)
    return survivor_of(found), found


def survivor_of(found: Look) -> Survivor:
    """Returns what a recovery has to know of a look."""
    name = next((one.name for one in found.backend.members if one.id == found.member_id), "") if found.backend else ""
    applied = found.backend.index if found.backend is not None else 0
    # Each entry behind what the database has may have raised the revision by one, and a client may have seen it.
    behind = max(found.log.last_index - applied, 0) if found.log is not None else 0
    possible = _possible(found, applied)
    return Survivor(
        name=visible(name) or str(found.path),
        cluster_id=found.cluster_id,
        member_id=found.member_id,
        last=found.last,
        revision=found.revision + behind,
        configurations=tuple(dict.fromkeys(one.voters for one in possible if one.voters)),
        is_learner=_is_learner(found.member_id, found.seen),
        is_corrupt=found.backend is not None and any(kind == "CORRUPT" for _, kind in found.backend.alarms),
        is_whole=found.log is not None and found.log.end is not None,
        learners=frozenset().union(*(one.learners for one in possible)),
        problems=found.problems,
    )


def _possible(found: Look, applied: int) -> Sequence[Configuration]:
    """Returns the configurations that the cluster may have: from the last one on that is known to be committed. One before that
    has no quorum any more: its first members made a young cluster alone."""
    committed = max(found.log.commit if found.log is not None else 0, applied)
    known = [number for number, one in enumerate(found.seen) if one.index <= committed]
    return found.seen[known[-1] :] if known else found.seen


def _is_learner(member: int, seen: Sequence[Configuration]) -> bool:
    return bool(seen) and member in seen[-1].learners


def names_in(looks: Sequence[Look], fenced: Sequence[Fenced]) -> dict[int, str]:
    """Returns the names of all members that survivors know, by id; what the newest one says counts."""
    known: dict[int, str] = {one.survivor.member_id: one.survivor.name for one in fenced}
    for one in sorted(looks, key=lambda one: one.last):
        if one.backend is not None:
            known |= {member.id: visible(member.name) for member in one.backend.members if member.name}
    return known
