"""Quorum arithmetic: how many voters decide, and how many may still fail, counted on the links between them (decision 21)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

_MOST_EXACT = 15
"""Most voters for an exact answer: all subsets are tried, and each voter doubles their number. Beyond this the answer is a
lower bound."""


def quorum(voters: int) -> int:
    """Returns the smallest majority of `voters`; 0 voters have none."""
    return voters // 2 + 1 if voters > 0 else 0


def margin(voters: int, reachable: int) -> int:
    """Returns how many more of `voters` may fail when `reachable` of them are linked to each other. A negative number says how
    many more must come back before anything can be written."""
    return reachable - quorum(voters)


def fewer_may_fail(after: int, before: int) -> str:
    """Returns the reason against a step that lowers the margin from `before` to `after`, in words."""
    return f"{after} voter{'' if after == 1 else 's'} could fail then, instead of {before}"


def margin_on_links(voters: Sequence[int], linked: Callable[[int, int], bool], may_lead: Callable[[int], bool]) -> int:
    """Returns the largest f such that the cluster still decides whichever f voters fail; -1 when it does not decide now.

    A raft leader needs two-way links to quorum - 1 other voters, not a clique: of three voters in a chain the middle one
    leads. So for every set of f voters that fail, some remaining voter that is up to date (`may_lead`) must have links to
    quorum - 1 other remaining voters. Without "up to date" a star of five with a lagging hub would count as alive, although
    the leaves that hold the newest entry refuse the hub their votes for ever.

    Counting answers instead of links once promoted a voter that only the leader could reach: three voters in a clique have
    margin 1; with a fourth that is linked to the leader alone it is 0, and by answers still 1.

    Exact for up to fifteen voters (half a second; seven take milliseconds). Real clusters are not larger, but a forged list
    may be: then the result is the plain count if no link is missing, else 0 as long as some voter can lead.
    """
    needed = quorum(len(voters)) - 1
    if needed < 0:
        return -1
    bit = {voter: 1 << place for place, voter in enumerate(voters)}
    links = [
        sum(bit[other] for other in voters if other != voter and linked(voter, other)) if may_lead(voter) else -1
        for voter in voters
    ]
    if len(voters) > _MOST_EXACT:
        whole = sum(bit.values())
        if all(mask == whole & ~own for mask, own in zip(links, bit.values(), strict=True)):
            return margin(len(voters), len(voters))
        return 0 if _decides(links, 0, needed) else -1
    for failing in range(len(voters) + 1):
        for dead in combinations(bit.values(), failing):
            if not _decides(links, sum(dead), needed):
                return failing - 1
    return len(voters)


def _decides(links: Sequence[int], dead: int, needed: int) -> bool:
    """Returns whether some voter that is not in the bit set `dead` can lead; -1 in `links` marks one that may not."""
    return any(mask >= 0 and not dead >> place & 1 and (mask & ~dead).bit_count() >= needed for place, mask in enumerate(links))
