"""The list of mutants fits the code, and some of them are tried; `make mutants` tries all."""

from __future__ import annotations

from datetime import UTC, datetime

from mutants.all import MUTANTS
from mutants.mutants import Mutant, problems
from mutants.run import describe, run

SAMPLE = 10


def of_the_day(day: int) -> list[Mutant]:
    """Ten of them; within days every one has had its turn. `make mutants` tells the same on any day."""
    groups = -(-len(MUTANTS) // SAMPLE)
    return list(MUTANTS[day % groups :: groups])


def test_every_mutant_names_one_place_in_the_code_and_tests_that_exist() -> None:
    assert list(problems(MUTANTS)) == []
    assert len(MUTANTS) >= 45


def test_every_mutant_has_its_day() -> None:
    groups = -(-len(MUTANTS) // SAMPLE)
    assert {mutant.name for day in range(groups) for mutant in of_the_day(day)} == {mutant.name for mutant in MUTANTS}
    assert all(len(of_the_day(day)) <= SAMPLE for day in range(groups))


def test_mutants_of_today_are_killed() -> None:
    today = datetime.now(UTC).toordinal()
    alive = [describe(result) for result in run(of_the_day(today)) if not result.is_fine]
    assert not alive, "\n".join(alive)
