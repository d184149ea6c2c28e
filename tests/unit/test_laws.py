"""The laws that the engine stands on, as properties: for all clusters of the size that is run, with any voters silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from quorate.core.actions import Action, Do, Done, Promote, Remove, StopMember, WipeData
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.decide_converge import ConvergeGoal, JoinNext, RemoveNext, Wanted, after, steps
from quorate.core.decide_join import Joiner, JoinGoal, initial_cluster
from quorate.core.decide_undo import UndoGoal, decide_undo
from quorate.core.invariants import Limits, Step, promoted, violations
from quorate.core.join_memory import JoinMemory, remember
from quorate.core.membership import ClusterView, Member, margin_of, removal_margins
from quorate.core.quorum import margin, quorum
from unit.views import CLUSTER, answer, member, url, view

VOTERS = st.integers(1, 9)
PROOF = Proof(20, CLUSTER, 3, 100, 100, 0.0, ROUNDS, heard=True)
LEARNER = member(20, learner=True)


@st.composite
def clusters(draw: st.DrawFn, *, learner: bool = False, least: int = 1) -> ClusterView:
    """Voters of which a majority answers and follows m1, with and without a learner that is ready."""
    count = draw(st.integers(least, 9))
    silent = draw(st.sets(st.integers(2, count), max_size=count - quorum(count))) if count > 1 else set[int]()
    answers = {number: answer(number) for number in range(1, count + 1) if number not in silent}
    if learner:
        answers[LEARNER.id] = answer(LEARNER.id, learner=True)
    return view(count, *((LEARNER,) if learner else ()), answers=answers)


def allowed(seen: ClusterView, action: Action) -> bool:
    return not list(violations(Step(seen, action, Limits(CLUSTER), 0.0)))


# -- quorums -------------------------------------------------------------------------------------------------------------


@given(VOTERS)
def test_quorums_of_consecutive_sizes_share_a_voter(voters: int) -> None:
    """Why one change at a time is safe: a majority before it and one after it cannot decide apart from each other."""
    assert quorum(voters) + quorum(voters + 1) > voters + 1


@given(VOTERS.filter(lambda count: count % 2 == 1))
def test_an_even_number_of_voters_gains_nothing(voters: int) -> None:
    assert margin(voters + 1, voters + 1) == margin(voters, voters)


# -- one change -----------------------------------------------------------------------------------------------------------


@given(clusters(learner=True))
def test_an_allowed_promotion_leaves_the_margin_or_raises_it_by_one(seen: ClusterView) -> None:
    promotion = Promote(LEARNER.id, "m20", PROOF)
    if allowed(seen, promotion):
        assert margin_of(promoted(seen, promotion)) - margin_of(seen) in (0, 1)


@given(clusters(learner=True))
def test_what_a_promotion_is_judged_by_is_what_is_seen_afterwards(seen: ClusterView) -> None:
    later = promoted(seen, Promote(LEARNER.id, "m20", PROOF))
    members = tuple(replace(row, is_learner=False) for row in seen.members)
    replies = {**seen.replies, LEARNER.id: answer(LEARNER.id)}
    observed = replace(seen, members=members, replies=replies, read_by=(seen.read_by or frozenset()) | {LEARNER.id})
    assert margin_of(later) == margin_of(observed)


@given(clusters(least=2), st.data())
def test_the_removal_of_a_dead_voter_lowers_nothing_and_of_a_live_one_one_at_most(
    seen: ClusterView, data: st.DataObject
) -> None:
    dead = [row.id for row in seen.voters if seen.answer(row.id) is None]
    for member_id in dead:
        before, later = removal_margins(seen, member_id, dead=True)
        assert later - before in (0, 1)
    alive = data.draw(
        st.sampled_from([row.id for row in seen.voters if seen.answer(row.id) is not None and row.id != 1] or [0])
    )
    if alive:
        before, later = removal_margins(seen, alive, dead=False)
        # Below zero it is counted how many must come back, which one removal can raise by one.
        assert later - before in (0, -1) or later < 0


@given(clusters(least=2), st.integers(2, 9))
def test_a_removal_that_nobody_agreed_to_leaves_the_margin(seen: ClusterView, member_id: int) -> None:
    if seen.by_id(member_id) is not None and allowed(seen, Remove(member_id, named=True)):
        before, later = removal_margins(seen, member_id, dead=False)
        assert later >= before


# -- lists ----------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 7), st.integers(1, 3), st.integers(0, 3))
def test_an_initial_cluster_has_every_url_and_every_name_once(voters: int, joiners: int, listed: int) -> None:
    goal = JoinGoal(tuple(Joiner(f"m{20 + number}", (url(20 + number),), process="absent") for number in range(joiners)))
    there = [member(20 + number, learner=True, started=False) for number in range(min(listed, joiners))]
    rows = initial_cluster(view(voters, *there), goal)
    assert len({one for _, one in rows}) == len(rows) == len({name for name, _ in rows}) == voters + len(there)


# -- runs -----------------------------------------------------------------------------------------------------------------


def undone(goal: UndoGoal, seen: ClusterView) -> Iterator[tuple[UndoGoal, ClusterView]]:
    """Every state on the way of an undo whose steps all work out."""
    for _ in range(9):
        yield goal, seen
        match decide_undo(seen, goal):
            case Do(action=Remove(member_id=gone)):
                seen = replace(seen, members=tuple(row for row in seen.members if row.id != gone))
            case Do(action=StopMember()):
                goal = replace(goal, running=False)
            case Do(action=WipeData()):
                goal = replace(goal, has_data=False, has_leftovers=False, data_member=0)
            case _:
                return


@given(st.booleans(), st.booleans(), st.booleans())
def test_an_undo_ends_from_every_state_on_its_way_and_stays_ended(running: bool, has_data: bool, listed: bool) -> None:
    """Cut off anywhere and run again it goes the rest of the way, and again it does nothing."""
    memory = JoinMemory(member_id=20, ours=True, listed=True)
    goal = UndoGoal("m20", (url(20),), memory, running, has_data, has_leftovers=has_data or running)
    for begun, seen in list(undone(goal, view(3, *((LEARNER,) if listed else ())))):
        *_, (ended, left) = undone(begun, seen)
        assert decide_undo(left, ended) == Done() == decide_undo(left, ended)
        assert left.by_id(20) is None and not ended.has_data and not ended.running


@given(st.lists(st.sampled_from(["add-learner", "promote"]), max_size=6), st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_vote_that_may_be_there_is_never_forgotten(calls: list[str], answered: list[bool]) -> None:
    """Whatever comes later: a request without an answer may still arrive, and a vote that was given stays."""
    memory, open_promotions = JoinMemory(member_id=20, ours=True), 0
    for call, has_answer in zip(calls, answered, strict=False):
        memory = remember(memory, "intent", {"do": call, "within": [1, 2]})
        if has_answer:
            memory = remember(memory, "outcome", {"do": call, "result": "rejected"})
        elif call == "promote":
            open_promotions += 1
        assert memory.may_vote == (open_promotions > 0)


@given(st.integers(1, 5), st.sets(st.integers(1, 9), min_size=1, max_size=5))
def test_steps_towards_other_members_never_lower_the_margin_below_both_ends(voters: int, wanted: set[int]) -> None:
    """Replacing all of three by three others goes through four and five voters, and back, never through two."""
    seen = view(voters)
    rows = tuple(Wanted(f"m{number}", url(number)) for number in sorted(wanted))
    lowest = min(margin_of(seen), margin(len(wanted), len(wanted)))
    for choice in steps(seen, ConvergeGoal(rows, accept_reduced_tolerance=True)):
        if isinstance(choice, JoinNext | RemoveNext):
            seen = after(seen, choice)
            assert margin_of(seen) >= lowest
    assert {row.peer_urls[0] for row in seen.members} == {url(number) for number in wanted}


def test_a_member_is_named_by_what_it_is_not_by_where() -> None:
    """The law that all others lean on: ids never return, URLs do."""
    first, second = Member(7, "m7", (url(7),)), Member(8, "m7", (url(7),))
    goal = UndoGoal(
        "m7", (url(7),), JoinMemory(member_id=7, ours=True, listed=True), running=False, has_data=False, has_leftovers=False
    )
    assert decide_undo(replace(view(1), members=(*view(1).members, replace(second, is_learner=True))), goal) == Done()
    assert decide_undo(replace(view(1), members=(*view(1).members, replace(first, is_learner=True))), goal) == Do(
        Remove(7, owned=True)
    )
