"""Which links may be cut, by how many senders each voter does not hear.

The counters of heartbeats have no names: of a voter that hears one sender too few it is not known which one. And a link may be
cut in one direction only, so what one end hears says nothing about the other. "The one end hears everybody, so the link works"
once made a voter that nobody but the leader heard the best heir; and "its links are down" about a voter that was deaf to one
sender made a removal look harmless, because fewer were counted before it (decision 21). So each assignment of the missing
senders is a world of its own, and a comparison has to hold in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

from quorate.core.links import pair

Cut: TypeAlias = frozenset[frozenset[int]]
"""The links that are cut in one world."""

_MOST_WORLDS = 2000
"""Five voters of which each lacks one sender make 81. More is no cluster in which anything should be changed."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """One voter: of `lacks` of the `candidates` it does not hear. Who is proved to be heard, as the leader, is no candidate."""

    lacks: int
    candidates: frozenset[int]


def known_links(heard: Mapping[int, Hearing]) -> tuple[Cut, Cut]:
    """Returns the links between these voters that surely work, and those that surely do not."""
    up, down = set[frozenset[int]](), set[frozenset[int]]()
    for one, other in combinations(heard, 2):
        if not heard[one].lacks and not heard[other].lacks:
            up.add(pair(one, other))
    for voter, found in heard.items():
        if found.lacks >= len(found.candidates):
            down |= {pair(voter, other) for other in found.candidates}
    return frozenset(up), frozenset(down)


def worlds(heard: Mapping[int, Hearing]) -> tuple[Cut, ...]:
    """Returns every set of links that may be cut; none when there are too many to look at."""
    choices = [list(_choices(voter, found)) for voter, found in heard.items() if found.lacks]
    size = 1
    for one in choices:
        size *= len(one)
        if size > _MOST_WORLDS:
            return ()
    return tuple({frozenset().union(*chosen) for chosen in product(*choices)})


def _choices(voter: int, found: Hearing) -> Iterator[Cut]:
    for missing in combinations(sorted(found.candidates), min(found.lacks, len(found.candidates))):
        yield frozenset(pair(voter, other) for other in missing)
