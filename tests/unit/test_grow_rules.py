"""What a join does with a member that others touched, that runs elsewhere, or that ends again."""

from __future__ import annotations

from dataclasses import replace

from quorate.core.actions import AddLearner, Do, ProveAlignment, Refuse, StartMember, VerifyVoter, Wait
from quorate.core.decide_join import RULES, Joiner, JoinGoal, decide_join
from quorate.core.join_memory import JoinMemory
from quorate.core.membership import ClusterView, Member, NoResponse
from unit.views import answer, member, url, view

OURS = JoinMemory(member_id=9, ours=True, listed=True)
JOINER = Joiner("m9", (url(9),), process="running", has_data=True, memory=OURS)
ABSENT = replace(JOINER, process="absent")
LEARNER = member(9, learner=True)


def decide(seen: ClusterView, *joiners: Joiner) -> object:
    return decide_join(seen, JoinGoal(joiners), 0.0)


def silent(seen: ClusterView) -> ClusterView:
    return replace(seen, replies={**seen.replies, 9: NoResponse("nothing")})


def test_a_join_knows_its_member_by_id_when_an_operator_corrects_the_peer_url() -> None:
    elsewhere = replace(LEARNER, peer_urls=("https://10.0.0.99:2380",))
    assert decide(view(1, elsewhere), JOINER) == Do(ProveAlignment("m9", 9))


def test_a_join_does_not_add_again_what_somebody_removed() -> None:
    decision = decide(view(1), JOINER)
    assert isinstance(decision, Refuse) and "another tool or operator removed m9 (9)" in decision.why


def test_a_join_does_not_take_a_later_learner_at_its_url_for_its_own() -> None:
    later = Member(0xAB, "", (url(9),), (), is_learner=True)
    decision = decide(view(1, later), JOINER)
    assert isinstance(decision, Refuse) and "ab is listed at its peer URL now" in decision.why


def test_a_join_does_not_start_a_voter_that_answers() -> None:
    assert decide(view(1, member(9)), ABSENT) == Do(VerifyVoter("m9", 9))


def test_a_join_does_not_start_a_voter_whose_data_is_gone() -> None:
    decision = decide(silent(view(1, member(9))), replace(ABSENT, has_data=False))
    assert isinstance(decision, Refuse) and "its data is gone" in decision.why


def test_a_join_does_not_start_a_learner_that_answers() -> None:
    assert decide(view(1, LEARNER), ABSENT) == Do(ProveAlignment("m9", 9))


def test_a_join_does_nothing_while_the_list_is_local() -> None:
    for seen in (view(1), view(1, LEARNER), view(1, member(9))):
        decision = decide(replace(seen, linearizable=False), replace(JOINER, memory=JoinMemory()))
        assert isinstance(decision, Wait) and "through the quorum" in decision.why


def test_a_join_does_nothing_without_a_leader() -> None:
    decision = decide(view(1, answers={1: answer(1, leader=0)}), replace(JOINER, memory=JoinMemory()))
    assert isinstance(decision, Wait) and "waiting for an election" in decision.why


def test_a_join_starts_an_etcd_that_ended_later_and_at_last_never() -> None:
    unstarted = view(1, member(9, learner=True, started=False))
    later = decide(unstarted, replace(ABSENT, may_start="later"))
    assert isinstance(later, Wait) and "starting it again in a moment" in later.why
    never = decide(unstarted, replace(ABSENT, may_start="never", exit_note="port taken"))
    assert isinstance(never, Refuse) and "exits repeatedly: port taken" in never.why
    assert isinstance(decide(unstarted, ABSENT), Do)


def test_a_join_waits_for_links_before_it_proves_and_promotes() -> None:
    decision = decide(view(2, LEARNER), replace(JOINER, links_pending=True))
    assert isinstance(decision, Wait) and "links to the other voters" in decision.why


def test_a_join_adds_all_before_it_starts_one() -> None:
    other = Joiner("m8", (url(8),))
    first = view(1, member(9, learner=True, started=False))
    both = JoinGoal((replace(ABSENT, memory=OURS), other), learner_seats=2)
    assert decide_join(first, both, 0.0) == Do(AddLearner("m8", (url(8),)))
    assert isinstance(decide_join(first, replace(both, learner_seats=1), 0.0), Do)


def test_a_join_verifies_who_has_a_vote_before_anything_else_is_changed() -> None:
    order = [rule.__name__ for rule in RULES]
    assert order.index("refuse_wrong_member") == 0
    assert order.index("verify_promoted") < order.index("add_missing") < order.index("start_absent")
    assert order.index("wait_for_links") < order.index("promote_proven") < order.index("prove_near")
    new_voter, waiting = replace(JOINER), Joiner("m8", (url(8),))
    assert decide(view(1, member(9)), waiting, new_voter) == Do(VerifyVoter("m9", 9))


def test_a_legacy_join_starts_its_empty_voter_only_while_nobody_has_seen_it_run() -> None:
    goal = JoinGoal((replace(ABSENT, has_data=False),), voter_join=True)
    unstarted = view(1, member(9, started=False))
    assert decide_join(unstarted, goal, 0.0) == Do(StartMember("m9", (("m1", url(1)), ("m9", url(9)))))
    assert isinstance(decide_join(silent(view(1, member(9))), goal, 0.0), Refuse)
