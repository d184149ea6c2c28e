"""How often, and how fast, a process that ends again is started."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.restarts import StartBudget


def starts(seconds: float, *, runs_for: float, every: float = 0.05, reports_ends: bool = True) -> list[float]:
    """When a caller that looks each `every` seconds starts a process that ends after `runs_for`."""
    budget, now, began, done = StartBudget(), 0.0, None, list[float]()
    while now < seconds:
        if began is None or now - began >= runs_for:
            if reports_ends:
                budget = budget.ended(now)
            if budget.may_start(now) == "now":
                budget, began = budget.started(now), now
                done.append(now)
        now += every
    return done


def test_a_process_that_ends_at_once_is_started_five_times_with_growing_pauses() -> None:
    times = starts(600, runs_for=0.1)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == pytest.approx([1.1, 2.1, 4.1, 8.1], abs=0.15)


def test_ends_that_nobody_reports_are_counted_at_the_next_start() -> None:
    times = starts(600, runs_for=0.0, reports_ends=False)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == pytest.approx([1, 2, 4, 8], abs=0.15)


def test_one_that_ran_for_a_minute_is_started_again_at_once() -> None:
    assert len(starts(1000, runs_for=60.0)) == 17


def test_a_long_run_between_short_ones_resets_the_count() -> None:
    budget, now = StartBudget(), 0.0
    for _ in range(4):
        budget = budget.started(now).ended(now + 1)
        now += 60
    assert budget.short_runs == 4
    budget = budget.started(now).ended(now + 60)
    assert budget.short_runs == 0 and budget.may_start(now + 60) == "now"


def test_the_first_start_needs_no_pause_and_foreign_ends_cost_nothing() -> None:
    assert StartBudget().may_start(0.0) == "now"
    assert StartBudget().ended(5.0).ended(6.0) == StartBudget()


def test_an_end_that_is_seen_many_times_is_one_end() -> None:
    budget = StartBudget().started(0.0).ended(1.0)
    assert budget.ended(1.5).ended(900.0) == budget
    assert [budget.may_start(now) for now in (1.0, 1.99, 2.0)] == ["later", "later", "now"]


def test_given_up_stays_given_up() -> None:
    budget = StartBudget(most=1).started(0.0).ended(1.0)
    assert [budget.may_start(now) for now in (1.0, 1e9)] == ["never", "never"]


@given(st.lists(st.tuples(st.floats(0, 59), st.floats(0, 100)), max_size=40), st.integers(1, 8), st.floats(0.01, 10))
def test_short_runs_are_never_started_more_often_than_allowed(runs: list[tuple[float, float]], most: int, first: float) -> None:
    budget, now, count = StartBudget(most, first), 0.0, 0
    for length, pause in runs:
        if budget.may_start(now) == "now":
            budget, count = budget.started(now), count + 1
            now += length
            budget = budget.ended(now)
            assert budget.may_start(now) != "now"
        now += pause
    assert count <= most
