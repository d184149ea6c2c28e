"""Every cluster of up to five voters that may have been lost, whatever is held, answers, or was attested: a new one is made
only where no voter of the old can live, unless an operator attested what was not so."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import pytest

from quorate.core.decide_recovery import (
    AskGone,
    Found,
    Recover,
    RecoveryRefused,
    RecoveryWish,
    State,
    Survivor,
    decide_recovery,
)

STATES: tuple[State, ...] = ("held", "answers", "unknown")


def survivor(member: int, configurations: tuple[frozenset[int], ...], last: tuple[int, int] = (2, 10)) -> Survivor:
    return Survivor(f"m{member}", 7, member, last, 100 + last[1], configurations)


def found(states: dict[int, State], configurations: tuple[frozenset[int], ...]) -> Found:
    held = [member for member, state in states.items() if state == "held"]
    return Found(tuple(survivor(one, configurations) for one in held), states, {one: f"m{one}" for one in states})


def worlds(voters: int) -> list[tuple[frozenset[int], ...]]:
    """The configurations that survivors may have seen: the last, and one before it in which a member came, went or was
    replaced."""
    now = frozenset(range(1, voters + 1))
    before = [now - {1}, now | {voters + 1}, (now - {1}) | {voters + 1}]
    return [(now,), *((now, one) for one in before if one)]


@pytest.mark.parametrize("voters", [1, 2, 3, 4, 5])
def test_no_quorum_lives_beside_a_new_cluster(voters: int) -> None:
    recovered = 0
    for seen in worlds(voters):
        members = sorted(frozenset().union(*seen))
        for states in product(STATES, repeat=len(members)):
            known = dict(zip(members, states, strict=True))
            unknown = [one for one in members if known[one] == "unknown"]
            for size in range(len(unknown) + 1):
                for gone in combinations(unknown, size):
                    decision = decide_recovery(found(known, seen), RecoveryWish(frozenset(gone)))
                    if not isinstance(decision, Recover):
                        continue
                    recovered += 1
                    for one in seen:
                        # Everybody else may live, have the newer log, and be linked to members that came since.
                        assert all(known[member] == "held" or member in gone for member in one), (known, gone, seen)
    assert recovered


@pytest.mark.parametrize("voters", [1, 2, 3, 4, 5])
def test_what_is_asked_is_enough_and_not_too_much(voters: int) -> None:
    """With all that are asked for attested it goes on; with one less than needed it does not."""
    for seen in worlds(voters):
        members = sorted(frozenset().union(*seen))
        for states in product(("held", "unknown"), repeat=len(members)):
            known: dict[int, State] = dict(zip(members, states, strict=True))  # type: ignore[arg-type]
            decision = decide_recovery(found(known, seen), RecoveryWish())
            if "held" not in states:
                assert isinstance(decision, RecoveryRefused) and decision.rule == "no-survivor"
            elif isinstance(decision, AskGone):
                assert all(known[one] == "unknown" for one in decision.members), seen
                after = decide_recovery(found(known, seen), RecoveryWish(frozenset(decision.members)))
                assert isinstance(after, Recover)
                for few in combinations(decision.members, len(decision.members) - 1):
                    assert not isinstance(decide_recovery(found(known, seen), RecoveryWish(frozenset(few))), Recover)
            else:
                assert isinstance(decision, Recover)


def test_a_learner_is_held_or_gone_as_a_voter_is() -> None:
    """It may be a voter of those who came since, and its log may be the newest."""
    seen = (frozenset({1, 2}),)
    one = replace(survivor(1, seen), learners=frozenset({3}))
    known: dict[int, State] = {1: "held"}
    asked = decide_recovery(Found((one,), known, {}), RecoveryWish(frozenset({2})))
    assert asked == AskGone((3,))
    assert isinstance(decide_recovery(Found((one,), known, {}), RecoveryWish(frozenset({2, 3}))), Recover)


def test_who_answers_is_not_gone() -> None:
    seen = (frozenset({1, 2, 3}),)
    known: dict[int, State] = {1: "held", 2: "answers", 3: "unknown"}
    decision = decide_recovery(found(known, seen), RecoveryWish(frozenset({2, 3})))
    assert isinstance(decision, RecoveryRefused) and decision.rule == "lives"


def test_the_survivor_with_the_newest_log_is_used() -> None:
    """A former leader has more entries, of an older term: it has none of the writes that the others acknowledged since."""
    seen = (frozenset({1, 2, 3}),)
    old, new = survivor(1, seen, (2, 900)), survivor(2, seen, (3, 137))
    decision = decide_recovery(Found((old, new), {1: "held", 2: "held"}, {}), RecoveryWish(frozenset({3})))
    assert isinstance(decision, Recover) and decision.survivor == new and decision.seen == old.revision
