"""Every reachable world within stated bounds; the number of states is printed (`pytest -rP tests/model`)."""

from __future__ import annotations

import pytest

from model import world
from model.explore import Bounds, explore
from model.world import Unsound
from quorate.core import decide_join, decide_undo
from quorate.core.actions import Decision, Do, Done, Promote, Refuse
from quorate.core.catch_up import Proof
from quorate.core.membership import ClusterView

BOUNDS = {
    "1 voter": Bounds(1, strangers=1, faults=2, cuts=1, foreign=2),
    "2 voters": Bounds(2, strangers=1, faults=2, cuts=1, foreign=2),
    "3 voters": Bounds(3, strangers=1, faults=2, cuts=1, foreign=2),
    "4 voters": Bounds(4, strangers=1, faults=2, cuts=1, foreign=2),
    "2 voters, every link asked for (3.4)": Bounds(2, strangers=1, faults=2, cuts=1, foreign=1, all_connected=True),
    "1 voter, two side by side": Bounds(1, joiners=2, faults=2, cuts=1),
    "1 voter, two side by side, a second operator": Bounds(1, joiners=2, faults=1, cuts=0, foreign=1),
}


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS.keys())
def test_every_reachable_world_is_sound_and_ends_well(bounds: Bounds) -> None:
    found = explore(bounds)
    print(f"{bounds}: {found.states} states, {found.goals} goals, {found.starts} ends as it began")
    assert found.goals and found.states > 100


# -- and a world that is not sound is found: each mutant takes one safeguard away ----------------------------------------


def without_rule(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    for name in ("RULES", "RULES_WITHOUT_LEADER"):
        kept = tuple(one for one in getattr(decide_join, name) if one.__name__ != rule)
        monkeypatch.setattr(decide_join, name, kept)


def refuse_voter(view: ClusterView, goal: decide_undo.UndoGoal) -> Decision | None:
    member = view.by_peer_urls(goal.peer_urls)
    return Refuse("it has its vote") if member is not None and not member.is_learner else None


def test_a_voter_that_died_behind_its_proof_must_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the join and the undo start it; without either the quorum does not come back."""
    without_rule(monkeypatch, "start_stopped_voter")
    monkeypatch.setattr(
        world, "decide_undo", lambda view, goal: refuse_voter(view, goal) or decide_undo.decide_undo(view, goal)
    )
    with pytest.raises(Unsound, match="no end from"):
        explore(Bounds(1))


def test_promoting_without_a_proof_breaks_an_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    def reckless(case: decide_join._Case) -> Decision | None:
        stale = Proof(case.learner.id, 1, 1, 100, 100, -60.0, 2) if case.learner else None
        return Do(Promote(case.learner.id, case.joiner.name, stale)) if case.learner and stale else None

    monkeypatch.setattr(decide_join, "RULES", (*decide_join.RULES[:2], reckless, *decide_join.RULES[2:]))
    with pytest.raises(Unsound, match="promote_only_aligned"):
        explore(Bounds(1))


def test_an_undo_that_forgets_the_member_list_leaves_a_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "decide_undo", lambda _view, _goal: Done())
    with pytest.raises(Unsound, match="left a learner"):
        explore(Bounds(1))


def test_an_undo_that_takes_voters_for_learners_is_stopped_by_an_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide_undo, "_refuse", lambda _member, _goal: None)
    with pytest.raises(Unsound, match="it is a voter already: a promotion is never undone"):
        explore(Bounds(2, faults=2))


def test_calling_a_learner_done_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "decide_join", lambda *_: Done())
    with pytest.raises(Unsound, match="called a goal"):
        explore(Bounds(1))
