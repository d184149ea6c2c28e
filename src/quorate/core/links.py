"""What is known of the links between members: raft counts on links, not on answers to us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

LinkState: TypeAlias = Literal["up", "down", "assumed"]


def pair(one: int, other: int) -> frozenset[int]:
    """Returns the link between two members by their ids; it has no direction."""
    return frozenset((one, other))


@dataclass(frozen=True, slots=True)
class Links:
    """Links that were seen to work both ways (`up`), and links that were looked for and not found (`down`).

    What is in neither is not known. It is assumed to work between two members that answer, and shown as assumed: between two
    followers of an idle cluster nothing flows that names its sender, so without metrics nobody outside can know.
    """

    up: frozenset[frozenset[int]] = frozenset()
    down: frozenset[frozenset[int]] = frozenset()

    def state(self, one: int, other: int) -> LinkState:
        """Returns what is known; a link that was seen both up and down counts as down."""
        link = pair(one, other)
        if link in self.down:
            return "down"
        return "up" if link in self.up else "assumed"

    def with_member(self, member_id: int, seen: Mapping[int, bool]) -> Links:
        """Returns these links with those of one member to others, True for up and False for down; newer than what was known."""
        touched = {pair(member_id, other) for other in seen}
        up = {pair(member_id, other) for other, works in seen.items() if works}
        return Links((self.up - touched) | up, (self.down - touched) | (touched - up))

    def merged(self, other: Links) -> Links:
        """Returns both; what one of them saw down is down."""
        return Links(self.up | other.up, self.down | other.down)

    def missing(self, member_id: int, among: Iterable[int]) -> list[int]:
        """Returns the members of `among` whose link to `member_id` is known to be down."""
        return [other for other in among if other != member_id and self.state(member_id, other) == "down"]


NO_LINKS = Links()
