"""What an autopilot would do: each rule with its counter-example, and the law for every state that a small world can have."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from quorate.core.absence import Absence
from quorate.core.actions import MoveLeader, Promote, Remove
from quorate.core.autopilot.case import Act, AddStandby, Failed, Memory, Next, Owed, Page, Swap, Wait, Written
from quorate.core.autopilot.fit import cautions, misfits
from quorate.core.autopilot.guards import STALE_SECONDS
from quorate.core.autopilot.policy import Policy
from quorate.core.autopilot.replacement import DAY_SECONDS
from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.decide_autopilot import decide_autopilot
from quorate.core.membership import Alarm, ClusterView, Member, margin_of
from unit.views import CLUSTER, answer, member, view

T = TypeVar("T")
NOW = 10_000.0
POLICY = Policy(voters=3, standbys=1)
STANDBY = member(9, learner=True)


def proof(number: int, *, at: float = NOW - 1) -> Proof:
    return Proof(number, CLUSTER, 3, 100, 100, at, ROUNDS, heard=True)


def absence(number: int, *, seconds: float = POLICY.window, at: float = NOW - 1) -> Absence:
    return Absence(number, "silent", seconds, 100, at)


def seen(voters: int, *extra: Member, silent: tuple[int, ...] = (), **more: object) -> ClusterView:
    whole = view(voters, *extra, taken_at=NOW)
    replies = {key: value for key, value in whole.replies.items() if key not in silent}
    read_by = frozenset(one.id for one in whole.voters if one.id in replies)
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
        (lost(2, absences={2: replace(absence(2), looks=19)}), ("Wait", "silent")),
        (lost(2, absences={2: replace(absence(2), looks=20)}), ("Act", "replace")),
        (lost(2, standbys=frozenset()), ("Page", "no-standby")),
        (lost(2, joining=frozenset({9})), ("Page", "no-standby")),
        (lost(2, is_stacked=True), ("Page", "not-prepared")),
        (lost(2, is_stacked=True, prepared=frozenset({2})), ("Page", "not-prepared")),
        (lost(2, is_stacked=True, prepared=frozenset({9})), ("Act", "replace")),
        (lost(2, proofs={}), ("Wait", "standby-not-proved")),
        (lost(2, proofs={9: proof(9, at=NOW - 60)}), ("Wait", "standby-not-proved")),
        (lost(2, proofs={9: replace(proof(9), cluster_id=5)}), ("Wait", "standby-not-proved")),
        (lost(2, unlinked_yet=frozenset({9})), ("Wait", "standby-links")),
        (lost(2, proofs={9: replace(proof(9), term=2)}), ("Wait", "standby-not-proved")),
        (lost(2, replaced=(NOW - POLICY.per + 1,)), ("Page", "budget")),
        (lost(2, replaced=(NOW - POLICY.per,)), ("Act", "replace")),
        (lost(2, replaced=tuple(NOW - POLICY.per - one for one in range(POLICY.day))), ("Page", "budget")),
        (lost(2, replaced=tuple(NOW - DAY_SECONDS - one for one in range(9))), ("Act", "replace")),
    ],
)
def test_a_lost_voter_stays_where_something_speaks_against(known: Memory, expected: tuple[str, str]) -> None:
    assert decided(decide_autopilot(BEHIND, POLICY, known, NOW)) == expected


def test_no_voter_goes_for_a_standby_that_would_get_no_vote() -> None:
    """It had no link to a follower. The voter was removed, the promotion refused, and the dead one could not come back."""
    looked = replace(BEHIND, links=BEHIND.links.with_member(9, {3: False}))
    found = decide_autopilot(looked, POLICY, lost(2), NOW)
    assert decided(found) == ("Page", "standby-not-fit") and "no working link to m3" in found.why
    second = member(8, learner=True)
    both = seen(3, STANDBY, second, silent=(2,))
    both = replace(both, links=both.links.with_member(9, {3: False}).with_member(8, {3: True}))
    known = lost(2, standbys=frozenset({8, 9}), proofs={8: proof(8), 9: proof(9)}, aligned_since={8: 0.0, 9: 0.0})
    found = decide_autopilot(both, replace(POLICY, standbys=2), known, NOW)
    assert isinstance(found, Act) and found.then is not None and found.then.member_id == 8, "the other one would"


@pytest.mark.parametrize(
    ("looked", "expected"),
    [
        (replace(BEHIND, taken_at=NOW - STALE_SECONDS - 1), ("Wait", "stale-look")),
        (replace(BEHIND, linearizable=False), ("Wait", "no-list")),
        (replace(BEHIND, alarms=(Alarm(1, "NOSPACE"),)), ("Page", "alarm")),
        (replace(BEHIND, alarms_known=False), ("Wait", "alarm")),
        (seen(3, STANDBY, silent=(2, 3), linearizable=False), ("Page", "no-quorum")),
        (seen(3, STANDBY, silent=(2, 3)), ("Page", "unreachable")),
        (seen(5, STANDBY, silent=(2, 3)), ("Page", "brake")),
        (seen(3, STANDBY), ("Wait", "nothing")),
    ],
)
def test_what_is_not_sure_changes_nothing(looked: ClusterView, expected: tuple[str, str]) -> None:
    assert decided(decide_autopilot(looked, POLICY, lost(2, 3), NOW)) == expected


@pytest.mark.parametrize(
    ("looked", "expected"),
    [
        (seen(3, STANDBY, silent=(2, 3), linearizable=False), ("Page", "no-quorum")),
        (replace(BEHIND, linearizable=False), ("Wait", "no-list")),
    ],
)
def test_a_look_that_was_slow_for_want_of_a_quorum_is_no_fault_of_this_machine(
    looked: ClusterView, expected: tuple[str, str]
) -> None:
    slow = replace(looked, taken_at=NOW - STALE_SECONDS - 1)
    assert decided(decide_autopilot(slow, POLICY, lost(2), NOW)) == expected


@pytest.mark.parametrize(
    ("looked", "policy", "why"),
    [
        (seen(3, STANDBY), POLICY, "3 voters and 1 standby, as wanted"),
        (seen(3, STANDBY), replace(POLICY, standbys=0), "3 voters and 1 standby; 3 and 0 are wanted, and none is removed"),
        (seen(3, STANDBY), replace(POLICY, voters=1), "3 voters and 1 standby; 1 and 1 are wanted, and none is removed"),
    ],
)
def test_more_than_is_wanted_is_not_called_as_wanted(looked: ClusterView, policy: Policy, why: str) -> None:
    assert decide_autopilot(looked, policy, Memory(standbys=frozenset({9})), NOW) == Wait("nothing", why)


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
    # Without a standby that is missing: for that somebody is called whatever else is waited for.
    assert decided(decide_autopilot(GROWING, replace(policy, standbys=0), known, NOW)) == expected
    if expected[1] in ("grow-not-aligned", "foreign-learner"):
        assert decided(decide_autopilot(GROWING, policy, known, NOW)) == ("Page", "too-few-standbys")


def test_what_is_missing_is_said() -> None:
    assert decided(decide_autopilot(seen(2), POLICY, Memory(), NOW)) == ("Page", "too-few-voters")
    assert decided(decide_autopilot(seen(3), POLICY, Memory(), NOW)) == ("Page", "too-few-standbys")
    # It never shrinks a cluster.
    assert decided(decide_autopilot(seen(5), replace(POLICY, standbys=0), Memory(), NOW)) == ("Wait", "nothing")


def test_a_voter_that_is_silent_is_no_reason_not_to_make_another() -> None:
    known = Memory(owned=frozenset({5}), proofs={5: proof(5)}, aligned_since={5: 0.0}, silent_since={2: NOW - 20})
    looked, policy = seen(4, member(5, learner=True), silent=(2,)), replace(POLICY, voters=5)
    assert decided(decide_autopilot(looked, policy, known, NOW)) == ("Act", "grow")
    assert decided(decide_autopilot(looked, replace(policy, standbys=0), replace(known, proofs={}), NOW)) == ("Wait", "silent")


def test_who_is_called_is_called_still_when_it_gets_worse() -> None:
    """The alert for a missing standby ended when a voter fell silent, which it was for."""
    known = Memory(silent_since={2: NOW - 1})
    assert decided(decide_autopilot(seen(3, silent=(2,)), POLICY, known, NOW)) == ("Page", "too-few-standbys")
    # And a loss whose replacement failed twice is no quiet wait while it is proved anew.
    failing = Memory(standbys=frozenset({9}), silent_since={2: NOW - 1}, failed={9: Failed(2, NOW - 5, "it was refused")})
    found = decide_autopilot(seen(3, STANDBY, silent=(2,)), POLICY, failing, NOW)
    assert decided(found) == ("Page", "failed") and "it was refused (2 times)" in found.why
    once = replace(failing, failed={9: Failed(1, NOW - 5, "it was refused")})
    assert decided(decide_autopilot(seen(3, STANDBY, silent=(2,)), POLICY, once, NOW)) == ("Wait", "silent")


FULL = Memory(standbys=frozenset({9}), aligned_since={9: 0.0}, proofs={9: proof(9)}, waiting=("m4",))


@pytest.mark.parametrize(
    ("looked", "known", "expected"),
    [
        (seen(3, STANDBY), FULL, ("Act", "yield-seat")),
        (seen(3, STANDBY), replace(FULL, waiting=()), ("Wait", "nothing")),
        (seen(3, STANDBY, silent=(2,)), FULL, ("Wait", "silent")),
        (seen(3, STANDBY), replace(FULL, busy="x"), ("Wait", "busy")),
        (seen(3, STANDBY), replace(FULL, held={9: NOW + 1}), ("Wait", "held")),
        (seen(3, STANDBY, member(8, learner=True)), replace(FULL, joining=frozenset({8})), ("Wait", "nothing")),
        # Where a voter is missing the standby gets a vote, which frees the seat too.
        (seen(2, STANDBY), FULL, ("Act", "grow")),
    ],
)
def test_a_standby_goes_for_a_join_that_waits_for_its_seat(
    looked: ClusterView, known: Memory, expected: tuple[str, str]
) -> None:
    found = decide_autopilot(looked, POLICY, known, NOW)
    assert decided(found) == expected
    if found.rule == "yield-seat":
        assert isinstance(found, Act) and found.action == Remove(9, named=True) and found.then is None


ZONES = (("m1", "a"), ("m2", "a"), ("m3", "b"), ("m9", "c"))
SPREAD = replace(POLICY, zones=ZONES)
READY = replace(FULL, waiting=())


def test_a_vote_goes_to_the_zone_that_has_none() -> None:
    """Zone a takes the quorum with it: m9 in zone c gets a vote first, then leadership moves, then m1 goes."""
    found = decide_autopilot(seen(3, STANDBY), SPREAD, READY, NOW)
    assert found == Act("spread", "m9 in zone c does better than m1", Promote(9, "m9", proof(9)), leaves=1)
    four, half = seen(3, member(9)), replace(READY, standbys=frozenset(), swap=Swap(9, 1))
    found = decide_autopilot(four, SPREAD, half, NOW)
    assert found == Act("spread", "m9 has taken the place of m1: leadership goes to m9", MoveLeader(9, leaving=1))
    led = replace(four, replies={key: replace(row, leader=9) for key, row in four.replies.items()})  # type: ignore[arg-type]
    found = decide_autopilot(led, SPREAD, half, NOW)
    assert found == Act("spread", "m9 has taken the place of m1, which goes", Remove(1, named=True), successor=9)


@pytest.mark.parametrize(
    ("looked", "policy", "known", "expected"),
    [
        (seen(3, STANDBY), replace(SPREAD, zones=ZONES[1:]), READY, ("Wait", "nothing")),
        (seen(3, STANDBY), replace(SPREAD, zones=ZONES[2:]), READY, ("Wait", "nothing")),
        (seen(3, STANDBY), replace(SPREAD, zones=(*ZONES[:3], ("m9", "a"))), READY, ("Wait", "nothing")),
        (seen(3, STANDBY), replace(SPREAD, zones=(*ZONES[:3], ("m9", "b"))), READY, ("Wait", "nothing")),
        (seen(3, STANDBY), SPREAD, replace(READY, proofs={}), ("Wait", "standby-not-proved")),
        (seen(3, STANDBY), SPREAD, replace(READY, replaced=(NOW - 1,)), ("Page", "budget")),
        (seen(3, STANDBY), SPREAD, replace(READY, busy="x"), ("Wait", "busy")),
        (seen(3, STANDBY), SPREAD, replace(READY, is_stacked=True, prepared=frozenset({9})), ("Wait", "nothing")),
        (seen(3, STANDBY), SPREAD, replace(READY, held={1: NOW + 1, 2: NOW + 1}), ("Wait", "nothing")),
        # Half done: nothing goes on while one is silent, and it is over when either is no voter, or none is too many.
        (seen(3, member(9), silent=(3,)), replace(SPREAD, standbys=0), replace(READY, swap=Swap(9, 1)), ("Wait", "silent")),
        (seen(3, member(9)), replace(SPREAD, standbys=0), replace(READY, swap=Swap(9, 1), held={1: NOW + 1}), ("Wait", "held")),
        (seen(3, member(9)), replace(SPREAD, voters=5), replace(READY, swap=Swap(9, 1)), ("Page", "too-few-voters")),
        (seen(3, member(9)), SPREAD, replace(READY, swap=Swap(9, 7)), ("Page", "too-few-standbys")),
    ],
)
def test_the_spread_waits(looked: ClusterView, policy: Policy, known: Memory, expected: tuple[str, str]) -> None:
    assert decided(decide_autopilot(looked, policy, known, NOW)) == expected


@pytest.mark.parametrize(
    ("zones", "rule"),
    [
        ((("m1", "a"), ("m2", "b"), ("m3", "b"), ("m9", "c")), "spread"),
        ((("m2", "b"), ("m3", "b"), ("m9", "c")), "spread"),
        ((), "spread"),
    ],
)
def test_a_change_of_zones_is_judged_by_the_zones_of_now(zones: tuple[tuple[str, str], ...], rule: str) -> None:
    """m1 was to go; by the corrected policy it is the only voter of its zone."""
    half = replace(READY, standbys=frozenset(), swap=Swap(9, 1))
    assert decided(decide_autopilot(seen(3, member(9)), replace(SPREAD, zones=zones), half, NOW)) == ("Page", rule)


def test_a_hold_of_one_lost_voter_is_none_of_another() -> None:
    """It waited for the hold of the one that had been silent for longer."""
    looked, policy = seen(5, STANDBY, silent=(2, 3)), replace(POLICY, voters=5)
    since = {2: NOW - 3 * POLICY.window, 3: NOW - POLICY.window}
    found = decide_autopilot(looked, policy, lost(2, 3, silent_since=since, held={2: NOW + 1}), NOW)
    assert isinstance(found, Act) and isinstance(found.action, Remove) and found.action.member_id == 3


def test_a_voter_that_is_lost_in_a_change_of_zones_goes_without_a_successor() -> None:
    """One has its vote already: a second standby would make one voter too many for good."""
    known = replace(lost(3), standbys=frozenset(), swap=Swap(9, 1))
    found = decide_autopilot(seen(3, member(9), silent=(3,)), SPREAD, known, NOW)
    assert found == Act("replace", "m3 is lost, and one voter was to go", Remove(3, absence=absence(3)))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Memory(), ("Page", "too-few-standbys")),
        (Memory(provider="ready"), ("AddStandby", "provide")),
        (Memory(provider="ready", busy="x"), ("Wait", "busy")),
        (Memory(provider="ready", waiting=("m4",)), ("Wait", "busy")),
        (Memory(provider="at work"), ("Wait", "provide")),
        (Memory(provider="failed"), ("Page", "provide-failed")),
    ],
)
def test_a_missing_standby_is_made_where_a_program_does_it(known: Memory, expected: tuple[str, str]) -> None:
    assert decided(decide_autopilot(seen(3), POLICY, known, NOW)) == expected


MUTE = {"mute_since": {9: NOW - POLICY.window}, "proofs": {}}


@pytest.mark.parametrize(
    ("looked", "known", "expected"),
    [
        (seen(3, STANDBY), Memory(standbys=frozenset({9}), mute_since={9: NOW - POLICY.window}), ("Page", "standby-lost")),
        (seen(3, STANDBY), Memory(standbys=frozenset({9}), mute_since={9: NOW - POLICY.window + 1}), ("Wait", "nothing")),
        (BEHIND, lost(2, **MUTE), ("Page", "no-standby")),
        (seen(2, STANDBY), lost(**MUTE), ("Page", "standby-lost")),
        (seen(2, STANDBY), lost(**MUTE, waiting=("m3",)), ("Act", "yield-seat")),
        (seen(2, STANDBY), lost(proofs={}, waiting=("m3",)), ("Wait", "grow-not-aligned")),
    ],
)
def test_a_standby_that_is_lost_is_none(looked: ClusterView, known: Memory, expected: tuple[str, str]) -> None:
    """It was waited for without end, nobody was told, and it kept the only seat from the voter that was missing."""
    found = decide_autopilot(looked, POLICY, known, NOW)
    assert decided(found) == expected
    if expected[1] == "standby-lost" and len(looked.voters) < POLICY.voters:
        assert found.why.startswith("a voter is missing")


def test_an_election_calls_nobody() -> None:
    """A quorum answered a read of this look; each member was asked while it had no leader."""
    whole = seen(3, STANDBY)
    electing = replace(whole, replies={one: replace(row, leader=0) for one, row in whole.replies.items()})  # type: ignore[arg-type]
    assert electing.linearizable and electing.leader is None
    assert decided(decide_autopilot(electing, POLICY, lost(), NOW)) == ("Wait", "no-quorum")


def test_a_vote_that_is_owed_is_given_whatever_the_policy_wants() -> None:
    """A replacement was cut off behind its removal: of fewer voters wanted than there are, nobody ever finished it."""
    few, owing = replace(POLICY, voters=1), lost(owed=Owed(9, 2))
    assert decided(decide_autopilot(seen(1, member(3), STANDBY), few, owing, NOW)) == ("Act", "grow")
    # The place is filled by then: of three voters one was gone, and two are three again.
    filled = lost(owed=Owed(9, 2, voters=3))
    assert decided(decide_autopilot(seen(1, member(3), STANDBY), few, filled, NOW)) == ("Act", "grow")
    assert decided(decide_autopilot(seen(1, member(3), member(4), STANDBY), few, filled, NOW)) == ("Wait", "nothing")
    assert decided(decide_autopilot(seen(1, member(3), STANDBY), few, lost(), NOW)) == ("Wait", "nothing")
    assert decided(decide_autopilot(seen(2, STANDBY), few, owing, NOW)) == ("Wait", "nothing"), "the voter is there still"
    assert decided(decide_autopilot(seen(1, member(3)), few, owing, NOW)) == ("Page", "too-few-standbys"), "it has its vote"


def test_two_writers_of_policies_are_named_and_stop_everything() -> None:
    """An autopilot that obeyed each in turn would add and remove for ever."""
    written = enumerate(("a", "b", "a", "b"))
    turns = tuple(Written(NOW - 30 + number, digest, f"host-{digest}") for number, digest in written)
    assert decide_autopilot(BEHIND, POLICY, lost(2, written=turns), NOW) == Page(
        "policy-fight",
        "two policies are written in turn: by host-a, and by host-b; it ends in 29m30s, or with a third policy",
    )
    # Three are also one operator who takes back a change.
    for calm in (turns[:3], (*turns[:3], replace(turns[2], digest="c")), (turns[0],) * 4, (*turns, turns[0], turns[0])):
        assert decided(decide_autopilot(BEHIND, POLICY, lost(2, written=calm), NOW)) == ("Act", "replace")
    long_ago = tuple(replace(one, at=NOW - POLICY.per) for one in turns)
    assert decided(decide_autopilot(BEHIND, POLICY, lost(2, written=long_ago), NOW)) == ("Act", "replace")


def test_a_loss_that_could_not_be_proved_is_said_before_it() -> None:
    blind = Memory(unwitnessed=frozenset({2}))
    assert decided(decide_autopilot(seen(3), Policy(), blind, NOW)) == ("Page", "no-witness")
    assert decided(decide_autopilot(seen(3), Policy(after=None), blind, NOW)) == ("Wait", "nothing")


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        (Policy(voters=2), "voters: 2 tolerate no more failures than 1: choose 1 or 3"),
        (Policy(voters=9), "voters: 9 is not from 1 to 7"),
        (Policy(voters=0), "not from 1 to 7"),
        (Policy(standbys=-1), "standbys: -1 is not from 0 to 7"),
        (Policy(standbys=8), "standbys: 8 is not from 0 to 7"),
        (Policy(per=24 * 3600.0 + 1), "replaceDead.budget.per: 86401 s is more than a day, for which replacements are counted"),
        (Policy(after=59.9), "replaceDead.after: 59.9 s is less than 60 s, in which a machine restarts"),
        (Policy(aligned_for=-1.0), "alignedFor: -1 s"),
        (Policy(per=599.0), "replaceDead.budget.per: 599 s is less than after, 600 s: the budget would never end"),
        (Policy(day=0), "replaceDead.budget.day: 0 replacements allow none"),
        (Policy(brake=1), "replaceDead.brake: 1 would stop every replacement: 2 is the least"),
        (Policy(zones=(("a", "x"), ("a", "y"))), "zones.a: this member is named twice"),
        (Policy(zones=(("a", ""),)), "zones.a: its zone is empty"),
    ],
)
def test_a_policy_that_cannot_hold_says_why(policy: Policy, word: str) -> None:
    (found,) = policy.problems()
    assert word in f"{found.path}: {found.text}"
    assert Policy().problems() == []


OLD = replace(seen(3), replies={key: replace(answer(key), version="3.5.21") for key in (1, 2, 3)})


@pytest.mark.parametrize(
    ("looked", "policy", "wrong", "warned"),
    [
        (seen(3), Policy(), [], []),
        (
            seen(3),
            Policy(zones=(("m1", "a"), ("m11", "b"))),
            ["zones.m11: no member has that name: did you mean m1?"],
            ["zones.m11: no member"],
        ),
        (seen(1), Policy(1, zones=(("host", "b"),)), ["zones.host: no member has that name: m1"], ["zones.host: no member"]),
        (seen(3), Policy(5), [], ["voters: 5 are more than the 3 of now, and no learner is there to be promoted"]),
        (seen(3), Policy(after=None), [], ["replaceDead: left out, so no dead voter is replaced"]),
        (OLD, Policy(standbys=1), [], []),
        (OLD, Policy(standbys=2), ["standbys: 2 are more than one, and etcd before 3.6 has one learner seat"], []),
        (seen(3), Policy(standbys=2), [], ["standbys: 2 need --max-learners of 2 or more on every member"]),
        (seen(3), Policy(voters=1), [], ["voters: 1 are fewer than the 3 of now: none is removed"]),
    ],
)
def test_a_policy_is_held_against_the_cluster(looked: ClusterView, policy: Policy, wrong: list[str], warned: list[str]) -> None:
    assert [f"{one.path}: {one.text}" for one in misfits(policy, looked)] == wrong
    found = cautions(policy, looked)
    assert len(found) == len(warned) and all(one.startswith(begin) for one, begin in zip(found, warned, strict=True))


def test_a_policy_that_names_a_voter_of_before_is_taken_again() -> None:
    """Printed, changed in another field and set, it was refused for the voter that the autopilot itself had replaced."""
    before = Policy(zones=(("m1", "a"), ("m7", "b")))
    assert misfits(replace(before, standbys=1), seen(3), before) == []
    assert "zones.m7: no member has that name now" in cautions(before, seen(3))
    for other in (None, Policy(), Policy(zones=(("m7", "c"),))):
        assert [one.path for one in misfits(before, seen(3), other)] == ["zones.m7"]


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
        waiting=draw(st.sampled_from([(), (), ("m7",)])),
        swap=draw(st.sampled_from([None, *(Swap(one, other) for one in ids for other in ids if one != other)])),
        provider=draw(st.sampled_from(["none", "ready", "at work", "failed"])),
        unwitnessed=frozenset(key for key in ids if mostly(draw, False, True)),
    )
    wanted, standbys = draw(st.sampled_from([1, 3, 5])), draw(st.integers(0, 1))
    zones = draw(st.sampled_from([(), tuple((f"m{key}", draw(st.sampled_from("abc"))) for key in ids)]))
    return looked, Policy(wanted, standbys, promote=draw(st.sampled_from(["owned", "any"])), zones=zones), known


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
    event(f"{type(found).__name__} {found.rule}")
    if not isinstance(found, Act):
        assert isinstance(found, Wait | Page | AddStandby) and found.why
        return
    assert looked.linearizable and NOW - looked.taken_at <= STALE_SECONDS and not looked.alarms and not known.busy
    assert known.paused_until is None or known.paused_until <= NOW
    margins = [margin_of(one) for one in [looked, *after(looked, found)]]
    assert margins[0] >= 0
    if found.rule in ("yield-seat", "spread") and not isinstance(found.action, Promote):
        the_law_of_the_living(world, found, margins)
        return
    assert min(margins) >= margins[0]
    if isinstance(found.action, Remove):
        the_law_of_the_dead(world, found.action, found.then)
    promoted = found.then or found.action
    if not isinstance(promoted, Promote):
        return
    assert promoted.proof.holds(member_id=promoted.member_id, cluster_id=CLUSTER, now=NOW)
    assert promoted.member_id not in known.joining
    assert policy.promote == "any" or promoted.member_id in known.owned | known.standbys
    if found.leaves:
        assert len(looked.voters) == policy.voters and not known.replaced[-1:] > (NOW - policy.per,)
        assert all(looked.answer(one.id) is not None for one in looked.voters)
    elif found.then is None:
        assert len(looked.voters) < policy.voters


def the_law_of_the_dead(world: tuple[ClusterView, Policy, Memory], remove: Remove, then: Promote | None) -> None:
    """Who is proved absent goes, and only where its successor is proved, or has its vote already."""
    looked, policy, known = world
    gone = remove.member_id
    assert looked.answer(gone) is None and known.held.get(gone, 0.0) <= NOW
    assert looked.leader is not None and looked.leader.id != gone
    assert remove.absence is not None and remove.absence.seconds >= policy.window
    assert all(NOW - at >= policy.per for at in known.replaced)
    if then is None:
        assert known.swap is not None and len(looked.voters) > policy.voters
    else:
        assert then.member_id in known.standbys


def the_law_of_the_living(world: tuple[ClusterView, Policy, Memory], act: Act, margins: list[int]) -> None:
    """What answers goes only as a standby, or after its successor has its vote; never while any voter is silent."""
    looked, policy, known = world
    assert all(looked.answer(one.id) is not None for one in looked.voters)
    if isinstance(act.action, MoveLeader):
        assert looked.may_lead(act.action.target_id) and act.action.leaving == looked.leader.id  # type: ignore[union-attr]
        return
    assert isinstance(act.action, Remove)
    gone = act.action.member_id
    assert known.held.get(gone, 0.0) <= NOW
    if act.rule == "yield-seat":
        assert gone in known.standbys - known.joining and known.waiting and len(looked.voters) >= policy.voters
        assert looked.by_id(gone) in looked.learners and min(margins) >= margins[0]
        return
    assert known.swap is not None and gone == known.swap.leaves
    assert len(looked.voters) > policy.voters and min(margins) >= min(margins[0], (policy.voters - 1) // 2)
    assert looked.leader is not None and looked.leader.id != gone
