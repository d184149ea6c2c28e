"""What the autopilot does after an action failed: another member first, a rest that grows, and somebody is called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quorate.core.actions import Promote, Remove
from quorate.core.autopilot.case import Act, Failed, Memory, Page
from quorate.core.decide_autopilot import decide_autopilot, explained, tried_on
from quorate.core.membership import MemberStatus
from unit.test_decide_autopilot import NOW, POLICY, decided, lost, proof, seen
from unit.views import member

FIRST, SECOND = member(3, learner=True), member(4, learner=True)
GROWING = seen(2, FIRST, SECOND)
BOTH = Memory(owned=frozenset({3, 4}), aligned_since={3: 0.0, 4: 5.0}, proofs={3: proof(3), 4: proof(4)})
DEAD = seen(3, member(9, learner=True), member(10, learner=True), silent=(2,))


def failed(count: int, at: float = NOW - 1) -> Failed:
    return Failed(count, at, "no working link to m1")


@pytest.mark.parametrize(("count", "rest"), [(1, 0.0), (2, 5.0), (3, 10.0), (7, 160.0), (8, 300.0), (40, 300.0)])
def test_the_rest_grows_up_to_a_limit(count: int, rest: float) -> None:
    assert failed(count).rest == rest


def test_another_learner_is_promoted_where_the_first_one_failed() -> None:
    """One that could not be promoted was tried for ever, and the other never."""
    found = decide_autopilot(GROWING, POLICY, replace(BOTH, failed={3: failed(1)}), NOW)
    assert isinstance(found, Act) and isinstance(found.action, Promote) and found.action.member_id == 4


def test_what_failed_again_rests_and_calls_somebody() -> None:
    known = replace(BOTH, failed={3: failed(2), 4: failed(3)})
    found = decide_autopilot(GROWING, POLICY, known, NOW)
    assert isinstance(found, Page) and found.rule == "failed"
    assert "no working link to m1 (2 times; it is tried again in 4 s)" in found.why
    rested = replace(BOTH, failed={3: failed(2, NOW - 6), 4: failed(3)})
    assert decided(decide_autopilot(GROWING, POLICY, rested, NOW)) == ("Act", "grow")
    assert dict(explained(GROWING, POLICY, known, NOW))["grow"] == found


def test_a_lost_voter_is_replaced_by_the_standby_that_did_not_fail() -> None:
    known = replace(lost(2, standbys=frozenset({9, 10}), proofs={9: proof(9), 10: proof(10)}), failed={9: failed(2)})
    found = decide_autopilot(DEAD, replace(POLICY, standbys=2), known, NOW)
    assert isinstance(found, Act) and isinstance(found.action, Remove) and found.then is not None
    assert found.then.member_id == tried_on(found) == 10
    both = replace(known, failed={9: failed(2), 10: failed(2)})
    assert decided(decide_autopilot(DEAD, replace(POLICY, standbys=2), both, NOW)) == ("Page", "failed")


def test_a_voter_that_could_not_be_proved_lost_is_said_to_be_so() -> None:
    """It was silent for minutes, the metrics of another one could not be read, and nobody was called."""
    known = replace(lost(standbys=frozenset({9})), silent_since={2: NOW - 900}, unwitnessed=frozenset({3}))
    found = decide_autopilot(seen(3, member(9, learner=True), silent=(2,)), POLICY, known, NOW)
    assert isinstance(found, Page) and found.rule == "no-witness" and "the metrics of m3" in found.why
    assert "m2 has been silent for 900 s" in found.why, "not only that no loss could be proved: this one cannot"


def test_the_end_of_an_election_calls_nobody() -> None:
    """Each voter answers, and only the leader knows of itself yet: nothing has to be opened."""
    whole = seen(3)
    replies = {
        key: replace(reply, leader=0) if isinstance(reply, MemberStatus) and key != 1 else reply
        for key, reply in whole.replies.items()
    }
    found = decide_autopilot(replace(whole, replies=replies), POLICY, Memory(), NOW)
    assert decided(found) == ("Wait", "no-quorum")
