"""Each guard and each rule of the autopilot."""

from __future__ import annotations

from mutants.mutants import Mutant

GUARDS, REPLACE = "core/autopilot/guards.py", "core/autopilot/replacement.py"
SIZE, SPREAD, CASE, SIGHT = (f"core/autopilot/{name}.py" for name in ("size", "spread", "case", "sight"))
T = "unit/test_decide_autopilot.py::test_"
STAYS = T + "a_lost_voter_stays_where_something_speaks_against"
UNSURE = T + "what_is_not_sure_changes_nothing"
SEAT = T + "a_standby_goes_for_a_join_that_waits_for_its_seat"
WAITS = T + "the_spread_waits"
GROWS = T + "a_missing_voter_is_made_of_a_learner_that_is_ours_and_aligned"
MADE = T + "a_missing_standby_is_made_where_a_program_does_it"


def _one(name: str, file: str, before: str, after: str, test: str, why: str) -> Mutant:
    return Mutant(f"autopilot: {name}", file, before, after, (test,), why)


MUTANTS: tuple[Mutant, ...] = (
    _one("pause", GUARDS, "if until is None or until <= case.now:", "if True:", STAYS, "an operator paused it"),
    _one(
        "two writers",
        GUARDS,
        "if before.digest != last.digest or between.digest == last.digest:",
        "if True:",
        T + "two_writers_of_policies_are_named_and_stop_everything",
        "it would grow and shrink in turn",
    ),
    _one("no quorum", GUARDS, "if margin_of(view) >= 0:", "if True:", UNSURE, "only starting voters helps"),
    _one(
        "no list",
        GUARDS,
        "return None if case.view.linearizable else without_list()",
        "return None",
        UNSURE,
        "one member's copy may be old",
    ),
    _one("old look", GUARDS, "if age <= STALE_SECONDS:", "if True:", UNSURE, "it says nothing about now"),
    _one("alarm", GUARDS, "if not case.view.alarms:", "if True:", UNSURE, "where members differ no copy is known to be right"),
    _one("alarms", GUARDS, "if not case.view.alarms_known:", "if False:", UNSURE, "NOSPACE may be raised"),
    _one("brake", GUARDS, "if together is None:", "if True:", UNSURE, "five voters were walked down to one (consul#5922)"),
    _one("hold", REPLACE, "    if case.is_held(dead):", "    if False:", STAYS, "an operator knows more"),
    _one(
        "time of the proof",
        REPLACE,
        " or absence.seconds < case.policy.after:",
        ":",
        STAYS,
        "a machine restarts in minutes",
    ),
    _one("age of the proof", REPLACE, "not absence.holds(dead.id, case.now)", "False", STAYS, "it may have come back"),
    _one("looks of the proof", REPLACE, "if absence.looks < LEAST_LOOKS:", "if False:", STAYS, "one cut is no silence"),
    _one("somebody's change", REPLACE, "    if case.memory.busy:", "    if False:", STAYS, "two changes at a time"),
    _one("one in a time", REPLACE, "    if recent:", "    if False:", STAYS, "something kills members"),
    _one("some in a day", REPLACE, "if len(today) >= case.policy.day:", "if False:", STAYS, "something kills members"),
    _one(
        "voter that never started",
        REPLACE,
        "    if not dead.started:",
        "    if False:",
        T + "a_voter_that_never_started_is_somebodys_half_made_join",
        "its join may go on",
    ),
    _one(
        "removal without a successor",
        REPLACE,
        "    if case.swap() is not None:",
        "    if True:",
        T + "a_lost_voter_is_replaced_by_the_standby_that_is_proved",
        "it gains nothing, and its return would restore the margin",
    ),
    _one(
        "standby at somebody's work",
        CASE,
        "return [one for one in marked if one.id not in self.memory.joining]",
        "return marked",
        STAYS,
        "a join is at work on it",
    ),
    _one(
        "vote without an API server",
        CASE,
        "return not self.memory.is_stacked or standby.id in self.memory.prepared",
        "return True",
        STAYS,
        "the control plane stays as small as the loss made it",
    ),
    _one(
        "vote of a node that lives",
        SPREAD,
        "if case.memory.is_stacked or len(voters)",
        "if len(voters)",
        WAITS,
        "its API server would have no etcd",
    ),
    _one(
        "change of zones that is over",
        CASE,
        " or len(voters) <= self.policy.voters:",
        ":",
        WAITS,
        "both may be voters for other reasons",
    ),
    _one(
        "learner of others",
        SIZE,
        'return case.policy.promote == "any" or learner.id in',
        "return True or learner.id in",
        GROWS,
        "another tool's join, or a leftover",
    ),
    _one(
        "learner at work",
        SIZE,
        "mine = [one for one in case.view.learners if one.id not in case.memory.joining and",
        "mine = [one for one in case.view.learners if",
        GROWS,
        "its join promotes it",
    ),
    _one("aligned for long", SIZE, "or aligned >= case.policy.aligned_for):", "or True):", GROWS, "it may flap"),
    _one(
        "no more than wanted",
        SIZE,
        "    if len(case.view.voters) >= case.policy.voters:",
        "    if False:",
        STAYS,
        "it never grows beyond",
    ),
    _one(
        "seat while a voter is silent",
        SIZE,
        "    if silent:",
        "    if False:",
        SEAT,
        "the standby may be needed in a moment",
    ),
    _one(
        "seat that is held",
        SIZE,
        "free = [one for one in standbys if not case.is_held(one)]",
        "free = standbys",
        SEAT,
        "an operator knows more",
    ),
    _one(
        "seat of a join at work",
        SIZE,
        "or not standbys or case.memory.joining or",
        "or not standbys or",
        SEAT,
        "its seat is not the standby's",
    ),
    _one(
        "program at work",
        SIZE,
        '        case "at work":',
        '        case "at home":',
        MADE,
        "a second one would make a second standby",
    ),
    _one(
        "blind",
        SIZE,
        "if case.policy.after is None or not blind:",
        "if True:",
        T + "a_loss_that_could_not_be_proved_is_said_before_it",
        "nobody would know before a loss",
    ),
    _one(
        "spread that is no better",
        SPREAD,
        "if _after(case, voter, standby) < now:",
        "if _after(case, voter, standby) <= now:",
        WAITS,
        "votes would move for ever",
    ),
    _one(
        "zones that are not known",
        SPREAD,
        " or not _all_zones_known(case.policy, voters):",
        ":",
        WAITS,
        "nothing can be compared",
    ),
    _one(
        "spread while a voter is silent",
        SPREAD,
        '    if silent:\n        return Wait("silent", f"{why}, which',
        '    if False:\n        return Wait("silent", f"{why}, which',
        WAITS,
        "a live voter would go beside a dead one",
    ),
    _one("spread that is held", SPREAD, "    if case.is_held(leaves):", "    if False:", WAITS, "an operator knows more"),
    _one(
        "leader that goes",
        SPREAD,
        "    if leader is not None and leader.id == leaves.id:",
        "    if False:",
        T + "a_vote_goes_to_the_zone_that_has_none",
        "its removal would stop writes for an election",
    ),
)
