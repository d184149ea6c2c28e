"""What counts as known, as progress, and as the end of a join or a removal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from quorate.core.join_memory import JoinMemory
from quorate.core.membership import Member
from quorate.core.outcome import (
    Joined,
    Kept,
    NotUndone,
    Outcome,
    RemovalUnknown,
    Removed,
    Unchanged,
    Undone,
    VoteUnknown,
    is_unknown,
)
from quorate.etcd.client.routes import Routes
from quorate.etcd.membership.join_look import JoinLook
from quorate.etcd.membership.join_state import JoinPolicy, JoinState, Progress, state_of
from quorate.etcd.membership.runtime import JoinSpec, Runtime
from unit.fakes import FakeAccess, FakeClock, where
from unit.views import member, url, view

LEARNER = member(9, learner=True)


@pytest.mark.parametrize(
    ("outcome", "unknown"),
    [
        (Joined("m9", 9), False),
        (Undone("m9", 9), False),
        (Kept("m9", "a voter"), False),
        (NotUndone("m9", "no answer"), True),
        (NotUndone("m9", "no answer", 9), False),
        (VoteUnknown("m9", 9), True),
        (Removed("m9", 9), False),
        (Unchanged("m9", 9), False),
        (RemovalUnknown("m9", 9), True),
    ],
    ids=lambda one: one.kind if not isinstance(one, bool) else "",
)
def test_an_end_that_nobody_knows_is_told_as_one(outcome: Outcome, unknown: bool) -> None:
    assert is_unknown(outcome) is unknown


def test_only_what_grows_is_progress() -> None:
    furthest = Progress(2, 100, 50)
    for further in (Progress(3, 0, 0), Progress(0, 101, 0), Progress(0, 0, 51)):
        assert further.passes(furthest)
    assert not Progress(1, 50, 10).passes(furthest) and not furthest.passes(furthest)
    assert Progress(1, 500, 10).furthest(furthest) == Progress(2, 500, 50), "a restart does not begin anew"


# -- whose the member is that a join sees --------------------------------------------------------------------------------


@pytest.fixture
def look() -> Iterator[tuple[JoinLook, JoinState]]:
    with FakeAccess() as access:
        spec = JoinSpec("m9", url(9), where(9), None, JoinMemory(adding=((1000, 1011),)))
        track = state_of(spec, cast("Runtime", None), 0.0)
        tracks = {"m9": track}
        kept = JoinLook(access, FakeClock(), [], tracks, JoinPolicy(), lambda _name, _memory: None)
        yield kept, track


def test_a_join_learns_its_member_from_no_local_list(look: tuple[JoinLook, JoinState]) -> None:
    looking, track = look
    looking._learn(track, replace(view(1, LEARNER), linearizable=False))
    assert track.memory == JoinMemory(adding=((1000, 1011),))


def test_a_join_takes_a_learner_at_its_url_for_its_own_only_by_the_id(look: tuple[JoinLook, JoinState]) -> None:
    looking, track = look
    looking._learn(track, view(1, LEARNER))
    assert (track.memory.member_id, track.memory.ours, track.memory.listed) == (9, False, True)


def test_a_join_keeps_the_id_that_it_learned_first(look: tuple[JoinLook, JoinState]) -> None:
    looking, track = look
    looking._learn(track, view(1, LEARNER))
    looking._learn(track, view(1, Member(10, "", (url(9),), (), is_learner=True)))
    assert track.memory.member_id == 9


# -- ways to members -----------------------------------------------------------------------------------------------------


def test_who_identified_himself_at_an_endpoint_is_believed_before_who_advertises_it() -> None:
    routes = Routes()
    routes.answered(where(1), 1, "3.6.16", is_learner=False, seconds=0.1)
    routes.advertised(where(1), 2)
    assert routes.member_at(where(1)) == 1 and routes.of(2) == []


def test_ways_to_members_that_are_listed_no_more_are_forgotten() -> None:
    routes = Routes()
    for number in (1, 2):
        routes.answered(where(number), number, "3.6.16", is_learner=False, seconds=0.1)
    routes.keep_only({1})
    assert routes.known() == [where(1)]


def test_learners_are_asked_last_and_the_leader_first() -> None:
    routes = Routes(leader_id=2)
    for number, learner in ((9, True), (1, False), (2, False)):
        routes.answered(where(number), number, "3.6.16", is_learner=learner, seconds=0.1)
    assert routes.known() == [where(2), where(1), where(9)]
