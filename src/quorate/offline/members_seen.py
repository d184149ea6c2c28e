"""Every configuration that the log of a member shows: who had a vote at which index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quorate.foreign.protobuf import NoMessage, numbers_and_bytes
from quorate.offline.bolt import Damaged
from quorate.offline.wal import Entry

_ADD, _REMOVE, _ADD_LEARNER = 0, 1, 3
_PLAIN = 1
_MOST_MEMBERS = 1000


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who was a member from the entry `index` on."""

    index: int
    voters: frozenset[int]
    learners: frozenset[int] = frozenset()


def configurations(base: Configuration, changes: Iterable[Entry]) -> list[Configuration]:
    """Returns `base`, and the configurations that the changes behind it make, in their order. A change that was not committed
    may be one of the cluster all the same: a quorum of any of them may be somewhere. Raises `Damaged` for a change that cannot
    be read: one that is not known may have given somebody a vote."""
    found = [base]
    for entry in changes:
        if entry.index > base.index:
            found.append(_after(found[-1], entry))
    return found


def _after(now: Configuration, entry: Entry) -> Configuration:
    try:
        numbers, _ = numbers_and_bytes(entry.data)
    except NoMessage:
        numbers = {}
    kind, member = numbers.get(2, _ADD), numbers.get(3, 0)
    if entry.kind != _PLAIN or not member or kind not in (_ADD, _REMOVE, 2, _ADD_LEARNER):
        raise Damaged(f"the change of members in entry {entry.index} cannot be read")
    voters, learners = now.voters, now.learners
    if kind == _ADD:
        voters, learners = voters | {member}, learners - {member}
    elif kind == _ADD_LEARNER:
        learners = learners | {member}
    elif kind == _REMOVE:
        voters, learners = voters - {member}, learners - {member}
    if len(voters) + len(learners) > _MOST_MEMBERS:
        raise Damaged(f"there are more than {_MOST_MEMBERS} members")
    return Configuration(entry.index, voters, learners)


def voters_ever(found: Sequence[Configuration]) -> frozenset[int]:
    """Returns everybody who had a vote in one of them."""
    return frozenset(member for one in found for member in one.voters)


def in_force(found: Sequence[Configuration], committed: int) -> list[Configuration]:
    """Returns those that may be the one in force: the last one that is known to be committed, and each behind it, of which
    nobody knows that. `committed`: an index that is known to be."""
    last = max((at for at, one in enumerate(found) if one.index <= committed), default=0)
    return list(found[last:])
