"""What an autopilot would do: each rule with its counter-example, and the law for every state that a small world can have."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from quorate.core.absence import Absence
from quorate.core.actions import Promote, Remove
from quorate.core.autopilot_policy import Policy
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.decide_autopilot import DAY_SECONDS, STALE_SECONDS, Act, Memory, Next, Page, Wait, decide_autopilot
from quorate.core.membership import Alarm, ClusterView, Member, margin_of
from unit.views import CLUSTER, answer, member, view

T = TypeVar("T")
NOW = 10_000.0
POLICY = Policy(voters=3, standbys=1)
STANDBY = member(9, learner=True)


def proof(number: int, *, at: float = NOW - 1) -> Proof:
    return Proof(number, CLUSTER, 3, 100, 100, at, ROUNDS)


def absence(number: int, *, seconds: float = POLICY.window, at: float = NOW - 1) -> Absence:
    return Absence(number, "silent", seconds, 100, at)


def seen(voters: int, *extra: Member, silent: tuple[int, ...] = (), **more: object) -> ClusterView:
    whole = view(voters, *extra, taken_at=NOW)
    replies = {key: value for key, value in whole.replies.items() if key not in silent}
    read_by = frozenset(key for key in replies if key <= voters)
    return replace(whole, replies=replies, read_by=read_by, **more)  # type: ignore[arg-type]


def lost(*numbers: int, **more: object) -> Memory:
    """The memory after so many voters have been silent for long, with a standby that is proved ready."""
    made = Memory(
        absences={number: absence(number) for number in numbers},
        silent_since=dict.fromkeys(numbers, NOW - POLICY.window),
        aligned_since={9: 0.0},
        proofs={9: proof(9)},
        standbys=frozenset({9}),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def decided(found: Next) -> tuple[str, str]:
    return type(found).__name__, found.rule


def test_a_lost_voter_is_replaced_by_the_standby_that_is_proved() -> None:
    found = decide_autopilot(seen(3, STANDBY, silent=(2,)), POLICY, lost(2), NOW)
    assert found == Act("replace", "m2 is lost and m9 is ready", Remove(2, absence=absence(2)), Promote(9, "m9", proof(9)))


BEHIND = seen(3, STANDBY, silent=(2,))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (lost(2, paused_until=NOW + 1), ("Wait", "paused")),
        (lost(2, paused_until=NOW - 1), ("Act", "replace")),
        (lost(2, held={2: NOW + 1}), ("Wait", "held")),
        (lost(2, held={2: NOW - 1}), ("Act", "replace")),
        (lost(2, held={3: NOW + 1}), ("Act", "replace")),
        (lost(2, absences={}), ("Wait", "silent")),
        (lost(2, absences={2: absence(2, seconds=POLICY.window - 1)}), ("Wait", "silent")),
        (lost(2, absences={2: absence(3)}), ("Wait", "silent")),
        (lost(2, absences={2: absence(2, at=NOW - 60)}), ("Wait", "silent")),
        (lost(2, busy="a join waits"), ("Wait", "busy")),
        (lost(2, standbys=frozenset()), ("Page", "no-standby")),
        (lost(2, joining=frozenset({9})), ("Page", "no-standby")),
        (lost(2, proofs={}), ("Wait", "standby-not-proved")),
        (lost(2, proofs={9: proof(9, at=NOW - 60)}), ("Wait", "standby-not-proved")),
        (lost(2, proofs={9: replace(proof(9), cluster_id=5)}), ("Wait", "standby-not-proved")),
        (lost(2, replaced=(NOW - POLICY.per + 1,)), ("Page", "budget")),
        (lost(2, replaced=(NOW - POLICY.per,)), ("Act", "replace")),
        (lost(2, replaced=tuple(NOW - POLICY.per - one for one in range(POLICY.day))), ("Page", "budget")),
        (lost(2, replaced=tuple(NOW - DAY_SECONDS - one for one in range(9))), ("Act", "replace")),
    ],
)
def test_a_lost_voter_stays_where_something_speaks_against(known: Memory, expected: tuple[str, str]) -> None:
    assert decided(decide_autopilot(BEHIND, POLICY, known, NOW)) == expected


@pytest.mark.parametrize(
    ("looked", "expected"),
    [
        (replace(BEHIND, taken_at=NOW - STALE_SECONDS - 1), ("Wait", "stale-look")),
        (replace(BEHIND, linearizable=False), ("Wait", "no-list")),
        (replace(BEHIND, alarms=(Alarm(1, "NOSPACE"),)), ("Page", "alarm")),
        (seen(3, STANDBY, silent=(2, 3)), ("Page", "no-quorum")),
        (seen(5, STANDBY, silent=(2, 3)), ("Page", "brake")),
        (seen(3, STANDBY), ("Wait", "nothing")),
    ],
)
def test_what_is_not_sure_changes_nothing(looked: ClusterView, expected: tuple[str, str]) -> None:
    assert decided(decide_autopilot(looked, POLICY, lost(2, 3), NOW)) == expected


def test_two_deaths_that_are_far_apart_are_two_replacements() -> None:
    """Only voters that fall silent within `after` of each other are a fault of network or power."""
    looked, policy = seen(5, STANDBY, silent=(2, 3)), replace(POLICY, voters=5)
    early = lost(2, 3, silent_since={2: NOW - 2 * POLICY.window - 1, 3: NOW - POLICY.window})
    found = decide_autopilot(looked, policy, early, NOW)
    assert isinstance(found, Act) and isinstance(found.action, Remove) and found.action.member_id == 2, "the longest silent"
    near = replace(early, silent_since={2: NOW - 2 * POLICY.window, 3: NOW - POLICY.window})
    assert decided(decide_autopilot(looked, policy, near, NOW)) == ("Page", "brake")


def test_a_voter_that_never_started_is_somebodys_half_made_join() -> None:
    ghost = member(4, started=False)
    looked = replace(seen(3, STANDBY), members=(*seen(3).members, ghost, STANDBY))
    assert decided(decide_autopilot(looked, POLICY, lost(4), NOW)) == ("Page", "never-started")


def test_the_standby_of_the_lost_voters_zone_goes_first() -> None:
    other = member(8, learner=True)
    policy = replace(POLICY, zones=(("m2", "b"), ("m8", "b"), ("m9", "a")))
    known = lost(2, standbys=frozenset({8, 9}), proofs={8: proof(8), 9: proof(9)}, aligned_since={8: NOW - 1, 9: 0.0})
    found = decide_autopilot(seen(3, other, STANDBY, silent=(2,)), policy, known, NOW)
    assert isinstance(found, Act) and found.then == Promote(8, "m8", proof(8))
    found = decide_autopilot(seen(3, other, STANDBY, silent=(2,)), POLICY, known, NOW)
    assert isinstance(found, Act) and found.then == Promote(9, "m9", proof(9)), "else the one that has been aligned longest"
    unproved = replace(known, proofs={9: proof(9)})
    found = decide_autopilot(seen(3, other, STANDBY, silent=(2,)), policy, unproved, NOW)
    assert isinstance(found, Act) and found.then == Promote(9, "m9", proof(9)), "a proof goes before a zone"


LEARNER = member(3, learner=True)
GROWING = seen(2, LEARNER)


@pytest.mark.parametrize(
    ("known", "policy", "expected"),
    [
        (Memory(owned=frozenset({3}), proofs={3: proof(3)}, aligned_since={3: NOW - 10}), POLICY, ("Act", "grow")),
        (Memory(owned=frozenset({3}), proofs={3: proof(3)}, aligned_since={3: NOW - 9}), POLICY, ("Wait", "grow-not-aligned")),
        (Memory(owned=frozenset({3}), aligned_since={3: 0.0}), POLICY, ("Wait", "grow-not-aligned")),
        (Memory(standbys=frozenset({3}), proofs={3: proof(3)}), POLICY, ("Act", "grow")),
        (Memory(proofs={3: proof(3)}, aligned_since={3: 0.0}), POLICY, ("Wait", "foreign-learner")),
        (Memory(proofs={3: proof(3)}, aligned_since={3: 0.0}), replace(POLICY, promote="any"), ("Act", "grow")),
        (
            Memory(owned=frozenset({3}), joining=frozenset({3}), proofs={3: proof(3)}, aligned_since={3: 0.0}),
            POLICY,
            ("Wait", "busy"),
        ),
        (Memory(owned=frozenset({3}), proofs={3: proof(3)}, aligned_since={3: 0.0}, busy="x"), POLICY, ("Wait", "busy")),
    ],
)  # fmt: skip
def test_a_missing_voter_is_made_of_a_learner_that_is_ours_and_aligned(
    known: Memory, policy: Policy, expected: tuple[str, str]
) -> None:
    assert decided(decide_autopilot(GROWING, policy, known, NOW)) == expected


def test_what_is_missing_is_said() -> None:
    assert decided(decide_autopilot(seen(2), POLICY, Memory(), NOW)) == ("Page", "too-few-voters")
    assert decided(decide_autopilot(seen(3), POLICY, Memory(), NOW)) == ("Page", "too-few-standbys")
    # It never shrinks a cluster.
    assert decided(decide_autopilot(seen(5), replace(POLICY, standbys=0), Memory(), NOW)) == ("Wait", "nothing")


def test_a_voter_that_is_silent_is_no_reason_not_to_make_another() -> None:
    known = Memory(owned=frozenset({5}), proofs={5: proof(5)}, aligned_since={5: 0.0}, silent_since={2: NOW - 20})
    looked, policy = seen(4, member(5, learner=True), silent=(2,)), replace(POLICY, voters=5)
    assert decided(decide_autopilot(looked, policy, known, NOW)) == ("Act", "grow")
    assert decided(decide_autopilot(looked, policy, replace(known, proofs={}), NOW)) == ("Wait", "silent")


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        (Policy(voters=2), "voters: 2 tolerate no more failures than 1: choose 1 or 3"),
        (Policy(voters=9), "not from 1 to 7"),
        (Policy(voters=0), "not from 1 to 7"),
        (Policy(standbys=-1), "below 0"),
        (Policy(standbys=2), "would leave none of the learner seats (2)"),
        (Policy(after=59.9), "in which a machine restarts"),
        (Policy(aligned_for=-1.0), "alignedFor"),
        (Policy(per=599.0), "the budget would never end"),
        (Policy(day=0), "allow none"),
        (Policy(brake=1), "2 is the least"),
        (Policy(zones=(("a", "x"), ("a", "y"))), "a is named twice"),
        (Policy(zones=(("a", ""),)), "an empty zone"),
    ],
)
def test_a_policy_that_cannot_hold_says_why(policy: Policy, word: str) -> None:
    found = policy.problems(learner_seats=2)
    assert len(found) == 1 and word in found[0]
    assert Policy().problems() == [] and Policy(standbys=1).problems(2) == []


def mostly(draw: st.DrawFn, good: T, bad: T) -> T:
    """Returns what allows an action five times of six: else hardly any world would have one."""
    return bad if draw(st.integers(0, 5)) == 0 else good


@st.composite
def worlds(draw: st.DrawFn) -> tuple[ClusterView, Policy, Memory]:
    """Clusters of up to five voters and two learners, whatever is silent, stale, marked, held or proved."""
    voters, learners = draw(st.integers(1, 5)), draw(st.integers(0, 2))
    extra = [member(10 + number, learner=True) for number in range(learners)]
    ids = [*range(1, voters + 1), *(one.id for one in extra)]
    silent = tuple(draw(st.sets(st.sampled_from(ids), max_size=2)))
    leader = draw(st.integers(1, voters))
    whole = seen(voters, *extra, silent=silent)
    replies = {key: answer(key, leader=leader, learner=key >= 10) for key in whole.replies}
    alarms = mostly(draw, (), (Alarm(1, "CORRUPT"),))
    looked = replace(whole, replies=replies, linearizable=mostly(draw, True, False), alarms=alarms)
    looked = replace(looked, taken_at=NOW - mostly(draw, 1.0, 4.0))

    def some() -> list[int]:
        return [key for key in ids if mostly(draw, True, False)]

    known = Memory(
        absences={key: absence(key, seconds=mostly(draw, 600.0, 10.0), at=NOW - mostly(draw, 1.0, 60.0)) for key in some()},
        silent_since={key: NOW - draw(st.sampled_from([5.0, 700.0, 5000.0])) for key in some()},
        aligned_since={key: NOW - draw(st.sampled_from([5.0, 700.0])) for key in some()},
        proofs={key: proof(key, at=NOW - mostly(draw, 1.0, 60.0)) for key in some()},
        owned=frozenset(some()),
        standbys=frozenset(some()),
        joining=frozenset(key for key in ids if mostly(draw, False, True)),
        busy=mostly(draw, "", "somebody"),
        held={key: NOW + mostly(draw, -5.0, 5.0) for key in some()},
        paused_until=mostly(draw, None, NOW + 5.0),
        replaced=mostly(draw, (NOW - 5000.0,), (NOW - 60.0,)),
    )
    wanted, standbys = draw(st.sampled_from([1, 3, 5])), draw(st.integers(0, 1))
    return looked, Policy(wanted, standbys, promote=draw(st.sampled_from(["owned", "any"]))), known


def after(looked: ClusterView, act: Act) -> list[ClusterView]:
    """The view after each step of an action: a removed voter is gone, a promoted learner follows like the others."""
    views: list[ClusterView] = []
    for step in (act.action, act.then):
        if isinstance(step, Remove):
            looked = replace(looked, members=tuple(one for one in looked.members if one.id != step.member_id))
        elif isinstance(step, Promote):
            rows = tuple(replace(one, is_learner=False) if one.id == step.member_id else one for one in looked.members)
            reply = replace(answer(step.member_id), leader=looked.leader.id if looked.leader else 0)
            read_by = (looked.read_by or frozenset()) | {step.member_id}
            looked = replace(looked, members=rows, replies={**looked.replies, step.member_id: reply}, read_by=read_by)
        else:
            continue
        views.append(looked)
    return views


@settings(max_examples=800)
@given(worlds())
def test_the_law(world: tuple[ClusterView, Policy, Memory]) -> None:
    """No action lowers the margin at any of its steps, none is based on what is old, and nothing of others is touched."""
    looked, policy, known = world
    found = decide_autopilot(looked, policy, known, NOW)
    event(found.rule)
    if not isinstance(found, Act):
        assert isinstance(found, Wait | Page) and found.why
        return
    assert looked.linearizable and NOW - looked.taken_at <= STALE_SECONDS and not looked.alarms and not known.busy
    assert known.paused_until is None or known.paused_until <= NOW
    margins = [margin_of(one) for one in [looked, *after(looked, found)]]
    assert margins[0] >= 0 and min(margins) >= margins[0]
    promoted = found.then or found.action
    assert isinstance(promoted, Promote) and promoted.proof.holds(member_id=promoted.member_id, cluster_id=CLUSTER, now=NOW)
    assert promoted.member_id not in known.joining
    assert policy.promote == "any" or promoted.member_id in known.owned | known.standbys
    voters = [len(one.voters) for one in [looked, *after(looked, found)]]
    assert voters[-1] >= voters[0]
    if isinstance(found.action, Remove):
        gone = found.action.member_id
        assert looked.answer(gone) is None and known.held.get(gone, 0.0) <= NOW and promoted.member_id in known.standbys
        assert looked.leader is not None and looked.leader.id != gone
        assert found.action.absence is not None and found.action.absence.seconds >= policy.window
        assert all(NOW - at >= policy.per for at in known.replaced)
    else:
        assert voters[0] < policy.voters
