"""What the invariants forbid beside the one step each that `test_decide` breaks them with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quorate.core.absence import Absence
from quorate.core.actions import Action, AddLearner, AddVoter, Promote, Remove, StopMember, WipeData
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.invariants import RULES, Limits, Step, Succession, promoted, violations
from quorate.core.links import Links, pair
from quorate.core.membership import ClusterView, NoResponse, margin_of
from unit.views import CLUSTER, answer, member, url, view

LEARNER = member(9, learner=True)
PROOF = Proof(9, CLUSTER, 3, 100, 100, 0.0, ROUNDS, heard=True)
PROMOTE = Promote(9, "m9", PROOF)
ADD = AddLearner("m8", (url(8),))


def broken(seen: ClusterView, action: Action, *, accept: bool = False, succession: Succession | None = None) -> dict[str, str]:
    return dict(violations(Step(seen, action, Limits(CLUSTER, 2, accept, succession=succession), 0.0)))


def unlinked(seen: ClusterView, *others: int) -> ClusterView:
    """The learner's links to these were looked for and not found."""
    return replace(seen, links=Links(down=frozenset(pair(9, other) for other in others)))


def silent(seen: ClusterView, *numbers: int) -> ClusterView:
    return replace(seen, replies={**seen.replies, **{number: NoResponse("gone") for number in numbers}})


def test_every_invariant_is_checked() -> None:
    assert set(RULES) == {
        "view_is_current",
        "list_is_linearizable",
        "gone_before_it_is_stopped",
        "one_change_in_flight",
        "learner_first",
        "last_voter_stays",
        "margin_not_lowered",
        "leadership_keeps_a_quorum",
        "successor_serves",
        "promote_only_aligned",
        "remove_only_owned_or_named",
    }


def test_a_margin_below_zero_allows_neither_an_add_nor_a_promotion() -> None:
    """-1 is not lower than -1: by that alone one of three voters was enough."""
    one_of_three = view(3, LEARNER, answers={1: answer(1), 9: answer(9, learner=True)})
    for action in (ADD, PROMOTE):
        assert "no quorum is observed" in broken(one_of_three, action, accept=True)["margin_not_lowered"]


def test_a_promotion_to_no_quorum_is_refused_even_with_consent() -> None:
    alone = replace(unlinked(view(1, LEARNER), 1), read_by=None)
    assert "would have no quorum" in broken(alone, PROMOTE, accept=True)["margin_not_lowered"]


def test_a_promotion_of_a_learner_that_only_the_leader_reaches_lowers_the_margin() -> None:
    cut = unlinked(view(3, LEARNER), 2, 3)
    why = broken(cut, PROMOTE)["margin_not_lowered"]
    assert "0 voters could fail then, instead of 1: it has no working link to m2, m3" in why
    assert not broken(cut, PROMOTE, accept=True)
    assert margin_of(promoted(cut, PROMOTE)) == 0


@pytest.mark.parametrize("voters", [2, 4])
def test_a_promotion_with_a_missing_link_that_gains_nothing_needs_consent(voters: int) -> None:
    cut = unlinked(view(voters, LEARNER), 2)
    assert "would not raise" in broken(cut, PROMOTE)["margin_not_lowered"]
    assert not broken(cut, PROMOTE, accept=True)
    assert not broken(view(voters, LEARNER), PROMOTE)


def test_a_promotion_on_links_that_are_only_assumed_needs_consent_where_too_few_are_known() -> None:
    assumed = replace(view(2, LEARNER), read_by=None)
    assert "too few links between the voters are known to work" in broken(assumed, PROMOTE)["margin_not_lowered"]
    assert not broken(assumed, PROMOTE, accept=True)


def test_a_promotion_of_a_voter_is_refused() -> None:
    named = Promote(2, "m2", replace(PROOF, member_id=2))
    assert "not a learner" in broken(view(2), named)["promote_only_aligned"]


@pytest.mark.parametrize(
    "proof",
    [
        replace(PROOF, at=-6.5),
        replace(PROOF, member_id=8),
        replace(PROOF, cluster_id=5),
        replace(PROOF, term=2),
        replace(PROOF, rounds=1),
        replace(PROOF, applied_index=99),
    ],
    ids=["old", "another member", "another cluster", "another term", "one round", "not all applied"],
)
def test_a_promotion_needs_a_proof_that_holds(proof: Proof) -> None:
    assert "promote_only_aligned" in broken(view(3, LEARNER), replace(PROMOTE, proof=proof))


def test_a_removal_counts_a_silent_voter_as_alive() -> None:
    assert "0 voters could fail then, instead of 1" in broken(silent(view(3), 3), Remove(3, named=True))["margin_not_lowered"]


