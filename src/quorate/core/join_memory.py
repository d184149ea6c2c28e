"""What a join must remember of its member beyond what the cluster shows, and how each journaled step changes it.

The same value is kept by the running join, by its journal, by the record in etcd and by a local cluster's state file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

Vote: TypeAlias = Literal["none", "asked", "given"]
"""Whether the member may have a vote. "asked": a promotion was sent and not definitely refused; "given": it was answered.

A promotion that was sent has no end by time: it was seen applied 17 s after the request, by another leader, with the client
gone. So "asked" never goes back to "none" by waiting, nor by the refusal of a *later* request.
"""

_MOST_SECONDS = 300

CLOCK_SECONDS = 1
"""By how many seconds a voter's clock may differ from ours for an add without an answer to be recognised as our own. Where
clocks differ more, our learner counts as somebody else's: it is used, and never removed."""


@dataclass(frozen=True, slots=True)
class JoinMemory:
    """`member_id`: the id that MemberAdd answered, or that of the learner that was found and taken up; 0 while none is known.
    It is the identity of the join: URLs are edited, ids never return.

    `ours`: this join registered `member_id`, so the undo may remove it. `adding`: an add was sent between these two unix
    seconds and its outcome is not known. `listed`: the id was seen in a list that was read through the quorum. `restarted`:
    the one restart for a lost publish was made. `vote_before` and `adding_before`: what held before the call that is under
    way, and holds again when that call is refused.
    """

    member_id: int = 0
    ours: bool = False
    adding: tuple[int, int] | None = None
    listed: bool = False
    restarted: bool = False
    vote: Vote = "none"
    vote_before: Vote = "none"
    adding_before: tuple[int, int] | None = None

    @property
    def may_vote(self) -> bool:
        return self.vote != "none"


def remember(memory: JoinMemory, kind: str, fields: Mapping[str, object]) -> JoinMemory:
    """Returns the memory after one journal record of this join's member; records of other kinds change nothing."""
    if kind == "restart":
        return replace(memory, restarted=True)
    if kind not in ("intent", "outcome"):
        return memory
    result = fields.get("result") if kind == "outcome" else None
    match fields.get("do"):
        case "add-learner" | "add-voter":
            return _after_add(memory, fields, result)
        case "promote":
            return _after_promote(memory, result)
        case _:
            return memory


def _after_add(memory: JoinMemory, fields: Mapping[str, object], result: object) -> JoinMemory:
    """The legacy add gives the vote with the same call, so its intent may already have given it."""
    voter = fields.get("do") == "add-voter"
    if result is None:
        window = cast("tuple[int, int]", tuple(cast("Sequence[int]", fields.get("within") or (0, 0))))
        first = memory.adding[0] if memory.adding else window[0]
        asked = replace(memory, adding=(first, window[1]), adding_before=memory.adding)
        return replace(asked, vote="asked", vote_before=memory.vote) if voter else asked
    if result == "applied":
        added = replace(memory, member_id=int(str(fields["member"]), 16), ours=True, adding=memory.adding_before)
        return replace(added, vote="given") if voter else added
    if result == "rejected":
        # Only this call changed nothing: an earlier add without an answer may still arrive.
        refused = replace(memory, adding=memory.adding_before)
        return replace(refused, vote=memory.vote_before) if voter else refused
    return memory


def _after_promote(memory: JoinMemory, result: object) -> JoinMemory:
    if result is None:
        return replace(memory, vote="asked" if memory.vote == "none" else memory.vote, vote_before=memory.vote)
    if result == "applied":
        return replace(memory, vote="given", vote_before="given")
    if result == "rejected":
        # This request changed nothing. An earlier one without an answer may still be on its way.
        return replace(memory, vote=memory.vote_before)
    return memory


def is_our_add(member_id: int, peer_urls: Sequence[str], adding: tuple[int, int]) -> bool:
    """Returns whether `member_id` was made by our add that got no answer: etcd makes the id of a member that is added at run
    time from its sorted peer URLs and the unix second in which the call arrived (`membership.computeMemberID`, 3.4 to 3.7).

    Somebody else's add of the same URL in another second has another id.
    """
    if not 0 <= adding[1] - adding[0] <= _MOST_SECONDS:
        # A window of hours would take every member for ours.
        return False
    first, last = adding[0] - CLOCK_SECONDS, adding[1] + CLOCK_SECONDS
    text = "".join(sorted(peer_urls)).encode()
    return any(_id(text, second) == member_id for second in range(first, last + 1))


def _id(text: bytes, second: int) -> int:
    digest = hashlib.sha1(text + str(second).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big")


def as_fields(memory: JoinMemory) -> dict[str, object]:
    """Returns the memory as JSON fields, for the record in etcd and for a state file."""
    return {
        "memberId": f"{memory.member_id:x}" if memory.member_id else "",
        "ours": memory.ours,
        "adding": list(memory.adding) if memory.adding else None,
        "listed": memory.listed,
        "restarted": memory.restarted,
        "vote": memory.vote,
    }


def from_fields(fields: Mapping[str, object]) -> JoinMemory:
    """Reads what `as_fields` wrote, or what version 0.1 wrote (`promoting` or `promotion_unknown`, no member id).

    What an old or damaged record cannot say counts as "not ours to remove", and as "may have a vote".
    """
    vote: Vote = "asked" if fields.get("promoting") or fields.get("promotion_unknown") else "none"
    if fields.get("vote") in ("none", "asked", "given"):
        vote = cast("Vote", fields["vote"])
    elif "vote" in fields:
        vote = "asked"
    member_id = _number(fields.get("memberId"))
    return JoinMemory(
        member_id=member_id,
        ours=fields.get("ours") is True and member_id != 0,
        adding=_window(fields.get("adding")),
        listed=fields.get("listed") is True,
        restarted=fields.get("restarted") is True,
        vote=vote,
        vote_before=vote,
    )


def _number(value: object) -> int:
    try:
        number = int(value, 16) if isinstance(value, str) and len(value) <= 16 else 0
    except ValueError:
        return 0
    return number if 0 < number < 2**64 else 0


def _window(value: object) -> tuple[int, int] | None:
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(one, int) and abs(one) < 2**63 for one in value):
        first, last = int(value[0]), int(value[1])
        return first, last
    return None


def merged(own: JoinMemory, recorded: JoinMemory) -> JoinMemory:
    """What this host knows of the join together with what the cluster's record says; never less careful than either."""
    base = own if own.member_id and own.member_id == recorded.member_id and own.ours else recorded
    if not recorded.member_id and not recorded.adding:
        base = own
    vote = max(own.vote, recorded.vote, key=("none", "asked", "given").index)
    same = own.member_id in (0, base.member_id)
    restarted = recorded.restarted or (own.restarted and same)
    adding = base.adding or own.adding or recorded.adding
    return replace(
        base, adding=adding, restarted=restarted, vote=vote if same else base.vote, vote_before=vote if same else base.vote
    )
