"""Who can take over leadership: a voter that follows, is up to date, and is linked to a majority of those that decide
(decision 21)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import combinations
from typing import TypeAlias

from quorate.core.ids import format_id
from quorate.core.links import pair
from quorate.core.membership import ClusterView
from quorate.core.quorum import margin_on_links, quorum

Linked: TypeAlias = Callable[[int, int], bool]
"""Whether two voters count as linked: `ClusterView.linked`, or `ClusterView.proven_link` where nothing is assumed."""

_MOST_NAMED = 6


def without(view: ClusterView, leaving: int) -> list[int]:
    """Returns the ids of the voters that decide once `leaving` is gone; 0 for all of them."""
    return [voter.id for voter in view.voters if voter.id != leaving]


def carries(heir: int, voters: Collection[int], linked: Linked) -> bool:
    """Returns whether `heir`, with those of `voters` that it is linked to, is a majority of them."""
    return 1 + sum(linked(heir, other) for other in voters if other != heir) >= quorum(len(voters))


def heirs(view: ClusterView, leaving: int, tried: Collection[int] = ()) -> list[int]:
    """Returns the voters that could lead without `leaving`, the best first: with most links that are known to work, then with
    most that work in the worlds that the counters allow, then with most applied. A link that is only assumed counts here; the
    invariant of the transfer judges whether it may.

    One that answers but does not follow may be cut off from the leader, and one with too few links gets no majority: a
    transfer to either stops writes until raft abandons it, an election timeout later.
    """
    stay = without(view, leaving)
    fit = [one for one in stay if one not in tried and view.may_lead(one) and carries(one, stay, view.linked)]

    def worth(voter: int) -> tuple[int, int, int]:
        answer, others = view.answer(voter), [other for other in stay if other != voter]
        likely = sum(pair(voter, other) not in world for world in view.links.worlds for other in others)
        return sum(view.proven_link(voter, other) for other in others), likely, answer.applied_index if answer else 0

    return sorted(fit, key=worth, reverse=True)


def sure_margin(view: ClusterView, leaving: int) -> int:
    """Returns how many voters may fail once `leaving` is gone, counted on links that are known to work."""
    return margin_on_links(without(view, leaving), view.proven_link, view.may_lead)


def named_links(view: ClusterView, voters: Sequence[int], linked: Linked) -> str:
    """Returns the links among `voters` that do not count, in words; empty when there is none."""
    ordered = sorted(voters, key=lambda voter: label(view, voter))
    lacking = [f"{label(view, one)}-{label(view, other)}" for one, other in combinations(ordered, 2) if not linked(one, other)]
    more = len(lacking) - _MOST_NAMED
    return ", ".join(lacking[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def label(view: ClusterView, member_id: int) -> str:
    """Returns what a member is called: its name, else its id."""
    member = view.by_id(member_id)
    return member.name if member and member.name else format_id(member_id)
