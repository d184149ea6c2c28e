"""What is known of the links between members: raft counts on links, not on answers to us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

LinkState: TypeAlias = Literal["up", "down", "assumed"]


def pair(one: int, other: int) -> frozenset[int]:
    """Returns the link between two members by their ids; it has no direction."""
    return frozenset((one, other))


@dataclass(frozen=True, slots=True)
class Links:
    """Links that were seen to work both ways (`up`), and links that were looked for and not found (`down`).

    A link in neither is unknown. Between two members that answer it is assumed to work, and shown as assumed: between two
    followers of an idle cluster no traffic names its sender, so without metrics no outsider can know.

    `unproved`: links of the leader that no read proves. `worlds`: what else may be cut, each a set of links that may be cut
    together; `doubtful`: something is cut, and there are too many ways in which it may be; `if_alive`: the worlds in which
    members live that are silent to us and to the leader, with at most one link cut between those that answer.
    """

    up: frozenset[frozenset[int]] = frozenset()
    down: frozenset[frozenset[int]] = frozenset()
    unproved: frozenset[frozenset[int]] = frozenset()
    worlds: tuple[frozenset[frozenset[int]], ...] = ()
    doubtful: bool = False
    if_alive: tuple[frozenset[frozenset[int]], ...] = ()

    def state(self, one: int, other: int) -> LinkState:
        """Returns the known state; a link that was seen both up and down counts as down."""
        link = pair(one, other)
        if link in self.down:
            return "down"
        return "up" if link in self.up else "assumed"

    def with_member(self, member_id: int, seen: Mapping[int, bool]) -> Links:
        """Returns these links updated with newer ones of one member to others: True for up, False for down."""
        touched = {pair(member_id, other) for other in seen}
        up = {pair(member_id, other) for other, works in seen.items() if works}
        return replace(self, up=(self.up - touched) | up, down=(self.down - touched) | (touched - up))

    def merged(self, other: Links) -> Links:
        """Returns the union; a link that either saw down is down. The worlds are those of the one that has any."""
        return Links(
            self.up | other.up,
            self.down | other.down,
            self.unproved | other.unproved,
            self.worlds or other.worlds,
            self.doubtful or other.doubtful,
            self.if_alive or other.if_alive,
        )

    def missing(self, member_id: int, among: Iterable[int]) -> list[int]:
        """Returns the members of `among` whose link to `member_id` is known to be down."""
        return [other for other in among if other != member_id and self.state(member_id, other) == "down"]


NO_LINKS = Links()
