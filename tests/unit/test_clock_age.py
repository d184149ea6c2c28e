"""How long ago a moment was, by the clock that counted more."""

from __future__ import annotations

import time

import pytest

from quorate import deadline
from quorate.deadline import age, moment
from unit.fakes import FakeClock


@pytest.mark.parametrize(
    ("passed", "wall", "least", "most"),
    [
        (0.0, 0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0, 1.0),
        (0.1, 0.12, 0.1, 0.1),
        (0.1, 20.0, 19.9, 20.0),
        (0.1, -20.0, 19.9, 20.2),
        (20.0, 0.1, 20.0, 40.0),
    ],
    ids=["now", "a second", "slewed", "a paused virtual machine", "a wall clock that was set back", "a suspended machine"],
)
def test_the_age_of_a_moment_is_that_of_the_clock_that_counted_more(
    passed: float, wall: float, least: float, most: float
) -> None:
    clock = FakeClock()
    then = moment(clock)
    clock.time += passed
    clock.wall_time += wall
    assert least - 1e-6 <= age(then, clock) <= most + 1e-6


def test_the_clock_counts_the_time_of_a_suspended_machine() -> None:
    assert getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC) == deadline._CLOCK
