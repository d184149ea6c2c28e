"""What a removal decides on a list that proves nothing, and about voters that are cut off."""

from __future__ import annotations

from dataclasses import replace

from quorate.core.actions import Do, MoveLeader, Refuse, Wait
from quorate.core.decide_remove import RemoveGoal, decide_remove
from unit.views import answer, view


def test_a_removal_is_not_done_by_a_local_list() -> None:
    for number in (2, 7):
        decision = decide_remove(replace(view(3), linearizable=False), RemoveGoal(number, f"m{number}"))
        assert isinstance(decision, Wait) and "through the quorum" in decision.why


def test_leadership_goes_to_nobody_that_is_cut_off() -> None:
    ahead = view(4, answers={1: answer(1), 2: answer(2, applied=90), 3: answer(3), 4: answer(4, applied=80)})
    assert decide_remove(ahead, RemoveGoal(1, "m1")) == Do(MoveLeader(3, leaving=1))
    assert decide_remove(replace(ahead, read_by=frozenset({1, 2, 4})), RemoveGoal(1, "m1")) == Do(MoveLeader(2, leaving=1))
    for read_by in ({1, 2}, {1}):
        assert isinstance(decide_remove(replace(ahead, read_by=frozenset(read_by)), RemoveGoal(1, "m1")), Refuse)
