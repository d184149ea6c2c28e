"""What has to be so still when the autopilot acts, and what it says while it cannot."""

from __future__ import annotations

from mutants.in_autopilot import T, one
from mutants.mutants import Mutant

P = "unit/test_autopilot_parts.py::test_"

MUTANTS: tuple[Mutant, ...] = (
    one(
        "voters of the decision",
        "etcd/autopilot/last_word.py",
        "if before != after:",
        "if False:",
        P + "what_was_decided_is_for_the_voters_of_the_decision",
        "a living voter went where another had been removed meanwhile",
    ),
    one(
        "silence of the decision",
        "etcd/autopilot/last_word.py",
        "if changed:",
        "if False:",
        P + "what_was_decided_is_for_the_voters_of_the_decision",
        "a standby gave up its seat while a voter died",
    ),
    one(
        "silence across a gap",
        "core/autopilot/sight.py",
        "return bool(both) and all(before[voter] == now[voter] for voter in both)",
        "return True",
        P + "a_voter_that_lived_in_a_gap_fell_silent_behind_it",
        "two that died together were taken for lost apart",
    ),
    one(
        "place that is filled",
        "core/autopilot/case.py",
        "if owed.voters and len(view.voters) >= owed.voters:",
        "if False:",
        T + "a_vote_that_is_owed_is_given_whatever_the_policy_wants",
        "a second standby got a vote, and none was left",
    ),
    one(
        "failures of a loss that is proved anew",
        "core/decide_autopilot.py",
        'if isinstance(found, Wait) and found.rule == "silent":',
        "if False:",
        T + "who_is_called_is_called_still_when_it_gets_worse",
        "it failed for ever, and called nobody",
    ),
    one(
        "alert that ends when it gets worse",
        "core/decide_autopilot.py",
        "return [*acts, *pages, *found, _nothing(case)][0]",
        "return [*acts, *found, _nothing(case)][0]",
        T + "who_is_called_is_called_still_when_it_gets_worse",
        "the missing standby was nobody's news once it was needed",
    ),
)
