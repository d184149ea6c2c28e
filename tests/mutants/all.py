"""All mutants, in the order in which they are run."""

from __future__ import annotations

from mutants import (
    in_autopilot,
    in_coordination,
    in_decisions,
    in_invariants,
    in_last_word,
    in_membership,
    in_memory,
    in_newest,
    in_observation,
    in_one_way,
    in_plans,
    in_quorum,
)
from mutants.mutants import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *in_invariants.MUTANTS,
    *in_quorum.MUTANTS,
    *in_decisions.MUTANTS,
    *in_memory.MUTANTS,
    *in_membership.MUTANTS,
    *in_observation.MUTANTS,
    *in_coordination.MUTANTS,
    *in_plans.MUTANTS,
    *in_newest.MUTANTS,
    *in_one_way.MUTANTS,
    *in_autopilot.MUTANTS,
    *in_last_word.MUTANTS,
)
