"""The margin is counted on links between voters, and a voter follows only where that is proved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quorate.core.links import NO_LINKS, Links, pair
from quorate.core.membership import (
    NO_LEADER,
    UP_TO_DATE_ENTRIES,
    ClusterView,
    NoResponse,
    StatusResult,
    lowest_margin_of,
    margin_of,
    removal_margins,
)
from quorate.core.quorum import margin_on_links
from unit.views import answer, member, view


def margin(voters: int, links: set[tuple[int, int]], lagging: frozenset[int] = frozenset()) -> int:
    pairs = {pair(one, other) for one, other in links}
    return margin_on_links(range(1, voters + 1), lambda one, other: pair(one, other) in pairs, lambda one: one not in lagging)


CLIQUE = {(1, 2), (1, 3), (2, 3)}
STAR = {(1, 2), (1, 3), (1, 4), (1, 5)}


@pytest.mark.parametrize(
    ("voters", "links", "left"),
    [
        (0, set(), -1),
        (1, set(), 0),
        (2, {(1, 2)}, 0),
        (2, set(), -1),
        (3, CLIQUE, 1),
        (3, {(1, 2), (1, 3)}, 0),
        (3, {(1, 2)}, 0),
        (3, set(), -1),
        (4, {*CLIQUE, (1, 4)}, 0),
        (4, {*CLIQUE, (1, 4), (2, 4), (3, 4)}, 1),
        (5, STAR, 0),
    ],
)
def test_margin_on_links_counts_whichever_voters_fail(voters: int, links: set[tuple[int, int]], left: int) -> None:
    assert margin(voters, links) == left


def test_margin_on_links_needs_a_leader_that_is_up_to_date() -> None:
    """A star of five with a lagging hub: the leaves hold the newest entry and refuse the hub their votes for ever."""
    assert margin(5, STAR, frozenset({1})) == -1
    assert margin(3, CLIQUE, frozenset({2, 3})) == 0


def test_margin_on_links_a_voter_that_failed_leads_nobody() -> None:
    assert margin(3, {(1, 2), (1, 3)}) == 0, "without the middle of a chain the two ends are alone"


def test_links_down_beats_up() -> None:
    assert Links(frozenset({pair(1, 2)}), frozenset({pair(1, 2)})).state(2, 1) == "down"
    assert NO_LINKS.state(1, 2) == "assumed"
    both = Links(up=frozenset({pair(1, 2)})).merged(Links(down=frozenset({pair(1, 2)})))
    assert both.state(1, 2) == "down"


def test_links_of_a_member_seen_anew_replace_what_was_known_of_them() -> None:
    old = Links(up=frozenset({pair(1, 9), pair(1, 2)}), down=frozenset({pair(2, 9)}))
    new = old.with_member(9, {1: False, 2: True})
    assert (new.state(1, 9), new.state(2, 9), new.state(1, 2)) == ("down", "up", "up")
    assert new.missing(9, [1, 2, 9]) == [1]


# -- who follows -------------------------------------------------------------------------------------------------------


def with_reply(seen: ClusterView, number: int, reply: StatusResult) -> ClusterView:
    return replace(seen, replies={**seen.replies, number: reply})


def test_a_voter_that_says_no_leader_does_not_follow() -> None:
    seen = with_reply(view(3), 3, replace(answer(3), errors=(NO_LEADER,)))
    assert not seen.follows(3) and seen.reachable_voters == 2


def test_a_voter_that_names_another_leader_does_not_follow() -> None:
    seen = with_reply(view(3), 3, answer(3, leader=2))
    assert not seen.follows(3) and seen.follows(2)


def test_a_voter_that_answered_no_linearizable_read_does_not_follow() -> None:
    """A Status alone says "leader n1" for up to two election timeouts after a cut."""
    seen = replace(view(3), read_by=frozenset({1, 2}))
    assert not seen.follows(3) and seen.follows(2)
    assert margin_of(seen) == 0


def test_the_leader_is_the_one_that_answered_a_read_whatever_its_term() -> None:
    seen = view(3, answers={1: answer(1, leader=1, term=4), 2: answer(2, leader=2, term=9)})
    leader = replace(seen, read_by=frozenset({1})).leader
    assert leader is not None and leader.id == 1


def test_the_leader_may_be_out_of_our_reach_when_all_who_answered_a_read_follow_it() -> None:
    leader = view(3, answers={2: answer(2), 3: answer(3)}).leader
    assert leader is not None and leader.id == 1
    assert view(3, answers={2: answer(2, leader=1), 3: answer(3, leader=7)}).leader is None
    assert view(3, answers={2: answer(2, leader=9), 3: answer(3, leader=9)}).leader is None, "it is no voter"


def test_a_learner_that_claims_to_lead_is_not_the_leader() -> None:
    claims: dict[int, StatusResult] = {1: answer(1, leader=1, term=3), 9: answer(9, leader=9, term=9, learner=True)}
    leader = replace(view(1, member(9, learner=True), answers=claims), read_by=None).leader
    assert leader is not None and leader.id == 1


def test_a_voter_far_behind_may_not_lead() -> None:
    behind = answer(3, commit=100)
    seen = view(3, answers={1: answer(1, commit=100 + UP_TO_DATE_ENTRIES), 2: answer(2, commit=99), 3: behind})
    assert seen.may_lead(3) and not seen.may_lead(2)


def test_a_link_that_was_seen_down_is_not_assumed() -> None:
    seen = replace(view(3), links=Links(down=frozenset({pair(2, 3)})))
    assert not seen.linked(2, 3) and seen.linked(1, 2)
    assert margin_of(seen) == 0 and margin_of(view(3)) == 1


def test_the_lowest_margin_counts_only_links_that_were_seen() -> None:
    assert (margin_of(view(3)), lowest_margin_of(view(3))) == (1, 0)
    assert lowest_margin_of(replace(view(3), links=Links(up=frozenset({pair(2, 3)})))) == 1
    assert lowest_margin_of(replace(view(3), read_by=None)) == -1


def test_a_link_is_assumed_only_between_voters_that_follow() -> None:
    assert not with_reply(view(3), 3, NoResponse("gone")).linked(2, 3)


def test_the_margin_before_a_removal_counts_a_silent_voter_as_alive() -> None:
    silent = with_reply(view(3), 3, NoResponse("gone"))
    assert removal_margins(silent, 3, dead=False) == (1, 0)
    assert removal_margins(silent, 3, dead=True) == (0, 0)
