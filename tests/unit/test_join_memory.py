"""What a join remembers of its member: after every outcome, and from records that are old or damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from quorate.core.join_memory import CLOCK_SECONDS, JoinMemory, as_fields, from_fields, is_our_add, merged, remember, taken_up

PROMOTE = {"do": "promote", "member": "9"}
URLS = ("https://b:2380", "https://a:2380")


def after(memory: JoinMemory, *steps: str, do: str = "promote", within: tuple[int, int] = (10, 21)) -> JoinMemory:
    """`steps`: "intent", or the result of an outcome."""
    for step in steps:
        fields: dict[str, object] = {"do": do, "member": "9", "within": list(within)}
        kind = "intent" if step == "intent" else "outcome"
        memory = remember(memory, kind, fields if step == "intent" else {**fields, "result": step})
    return memory


def made(urls: Sequence[str], second: int) -> int:
    """As `membership.computeMemberID` of etcd does it."""
    text = "".join(sorted(urls)) + str(second)
    return int.from_bytes(hashlib.sha1(text.encode(), usedforsecurity=False).digest()[:8], "big")


def test_a_vote_that_was_asked_for_stays_asked_when_a_later_request_is_refused() -> None:
    assert after(JoinMemory(), "intent", "indeterminate", "intent", "rejected").vote == "asked"


def test_a_vote_is_not_asked_for_any_more_when_the_only_request_was_refused() -> None:
    memory = after(JoinMemory(), "intent")
    assert memory.vote == "asked" and memory.may_vote
    assert after(memory, "rejected").vote == "none"
    assert after(memory, "indeterminate").vote == "asked"


def test_a_vote_that_was_given_stays_given() -> None:
    assert after(JoinMemory(), "intent", "applied", "intent", "rejected").vote == "given"


def test_each_add_without_an_answer_has_its_own_seconds() -> None:
    """Two runs that were killed six minutes apart had a window of six minutes, in which nothing was ours any more."""
    first = after(JoinMemory(), "intent", "indeterminate", do="add-learner", within=(10, 21))
    again = after(first, "intent", "indeterminate", do="add-learner", within=(30, 41))
    assert (first.adding, again.adding) == (((10, 21),), ((10, 21), (30, 41)))


def test_a_refused_add_leaves_the_seconds_of_an_earlier_one() -> None:
    first = after(JoinMemory(), "intent", "indeterminate", do="add-learner", within=(10, 21))
    assert after(first, "intent", "rejected", do="add-learner", within=(30, 41)).adding == ((10, 21),)
    assert after(JoinMemory(), "intent", "rejected", do="add-learner").adding == ()


def test_an_answered_add_is_ours_by_its_id() -> None:
    memory = after(JoinMemory(), "intent", "applied", do="add-learner")
    assert (memory.member_id, memory.ours, memory.adding, memory.vote) == (9, True, (), "none")


def test_an_added_voter_may_vote_from_the_intent_on() -> None:
    assert after(JoinMemory(), "intent", do="add-voter").vote == "asked"
    assert after(JoinMemory(), "intent", "rejected", do="add-voter").vote == "none"
    assert after(JoinMemory(), "intent", "applied", do="add-voter").vote == "given"


def test_an_add_is_ours_by_the_seconds_of_the_call_and_its_sorted_urls() -> None:
    for second in (10 - CLOCK_SECONDS, 15, 21 + CLOCK_SECONDS):
        assert is_our_add(made(URLS, second), URLS, [(0, 1), (10, 21)])
    for second in (10 - CLOCK_SECONDS - 1, 21 + CLOCK_SECONDS + 1, 21 + 60):
        assert not is_our_add(made(URLS, second), URLS, [(10, 21)])
    assert not is_our_add(made(("https://c:2380",), 15), URLS, [(10, 21)])


def test_an_add_in_another_minute_is_somebody_elses() -> None:
    assert CLOCK_SECONDS <= 2, "each second more lets a stranger's add of the same URL pass for ours"


def test_the_add_that_made_the_member_is_not_awaited_any_more() -> None:
    memory = JoinMemory(adding=((10, 11), (30, 31), (50, 51)))
    found = taken_up(memory, made(URLS, 30), URLS)
    assert (found.ours, found.listed, found.adding) == (True, True, ((10, 11), (50, 51)))
    stranger = taken_up(memory, made(URLS, 40), URLS)
    assert (stranger.ours, stranger.adding) == (False, memory.adding), "which it was can still not be told"


@pytest.mark.parametrize("fields", [{}, {"promoting": True}, {"promotion_unknown": True}, {"ours": True}])
def test_a_record_of_the_first_version_never_says_that_a_learner_is_ours(fields: dict[str, object]) -> None:
    memory = from_fields(fields)
    assert not memory.ours and memory.member_id == 0
    assert memory.vote == ("asked" if {"promoting", "promotion_unknown"} & fields.keys() else "none")


@pytest.mark.parametrize("vote", ["", "maybe", None, 7, ["none"], {}])
def test_a_vote_that_cannot_be_read_may_have_been_asked_for(vote: object) -> None:
    assert from_fields({"memberId": "9", "ours": True, "vote": vote}).vote == "asked"


@pytest.mark.parametrize("window", [["10", "21"], [10], "10", None, {}])
def test_seconds_that_make_no_sense_are_none(window: object) -> None:
    assert from_fields({"adding": window}).adding == ()


@pytest.mark.parametrize("window", [(0, 400), (0, 10**9), (21, 10)])
def test_a_wide_window_is_kept_and_matches_nobody(window: tuple[int, int]) -> None:
    """That an add got no answer is known still; which member it made is not."""
    assert from_fields({"adding": list(window)}).adding == (window,), "as version 0.1 wrote it"
    assert from_fields({"adding": [list(window)]}).adding == (window,)
    assert not is_our_add(made(URLS, 15), URLS, [window])


def test_an_add_that_was_answered_leaves_an_earlier_one_without_an_answer() -> None:
    lost = after(JoinMemory(), "intent", "indeterminate", do="add-learner", within=(10, 21))
    added = after(lost, "intent", "applied", do="add-learner", within=(30, 41))
    assert (added.member_id, added.adding) == (9, ((10, 21),))


@pytest.mark.parametrize("member_id", ["", "x", "-9", "0", "1" * 17, None, []])
def test_an_id_that_makes_no_sense_is_none_and_nothing_is_ours(member_id: object) -> None:
    memory = from_fields({"memberId": member_id, "ours": True})
    assert memory.member_id == 0 and not memory.ours


def test_a_memory_survives_its_record() -> None:
    for memory in (
        JoinMemory(9, ours=True, listed=True, restarted=True, vote="asked", vote_before="asked"),
        JoinMemory(adding=((10, 21),)),
        JoinMemory(adding=((10, 21), (400, 401))),
    ):
        assert from_fields(as_fields(memory)) == memory


def test_two_memories_of_one_member_are_merged_to_the_more_careful_one() -> None:
    own = JoinMemory(9, ours=True, vote="asked")
    recorded = JoinMemory(9, ours=True, restarted=True)
    for one, other in ((own, recorded), (recorded, own)):
        both = merged(one, other)
        assert both.vote == "asked" and both.restarted and both.member_id == 9


def test_what_is_known_of_another_member_says_nothing_of_this_one() -> None:
    both = merged(JoinMemory(8, ours=True, vote="given", restarted=True), JoinMemory(9, ours=True))
    assert (both.member_id, both.vote, both.restarted) == (9, "none", False)


def test_what_this_host_knows_counts_where_the_record_says_nothing() -> None:
    own = JoinMemory(9, ours=True, vote="asked")
    assert merged(own, JoinMemory()).member_id == 9
