"""What the engine decides, view by view, and that no decision breaks an invariant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.absence import Absence
from quorate.core.actions import (
    AddLearner,
    AddVoter,
    Decision,
    Do,
    Done,
    MoveLeader,
    Promote,
    ProveAlignment,
    Refuse,
    Remove,
    RestartLearner,
    StartMember,
    StopMember,
    VerifyVoter,
    Wait,
    WipeData,
)
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.decide_join import RESTART_GRACE_SECONDS, Joiner, JoinGoal, decide_join
from quorate.core.decide_remove import RemoveGoal, decide_remove
from quorate.core.invariants import RULES, Limits, Step, Succession, UnsafeStep, check, violations
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, Member, NoResponse, StatusResult
from unit.views import CLUSTER, answer, member, url, view

NEW = Joiner("m9", (url(9),))
RUNNING = replace(NEW, process="running")
LEARNER = member(9, learner=True)
UNSTARTED = member(9, learner=True, started=False)
LIMITS = Limits(CLUSTER)


def proof(at: float = 0.0, member_id: int = 9, term: int = 3) -> Proof:
    return Proof(member_id, CLUSTER, term, 100, 100, at, ROUNDS, heard=True)


def decide(seen: ClusterView, *joiners: Joiner, seats: int = 1, now: float = 0.0) -> Decision:
    return decide_join(seen, JoinGoal(joiners, seats), now)


def silent_learner(seen: ClusterView) -> ClusterView:
    return replace(seen, replies={**seen.replies, 9: NoResponse("nothing")})


def test_the_life_of_a_join() -> None:
    assert decide(view(1), NEW) == Do(AddLearner("m9", (url(9),)))
    added = decide(view(1, UNSTARTED), NEW)
    assert added == Do(StartMember("m9", (("m1", url(1)), ("m9", url(9)))))
    assert isinstance(decide(view(1, UNSTARTED), RUNNING), Wait)
    assert decide(view(1, LEARNER), RUNNING) == Do(ProveAlignment("m9", 9))
    assert decide(view(1, LEARNER), replace(RUNNING, proof=proof())) == Do(Promote(9, "m9", proof()))
    promoted = view(1, member(9))
    assert decide(promoted, RUNNING) == Do(VerifyVoter("m9", 9))
    assert decide(promoted, replace(RUNNING, verified=True)) == Done()


def test_without_a_leader_nothing_is_done() -> None:
    assert isinstance(decide(view(1, answers={}), NEW), Wait)


def test_a_stale_proof_is_made_again_and_not_used() -> None:
    assert decide(view(1, LEARNER), replace(RUNNING, proof=proof(at=-60))) == Do(ProveAlignment("m9", 9))


def test_a_learner_far_behind_is_waited_for() -> None:
    seen = view(1, LEARNER, answers={1: answer(1, commit=90000), 9: answer(9, applied=10, learner=True)})
    decision = decide(seen, RUNNING)
    assert isinstance(decision, Wait) and "89990 entries behind" in decision.why


def test_a_silent_learner_is_never_promoted_whatever_proof_there_is() -> None:
    assert isinstance(decide(silent_learner(view(1, LEARNER)), replace(RUNNING, proof=proof())), Wait)


def test_a_lost_publish_gets_one_restart_after_a_grace() -> None:
    lost = replace(RUNNING, listed_itself_at=0.0)
    seen = silent_learner(view(1, LEARNER))
    assert isinstance(decide(seen, lost, now=RESTART_GRACE_SECONDS / 2), Wait)
    assert decide(seen, lost, now=RESTART_GRACE_SECONDS) == Do(RestartLearner("m9", 9))


LOST = replace(RUNNING, listed_itself_at=0.0)


@pytest.mark.parametrize(
    "lost",
    [replace(LOST, memory=JoinMemory(restarted=True)), replace(LOST, can_restart=False), replace(LOST, fed_by="log"), RUNNING],
)
def test_no_restart_twice_nor_where_it_cannot_be_done_nor_without_evidence(lost: Joiner) -> None:
    assert isinstance(decide(silent_learner(view(1, LEARNER)), lost, now=9.0), Wait)


def test_a_voter_is_never_restarted_for_its_publish() -> None:
    seen = silent_learner(view(1, member(9)))
    decision = decide(seen, replace(RUNNING, listed_itself_at=0.0), now=9.0)
    assert isinstance(decision, Wait) and decision.phase == "verify"


def test_an_ended_learner_fails_the_join_and_an_ended_voter_is_started_again() -> None:
    ended = replace(NEW, process="exited", exit_note="exit 1")
    refused = decide(silent_learner(view(1, LEARNER)), ended)
    assert isinstance(refused, Refuse) and "exit 1" in refused.why
    voter = silent_learner(view(1, member(9)))
    assert decide(voter, replace(ended, has_data=True)) == Do(StartMember("m9", (("m1", url(1)), ("m9", url(9)))))
    assert isinstance(decide(voter, ended), Refuse), "an empty voter is not started"


def test_what_is_started_in_vain_is_named_at_once_and_never_started_by_us() -> None:
    """A kubelet does that: it waits ever longer. A voter is left to be mended, with a leader or without one."""
    failing = replace(NEW, process="failing", exit_note="exit 1", has_data=True)
    for seen in (silent_learner(view(1, LEARNER)), silent_learner(view(1, member(9)))):
        refused = decide(seen, failing)
        assert isinstance(refused, Refuse) and "exit 1" in refused.why
    leaderless = decide(view(1, member(9), answers={1: answer(1, leader=0)}), failing)
    assert isinstance(leaderless, Refuse) and "same command" in leaderless.advice
    assert decide(view(1, member(9)), replace(failing, verified=True)) == Done()


def test_a_stopped_voter_is_started_even_when_nobody_leads() -> None:
    """It may be the one the quorum is missing: a learner that died right behind its proof in a cluster of one."""
    leaderless = view(1, member(9), answers={1: answer(1, leader=0)})
    assert isinstance(decide(leaderless, replace(NEW, has_data=True)), Do)
    assert isinstance(decide(leaderless, RUNNING), Wait)


def test_a_taken_seat_is_waited_for_by_name() -> None:
    decision = decide(view(1, member(5, learner=True)), NEW)
    assert isinstance(decision, Wait) and "m5" in decision.why


def test_a_taken_name_and_a_taken_url_are_refused() -> None:
    named = Member(5, "m9", ("https://elsewhere:1",))
    assert isinstance(decide(view(1, named), NEW), Refuse)
    assert isinstance(decide(view(1, replace(LEARNER, name="other")), NEW), Refuse)


def test_several_learners_are_all_added_before_any_is_started() -> None:
    two = (NEW, Joiner("m8", (url(8),)))
    one_added = view(1, UNSTARTED)
    assert decide(one_added, *two, seats=2) == Do(AddLearner("m8", (url(8),)))
    both = view(1, UNSTARTED, member(8, learner=True, started=False))
    started = decide(both, *two, seats=2)
    assert started == Do(StartMember("m9", (("m1", url(1)), ("m9", url(9)), ("m8", url(8)))))


def test_with_one_seat_the_second_waits_for_the_first() -> None:
    assert decide(view(1, UNSTARTED), NEW, Joiner("m8", (url(8),))) == Do(StartMember("m9", (("m1", url(1)), ("m9", url(9)))))


def test_nothing_is_added_while_a_joiner_compares_the_list() -> None:
    two = (RUNNING, Joiner("m8", (url(8),)))
    assert isinstance(decide(view(1, UNSTARTED), *two, seats=2), Wait)


def test_the_first_is_verified_before_the_second_is_promoted() -> None:
    other = Joiner("m8", (url(8),), process="running", proof=proof(member_id=8))
    seen = view(1, member(9), member(8, learner=True))
    assert decide(seen, RUNNING, other, seats=2) == Do(VerifyVoter("m9", 9))


def test_an_unstarted_foreign_member_gets_a_name_of_its_own_in_the_initial_cluster() -> None:
    seen = view(1, Member(0xAB, "", (url(5),)), UNSTARTED)
    decision = decide(seen, NEW)
    assert decision == Do(StartMember("m9", (("m1", url(1)), ("unstarted-ab", url(5)), ("m9", url(9)))))


# -- removal -----------------------------------------------------------------------------------------------------------


def test_a_follower_is_removed_at_once_and_a_leader_hands_over_first() -> None:
    assert decide_remove(view(3), RemoveGoal(2, "m2")) == Do(Remove(2, named=True))
    assert decide_remove(view(3), RemoveGoal(1, "m1")) == Do(MoveLeader(2, leaving=1))
    assert decide_remove(view(3), RemoveGoal(7, "m7")) == Done()


def test_leadership_goes_to_the_voter_that_has_applied_most() -> None:
    answers: dict[int, StatusResult] = {1: answer(1), 2: answer(2, applied=90), 3: answer(3, applied=95)}
    assert decide_remove(view(3, LEARNER, answers=answers), RemoveGoal(1, "m1")) == Do(MoveLeader(3, leaving=1))


def test_a_leader_with_no_heir_is_not_removed() -> None:
    assert isinstance(decide_remove(view(3, answers={1: answer(1)}), RemoveGoal(1, "m1")), Refuse)


# -- invariants: each is broken once, and named ------------------------------------------------------------------------


def step(seen: ClusterView, action: object, *, limits: Limits = LIMITS, now: float = 0.0) -> Step:
    return Step(seen, action, limits, now)  # type: ignore[arg-type]


BROKEN = {
    "view_is_current": step(view(3, taken_at=-60), AddLearner("m9", (url(9),))),
    "one_change_in_flight": step(view(3, LEARNER), AddLearner("m8", (url(8),))),
    "learner_first": step(view(3), AddVoter("m9", (url(9),))),
    "last_voter_stays": step(view(1), Remove(1, named=True)),
    "margin_not_lowered": step(view(3), Remove(3, named=True)),
    "leadership_keeps_a_quorum": step(view(4), MoveLeader(2, leaving=1)),
    "successor_serves": step(view(3), Remove(3, named=True), limits=Limits(CLUSTER, succession=Succession(9, 0))),
    "promote_only_aligned": step(view(3, LEARNER), Promote(9, "m9", proof(at=-60))),
    "list_is_linearizable": step(replace(view(3), linearizable=False), Remove(3, named=True)),
    "gone_before_it_is_stopped": step(view(3, LEARNER), WipeData("m9", 9)),
    "remove_only_owned_or_named": step(view(1, LEARNER), Remove(9)),
}


@pytest.mark.parametrize("name", RULES)
def test_each_invariant_is_broken_by_its_own_step(name: str) -> None:
    assert name in dict(violations(BROKEN[name]))
    with pytest.raises(UnsafeStep):
        check(BROKEN[name])


def test_the_sound_versions_of_those_steps_pass() -> None:
    for sound in (
        step(view(3), AddLearner("m9", (url(9),))),
        step(view(3, LEARNER), AddLearner("m8", (url(8),)), limits=Limits(CLUSTER, 2)),
        step(view(1), AddVoter("m9", (url(9),)), limits=Limits(CLUSTER, voter_join=True)),
        step(view(2), Remove(2, named=True)),
        step(view(3), Remove(3, named=True), limits=Limits(CLUSTER, accept_reduced_tolerance=True)),
        step(view(3, LEARNER), Promote(9, "m9", proof())),
        step(view(1, LEARNER), Remove(9, owned=True)),
        step(view(3, answers={1: answer(1), 2: answer(2)}), Remove(3, named=True, absence=Absence(3, "silent", 10, 20))),
        step(view(3), StopMember("m9", 9)),
        step(view(3), MoveLeader(2)),
    ):
        check(sound)


def test_another_cluster_is_noticed() -> None:
    with pytest.raises(UnsafeStep, match="this run began on"):
        check(step(view(3, cluster=5), AddLearner("m9", (url(9),))))


def test_consent_never_buys_a_lost_quorum() -> None:
    two_of_three = view(3, answers={1: answer(1), 2: answer(2)})
    with pytest.raises(UnsafeStep, match="fewer than their quorum"):
        check(step(two_of_three, Remove(2, named=True), limits=Limits(CLUSTER, accept_reduced_tolerance=True)))


def test_a_promotion_is_never_undone() -> None:
    with pytest.raises(UnsafeStep, match="never undone"):
        check(step(view(2), Remove(2, owned=True)))


def test_a_proof_of_an_earlier_leader_is_void() -> None:
    with pytest.raises(UnsafeStep, match="leader changed"):
        check(step(view(3, LEARNER), Promote(9, "m9", proof(term=2))))


def test_a_promotion_beside_a_dead_voter_keeps_the_margin() -> None:
    check(step(view(3, LEARNER, answers={1: answer(1), 2: answer(2), 9: answer(9, learner=True)}), Promote(9, "m9", proof())))


# -- the legacy join, for EtcdLearnerMode: false -------------------------------------------------------------------------


def decide_legacy(seen: ClusterView, joiner: Joiner) -> Decision:
    return decide_join(seen, JoinGoal((joiner,), voter_join=True), 0.0)


def test_the_life_of_a_legacy_join() -> None:
    assert decide_legacy(view(1), NEW) == Do(AddVoter("m9", (url(9),)))
    unstarted = member(9, started=False)
    leaderless = view(1, unstarted, answers={1: answer(1, leader=0)})
    rows = (("m1", url(1)), ("m9", url(9)))
    assert decide_legacy(leaderless, NEW) == Do(StartMember("m9", rows)), "its vote is the one the quorum is missing"
    assert decide_legacy(view(1, member(9)), RUNNING) == Do(VerifyVoter("m9", 9))
    silent = silent_learner(view(1, member(9)))
    assert isinstance(decide_legacy(silent, NEW), Refuse), "it ran once, and its data is gone"
    assert decide_legacy(view(1, member(9)), NEW) == Do(VerifyVoter("m9", 9)), "it answers: somebody else runs it"
    assert decide_legacy(view(1, member(9)), replace(RUNNING, verified=True)) == Done()


@pytest.mark.parametrize(
    "seen",
    [view(3, answers={1: answer(1)}), view(2, member(8, started=False), answers={1: answer(1), 2: answer(2)})],
    ids=["no quorum even with it", "another one not started yet"],
)
def test_a_legacy_join_is_not_allowed_to_make_things_worse(seen: ClusterView) -> None:
    with pytest.raises(UnsafeStep):
        check(step(seen, AddVoter("m9", (url(9),)), limits=Limits(CLUSTER, voter_join=True)))


# -- any view, any joiners: what is decided is always allowed ----------------------------------------------------------


@st.composite
def views(draw: st.DrawFn) -> ClusterView:
    voters = draw(st.integers(1, 5))
    extra = draw(st.lists(st.sampled_from([6, 7, 8, 9]), unique=True, max_size=3))
    rows = [member(number, learner=draw(st.booleans()), started=draw(st.booleans())) for number in extra]
    seen = view(voters, *rows)
    silent = draw(st.sets(st.sampled_from([row.id for row in seen.members])))
    leader = draw(st.sampled_from([row.id for row in seen.voters] or [1]))
    replies: dict[int, StatusResult] = {
        row.id: NoResponse("gone") if row.id in silent else answer(row.id, leader=leader, learner=row.is_learner)
        for row in seen.members
    }
    read_by = frozenset(row.id for row in seen.voters if row.id not in silent)
    return replace(seen, replies=replies, read_by=read_by, linearizable=draw(st.booleans()))


def memories(number: int) -> st.SearchStrategy[JoinMemory]:
    return st.builds(
        JoinMemory,
        member_id=st.sampled_from([0, number, 77]),
        ours=st.booleans(),
        restarted=st.booleans(),
        listed=st.booleans(),
    )


@st.composite
def joiners(draw: st.DrawFn) -> tuple[Joiner, ...]:
    numbers = draw(st.lists(st.sampled_from([7, 8, 9]), unique=True, min_size=1, max_size=3))
    return tuple(
        Joiner(
            f"m{number}",
            (url(number),),
            process=draw(st.sampled_from(["absent", "running", "exited", "failing"])),
            has_data=draw(st.booleans()),
            listed_itself_at=draw(st.sampled_from([None, -5.0, 0.0])),
            fed_by=draw(st.sampled_from(["snapshot", "log", "unknown"])),
            can_restart=draw(st.booleans()),
            memory=draw(memories(number)),
            links_pending=draw(st.booleans()),
            may_start=draw(st.sampled_from(["now", "later", "never"])),
            proof=draw(st.sampled_from([None, proof(member_id=number), proof(member_id=number, at=-60)])),
            verified=draw(st.booleans()),
        )
        for number in numbers
    )


@given(views(), joiners(), st.integers(1, 3))
def test_what_is_decided_breaks_no_invariant(seen: ClusterView, wanted: tuple[Joiner, ...], seats: int) -> None:
    decision = decide_join(seen, JoinGoal(wanted, seats), 0.0)
    if isinstance(decision, Do):
        broken = dict(violations(step(seen, decision.action, limits=Limits(CLUSTER, seats))))
        # A margin may be low for a moment, in an election: then the executor sends nothing, and the join looks again.
        assert broken.keys() <= {"margin_not_lowered"}
    if isinstance(decision, Done):
        voters = {voter.id for voter in seen.voters} | {url for voter in seen.voters for url in voter.peer_urls}
        assert all((one.memory.member_id or one.peer_urls[0]) in voters and one.verified for one in wanted)


@given(views(), st.integers(1, 9))
def test_removal_never_starts_with_the_leader_while_another_can_lead(seen: ClusterView, number: int) -> None:
    decision = decide_remove(seen, RemoveGoal(number, f"m{number}"))
    if isinstance(decision, Do) and isinstance(decision.action, Remove):
        assert seen.leader is not None
        assert seen.leader.id != number or len(seen.voters) == 1