def test_a_removal_takes_no_absence_of_another_member_for_a_proof() -> None:
    other = Remove(3, named=True, absence=Absence(2, "silent", 10, 20))
    assert "margin_not_lowered" in broken(silent(view(3), 3), other)
    assert not broken(silent(view(3), 3), replace(other, absence=Absence(3, "silent", 10, 20)))


def test_a_removal_takes_no_old_absence_for_a_proof() -> None:
    """It may have come back since."""
    old = Absence(3, "silent", 10, 20, at=-5.1)
    assert "margin_not_lowered" in broken(silent(view(3), 3), Remove(3, named=True, absence=old))


def test_a_removal_takes_no_absence_of_one_that_answers_for_a_proof() -> None:
    proof = Absence(3, "silent", 10, 20)
    assert "margin_not_lowered" in broken(view(3), Remove(3, named=True, absence=proof))
    without_leader = view(3, answers={1: answer(1), 2: answer(2), 3: answer(3, leader=0)})
    assert not without_leader.follows(3)
    assert "margin_not_lowered" in broken(without_leader, Remove(3, named=True, absence=proof)), "it has just come back"


def test_a_removal_that_lowers_the_margin_needs_the_member_named_and_consent() -> None:
    assert "margin_not_lowered" in broken(view(3), Remove(3, owned=True), accept=True)
    assert "margin_not_lowered" in broken(view(3), Remove(3, named=True))
    assert not broken(view(3), Remove(3, named=True), accept=True)


def test_a_voter_that_nobody_named_is_never_removed() -> None:
    assert "never undone" in broken(view(2), Remove(2, owned=True))["remove_only_owned_or_named"]
    assert "the operator did not name it" in broken(view(1, LEARNER), Remove(9))["remove_only_owned_or_named"]


def test_the_only_voter_is_never_removed() -> None:
    assert "only voting member" in broken(view(1, LEARNER), Remove(1, named=True), accept=True)["last_voter_stays"]


@pytest.mark.parametrize(
    "action", [ADD, PROMOTE, Remove(9, owned=True), StopMember("m8", 8), WipeData("m8", 8)], ids=lambda one: type(one).__name__
)
def test_nothing_is_changed_stopped_or_deleted_on_a_local_list(action: Action) -> None:
    assert "list_is_linearizable" in broken(replace(view(1, LEARNER), linearizable=False), action)
    assert "list_is_linearizable" not in broken(view(1, LEARNER), action)


@pytest.mark.parametrize("action", [StopMember("m9", 9), WipeData("m9", 9)], ids=lambda one: type(one).__name__)
def test_a_listed_member_is_neither_stopped_nor_wiped(action: Action) -> None:
    assert "still in the member list" in broken(view(1, LEARNER), action)["gone_before_it_is_stopped"]
    assert not broken(view(1), action)


def test_a_second_learner_needs_a_second_seat() -> None:
    one = Step(view(3, LEARNER), ADD, Limits(CLUSTER), 0.0)
    assert "1 of 1 learner seats are taken (m9)" in dict(violations(one))["one_change_in_flight"]
    assert not broken(view(3, LEARNER), ADD)


def test_a_voter_is_not_added_where_a_learner_can_be() -> None:
    assert "a learner first" in broken(view(3), AddVoter("m8", (url(8),)))["learner_first"]


def test_an_old_view_and_one_of_another_cluster_are_refused() -> None:
    assert "5.1 s old" in broken(view(3, taken_at=-5.1), ADD)["view_is_current"]
    assert "this run began on" in broken(view(3, cluster=5), ADD)["view_is_current"]


OLD = Remove(3, named=True)


def test_who_is_replaced_leaves_no_fewer_to_fail_than_before() -> None:
    """An operator removed another voter meanwhile: of 3 voters 2 were left, by the standing consent of a replacement (J2)."""
    assert not broken(view(4), OLD, succession=Succession(4, 1))
    assert not broken(view(5), OLD, succession=Succession(5, 1)), "of 5 two may fail, and of the 4 before it one"
    assert "margin_not_lowered" in broken(view(3), OLD, succession=Succession(2, 1))
    assert not broken(view(3), OLD, succession=Succession(2, 0))
    assert not broken(view(3), OLD, succession=Succession(2, 1), accept=True)


@pytest.mark.parametrize("accept", [False, True])
def test_who_is_replaced_leaves_when_the_new_one_serves(accept: bool) -> None:
    """The new one died behind its promotion, and the live one was removed all the same (J3)."""
    assert "successor_serves" in broken(silent(view(4), 4), OLD, succession=Succession(4, 0), accept=accept)
    assert "successor_serves" in broken(view(3, LEARNER), OLD, succession=Succession(9, 0), accept=accept)
    assert "successor_serves" in broken(view(4), OLD, succession=Succession(7, 0), accept=accept)
    assert not broken(view(4), ADD, succession=Succession(7, 0), accept=accept)
