"""What a join must remember of its member beyond what the cluster shows, and how each journaled step changes that memory.

The running join, its journal, the record in etcd and a local cluster's state file all keep the same value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

Vote: TypeAlias = Literal["none", "asked", "given"]
"""Whether the member may have a vote. "asked": a promotion was sent and not definitely refused; "given": etcd confirmed it.

A sent promotion never expires: one was seen applied 17 s after the request, by another leader, with the client gone. So
neither waiting nor the refusal of a *later* request turns "asked" back into "none".
"""

Window: TypeAlias = tuple[int, int]
"""The first and the last unix second in which a voter can have created a member for one call of ours."""

_MOST_SECONDS = 300
"""Longest window. One that is longer than any call may take was written by a clock that jumped: ids made anywhere in it would
count as ours."""
_MOST_WINDOWS = 16
"""Limit for adds without an answer. Each takes seconds, so a run has no more before its own limit; the oldest are dropped
first."""

CLOCK_SECONDS = 1
"""How many seconds a voter's clock may differ from ours for an add without an answer to be recognised as ours. Where clocks
differ more, our learner counts as foreign: it is used, and never removed."""


@dataclass(frozen=True, slots=True)
class JoinMemory:
    """The memory of one join. `member_id`: the id that MemberAdd returned, or that of the learner that was found and used; 0
    while none is known. It is the identity of the join: URLs are edited, ids never return.

    `ours`: this join registered `member_id`, so the undo may remove it. `adding`: adds that were sent and whose outcome is
    unknown, each with its seconds; any of them may still arrive or have arrived. `listed`: the id was seen in a list that was
    read through the quorum. `restarted`: the one restart for a lost publish was made. `vote_before` and `adding_before`: the
    values before the call under way; they are restored when that call is refused.
    """

    member_id: int = 0
    ours: bool = False
    adding: tuple[Window, ...] = ()
    listed: bool = False
    restarted: bool = False
    vote: Vote = "none"
    vote_before: Vote = "none"
    adding_before: tuple[Window, ...] = ()

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
    """Returns the memory after a record of an add. The legacy add gives the vote with the same call, so a vote may exist from
    its intent on."""
    voter = fields.get("do") == "add-voter"
    if result is None:
        # One window per call: in the seconds between two calls (minutes when a run was killed and repeated) another tool may
        # have added the same URL.
        window = _window(fields.get("within")) or (0, 0)
        adding = tuple(dict.fromkeys((*memory.adding, window)))[-_MOST_WINDOWS:]
        asked = replace(memory, adding=adding, adding_before=memory.adding)
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


def taken_up(memory: JoinMemory, member_id: int, peer_urls: Sequence[str]) -> JoinMemory:
    """Returns the memory of a join that found `member_id` listed at its peer URL. The add that made this member has arrived;
    other adds without an answer are still on their way."""
    arrived = {window for window in memory.adding if is_our_add(member_id, peer_urls, [window])}
    waiting = tuple(window for window in memory.adding if window not in arrived)
    return replace(memory, member_id=member_id, ours=bool(arrived), adding=waiting, listed=True)


def is_our_add(member_id: int, peer_urls: Sequence[str], adding: Sequence[Window]) -> bool:
    """Returns whether `member_id` was made by an add of ours that got no answer. etcd makes the id of a member that is added
    at run time from its sorted peer URLs and the unix second in which the call arrived (`membership.computeMemberID`, 3.4 to
    3.7).

    Another tool's add of the same URL in another second has another id. A leader that hung serves our call when it resumes, in
    an unknown second: then the learner counts as foreign, is used, and never removed.
    """
    text = "".join(sorted(peer_urls)).encode()
    # A window of hours would match every member.
    short = [(first, last) for first, last in adding if 0 <= last - first <= _MOST_SECONDS]
    return any(
        _id(text, second) == member_id
        for first, last in short
        for second in range(first - CLOCK_SECONDS, last + CLOCK_SECONDS + 1)
    )


def _id(text: bytes, second: int) -> int:
    digest = hashlib.sha1(text + str(second).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big")


def as_fields(memory: JoinMemory) -> dict[str, object]:
    """Returns the memory as JSON fields, for the record in etcd and for a state file."""
    return {
        "memberId": f"{memory.member_id:x}" if memory.member_id else "",
        "ours": memory.ours,
        "adding": [list(window) for window in memory.adding] or None,
        "listed": memory.listed,
        "restarted": memory.restarted,
        "vote": memory.vote,
    }


def from_fields(fields: Mapping[str, object]) -> JoinMemory:
    """Reads what `as_fields` wrote, or what version 0.1 wrote (`promoting` or `promotion_unknown`, no member id).

    An owner that is missing or damaged counts as "not ours to remove", a damaged vote as "may have a vote".
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
        adding=_windows(fields.get("adding")),
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


def _windows(value: object) -> tuple[Window, ...]:
    """Reads a list of windows, or the single one that version 0.1 wrote."""
    rows = value if isinstance(value, list | tuple) else ()
    found = [_window(value)] if len(rows) == 2 and all(isinstance(one, int) for one in rows) else list(map(_window, rows))
    return tuple(window for window in found if window is not None)[-_MOST_WINDOWS:]


def _window(value: object) -> tuple[int, int] | None:
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(one, int) and abs(one) < 2**63 for one in value):
        first, last = int(value[0]), int(value[1])
        return first, last
    return None


def merged(own: JoinMemory, recorded: JoinMemory) -> JoinMemory:
    """Returns what this host knows of the join, merged with the cluster's record; never less careful than either."""
    base = own if own.member_id and own.member_id == recorded.member_id and own.ours else recorded
    if not recorded.member_id and not recorded.adding:
        base = own
    vote = max(own.vote, recorded.vote, key=("none", "asked", "given").index)
    same = own.member_id in (0, base.member_id)
    restarted = recorded.restarted or (own.restarted and same)
    adding = tuple(sorted({*base.adding, *own.adding, *recorded.adding}))[-_MOST_WINDOWS:]
    return replace(
        base, adding=adding, restarted=restarted, vote=vote if same else base.vote, vote_before=vote if same else base.vote
    )
