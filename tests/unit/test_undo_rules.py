"""What the undo of a join does, view by view: it removes before it stops, and only what is surely its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from quorate.core.actions import Decision, Do, Done, Refuse, Remove, StartMember, StopMember, Wait, WipeData
from quorate.core.decide_undo import UndoGoal, decide_undo, is_ours
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, Member
from unit.views import member, url, view

OURS = JoinMemory(member_id=9, ours=True, listed=True)
GOAL = UndoGoal("m9", (url(9),), OURS, running=True, has_data=True, has_leftovers=True)
LEARNER = member(9, learner=True)


def undo(seen: ClusterView, goal: UndoGoal = GOAL) -> Decision:
    return decide_undo(seen, goal)


def refusal(seen: ClusterView, memory: JoinMemory = OURS) -> str:
    decision = undo(seen, replace(GOAL, memory=memory))
    assert isinstance(decision, Refuse)
    return decision.kind


def made_at(second: int) -> int:
    return int.from_bytes(hashlib.sha1(f"{url(9)}{second}".encode(), usedforsecurity=False).digest()[:8], "big")


def test_an_undo_removes_stops_and_deletes_in_this_order() -> None:
    assert undo(view(1, LEARNER)) == Do(Remove(9, owned=True)), "although it runs"
    assert undo(view(1)) == Do(StopMember("m9", 9))
    assert undo(view(1), replace(GOAL, running=False)) == Do(WipeData("m9", 9))
    assert undo(view(1), replace(GOAL, running=False, has_data=False, has_leftovers=False)) == Done()


def test_an_undo_waits_for_a_list_that_is_read_through_the_quorum() -> None:
    for seen in (view(1), view(1, LEARNER)):
        assert isinstance(undo(replace(seen, linearizable=False)), Wait)


def test_an_undo_after_an_add_without_an_answer_does_not_know_what_absent_means() -> None:
    assert refusal(view(1), JoinMemory(adding=((1000, 1011),))) == "add-unknown"


def test_an_undo_leaves_data_that_no_member_of_this_join_wrote() -> None:
    assert refusal(view(1), JoinMemory()) == "not-ours"
    assert undo(view(1), replace(GOAL, memory=JoinMemory(), has_data=False, running=False)) == Do(WipeData("m9", 0))


def test_an_undo_does_nothing_once_a_vote_was_asked_for() -> None:
    assert refusal(view(1, LEARNER), replace(OURS, vote="asked")) == "vote-unknown"
    assert refusal(view(1, LEARNER), replace(OURS, vote="given")) == "vote-unknown"


def test_an_undo_keeps_a_voter_and_starts_it_where_it_stopped() -> None:
    assert refusal(view(1, member(9))) == "voter"
    stopped = undo(view(1, member(9)), replace(GOAL, running=False))
    assert stopped == Do(StartMember("m9", (("m9", url(9)),)))


def test_an_undo_keeps_the_learner_of_somebody_else() -> None:
    assert refusal(view(1, LEARNER), replace(OURS, ours=False)) == "not-ours"
    assert refusal(view(1, LEARNER), JoinMemory()) == "not-ours"


def test_an_undo_knows_its_member_by_id_and_leaves_a_later_one_at_its_url() -> None:
    later = Member(0xAB, "", (url(9),), (), is_learner=True)
    assert undo(view(1, later)) == Do(StopMember("m9", 9))
    moved = replace(LEARNER, peer_urls=("https://10.0.0.99:2380",))
    assert undo(view(1, moved)) == Do(Remove(9, owned=True))


def test_an_undo_recognises_the_member_of_an_add_whose_answer_was_lost() -> None:
    asked = JoinMemory(adding=((1000, 1011),))
    ours = Member(made_at(1005), "", (url(9),), (), is_learner=True)
    assert undo(view(1, ours), replace(GOAL, memory=asked)) == Do(Remove(ours.id, owned=True))
    assert refusal(view(1, replace(ours, id=made_at(2000))), asked) == "not-ours"


def test_whose_a_learner_is_follows_from_its_id() -> None:
    assert is_ours(LEARNER, OURS)
    assert not is_ours(LEARNER, replace(OURS, ours=False))
    assert not is_ours(LEARNER, replace(OURS, member_id=8))


def test_an_undo_neither_stops_nor_deletes_the_data_of_a_listed_member() -> None:
    """What lies here is somebody's, whatever this join remembers."""
    for running in (True, False):
        decision = undo(view(2), replace(GOAL, running=running, data_member=2))
        assert isinstance(decision, Refuse) and decision.kind == "not-ours" and "member 2, not" in decision.why
    assert undo(view(2), replace(GOAL, data_member=9)) == Do(StopMember("m9", 9))


def test_an_undo_does_not_know_the_end_while_an_earlier_add_may_arrive() -> None:
    lost = replace(OURS, adding=((1000, 1011),))
    assert undo(view(1), replace(GOAL, memory=lost)) == Do(StopMember("m9", 9))
    done = undo(view(1), replace(GOAL, memory=lost, running=False, has_data=False, has_leftovers=False))
    assert isinstance(done, Refuse) and done.kind == "add-unknown"
