"""Which links may be cut, by counts without names; and what may be done while it is not known."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core import invariants
from quorate.core.absence import Absence
from quorate.core.actions import Promote, Remove
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.invariants import Limits, Step
from quorate.core.link_worlds import Hearing, known_links, worlds
from quorate.core.links import Links, pair
from quorate.core.membership import ClusterView, removal_margins
from unit.views import CLUSTER, answer, member, view

FOLLOWERS = (2, 3, 4, 5)
EDGES = tuple(permutations(FOLLOWERS, 2))


def counted(cut: set[tuple[int, int]], voters: tuple[int, ...] = FOLLOWERS) -> dict[int, Hearing]:
    """What the counters show where what the first of each pair sends does not reach the second."""
    members = frozenset((1, *voters))
    lacks = {one: sum(receiver == one for _, receiver in cut) for one in voters}
    return {one: Hearing(lacks[one], members - {one, 1}) for one in voters}


def links_of(cut: set[tuple[int, int]]) -> frozenset[frozenset[int]]:
    return frozenset(pair(*one) for one in cut)


@given(st.sets(st.sampled_from(EDGES), max_size=5))
def test_what_is_true_is_one_of_the_worlds(cut: set[tuple[int, int]]) -> None:
    heard = counted(cut)
    up, down = known_links(heard)
    found = worlds(heard)
    assert not up & links_of(cut) and down <= links_of(cut)
    assert not found or links_of(cut) in found


def test_too_many_worlds_are_none() -> None:
    many = {one: Hearing(3, frozenset(range(1, 9)) - {one}) for one in range(2, 9)}
    assert worlds(many) == ()


def judged(seen: ClusterView, action: Promote | Remove, *, consent: bool = False) -> str:
    step = Step(seen, action, Limits(CLUSTER, accept_reduced_tolerance=consent), 0.0)
    return dict(invariants.violations(step)).get("margin_not_lowered", "")


def known(seen: ClusterView, heard: dict[int, Hearing]) -> ClusterView:
    up, down = known_links(heard)
    found = worlds(heard)
    return replace(seen, links=Links(up, down, worlds=found, doubtful=not found))


@given(st.sets(st.sampled_from(tuple(permutations((2, 3, 4), 2))), max_size=4), st.sampled_from((2, 3, 4)))
def test_no_removal_without_consent_lowers_what_may_fail_in_truth(cut: set[tuple[int, int]], leaves: int) -> None:
    """Whatever is cut in whichever direction: four voters, m1 leads."""
    seen = known(view(4), counted(cut, (2, 3, 4)))
    if judged(seen, Remove(leaves, named=True)):
        return
    before, after = removal_margins(replace(view(4), links=Links(down=links_of(cut))), leaves, dead=False)
    assert after >= before


def test_what_cannot_be_told_needs_consent() -> None:
    seen = replace(view(4), links=Links(doubtful=True))
    assert "too many links" in judged(seen, Remove(4, named=True))
    assert not judged(seen, Remove(4, named=True), consent=True)


def test_a_silent_voter_may_stand_in_for_a_link_that_is_cut() -> None:
    """m4 is heard by m2 and m3, which do not hear each other: by the counts it is dead, and these are linked. It was removed
    without consent, and with the leader the quorum went."""
    quiet = {number: answer(number) for number in (1, 2, 3)}
    seen = replace(view(4, answers=quiet), links=Links(if_alive=(frozenset({pair(2, 3)}),)))
    dead = Absence(4, "silent", 60.0, 100, 0.0)
    assert "if it lives" in judged(seen, Remove(4, named=True, absence=dead))
    gone = replace(seen, links=Links(if_alive=(frozenset({pair(2, 4), pair(3, 4)}),)))
    assert not judged(gone, Remove(4, named=True, absence=dead))


def promote(heard: bool | None) -> Promote:
    return Promote(9, "m9", Proof(9, CLUSTER, 3, 100, 100, 0.0, ROUNDS, heard=heard))


@pytest.mark.parametrize("voters", [1, 2, 3])
def test_a_vote_of_which_the_way_back_is_not_known_does_not_carry_a_quorum(voters: int) -> None:
    """From one to two voters it is the quorum; there it needs consent."""
    seen = view(voters, member(9, learner=True))
    others = [*combinations(range(1, voters + 1), 2), *((9, one) for one in range(2, voters + 1))]
    linked = replace(seen, links=Links(frozenset(pair(*one) for one in others)))
    assert not judged(linked, promote(True))
    assert ("are known to work" in judged(linked, promote(None))) == (voters == 1)
    assert not judged(linked, promote(None), consent=True)
