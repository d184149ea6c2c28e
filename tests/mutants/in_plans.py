"""Safeguards in plans of several steps, in what counts as known, and in what is told at the end."""

from __future__ import annotations

from mutants.mutants import Mutant

CONVERGE = "core/decide_converge.py"
OUTCOME = "core/outcome.py"
LOOK = "etcd/membership/join_look.py"
STATE = "etcd/membership/join_state.py"
ROUTES = "etcd/client/routes.py"


def _converge(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_converge.py::{name}" for name in names)


def _counts(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_what_counts.py::{name}" for name in names)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "plan without a quorum",
        CONVERGE,
        "    if margin_of(view) < 0:\n",
        "    if margin_of(view) < -99:\n",
        _converge("test_what_is_refused"),
        "without a quorum nothing can be changed, and repair is not a plan's",
    ),
    Mutant(
        "plan takes silence for death",
        CONVERGE,
        "        if member.id in dead:\n",
        "        if member.id in dead or not dead:\n",
        _converge("test_one_look_of_silence_is_no_death"),
        "the new one goes first, as for a live voter",
    ),
    Mutant(
        "plan removes before it joins",
        CONVERGE,
        "if removal is not None and len(view.voters) > 1 and left >= before:",
        "if removal is not None and len(view.voters) > 1:",
        _converge("test_the_steps"),
        "no step lowers how many may fail",
    ),
    Mutant(
        "plan of fewer voters without consent",
        CONVERGE,
        "    if goal.accept_reduced_tolerance:\n",
        "    if goal.wanted:\n",
        _converge("test_what_is_refused"),
        "fewer voters tolerate fewer failures",
    ),
    Mutant(
        "plan with two members of one name",
        CONVERGE,
        "names = {member.name for member in unwanted if member.name}",
        "names = {member.name for member in unwanted if not member.name}",
        _converge("test_what_is_refused"),
        "two members of one name cannot be told apart",
    ),
    Mutant(
        "unknown vote is known",
        OUTCOME,
        "return isinstance(outcome, VoteUnknown | RemovalUnknown)",
        "return isinstance(outcome, RemovalUnknown)",
        _counts("test_an_end_that_nobody_knows_is_told_as_one"),
        "an exit code that says failed would be taken for undone",
    ),
    Mutant(
        "unknown removal is known",
        OUTCOME,
        "return isinstance(outcome, VoteUnknown | RemovalUnknown)",
        "return isinstance(outcome, VoteUnknown)",
        _counts("test_an_end_that_nobody_knows_is_told_as_one"),
        "an exit code that says failed would be taken for unchanged",
    ),
    Mutant(
        "unknown add is known",
        OUTCOME,
        "return outcome.member_id == 0",
        "return False",
        _counts("test_an_end_that_nobody_knows_is_told_as_one"),
        "without an id the add may yet arrive",
    ),
    Mutant(
        "identity from a local list",
        LOOK,
        "        if not view.linearizable:\n            return\n",
        "",
        _counts("test_a_join_learns_its_member_from_no_local_list"),
        "an old copy may show a member that is long gone at that URL",
    ),
    Mutant(
        "whoever is listed is ours",
        LOOK,
        "taken_up(memory, member.id, member.peer_urls)",
        "replace(memory, member_id=member.id, ours=bool(memory.adding), listed=True)",
        _counts("test_a_join_takes_a_learner_at_its_url_for_its_own_only_by_the_id"),
        "another operator's learner at the same URL was removed (U1)",
    ),
    Mutant(
        "identity changes",
        LOOK,
        "        if not memory.member_id:\n            member = view.by_peer_urls",
        "        if True:\n            member = view.by_peer_urls",
        _counts("test_a_join_keeps_the_id_that_it_learned_first"),
        "a later learner at that URL is another member (U1)",
    ),
    Mutant(
        "any change is progress",
        STATE,
        "return self.marks > other.marks or self.received > other.received or self.applied > other.applied",
        "return self != other",
        _counts("test_only_what_grows_is_progress"),
        "an etcd that is started again and again extended a join without end (T1)",
    ),
    Mutant(
        "furthest point is the last one",
        STATE,
        "return Progress(max(self.marks, other.marks), max(self.received, other.received), max(self.applied, other.applied))",
        "return self",
        _counts("test_only_what_grows_is_progress"),
        "data that is received again and again is no progress (T1)",
    ),
    Mutant(
        "advertised beats identified",
        ROUTES,
        "self._who.setdefault(endpoint, member_id)",
        "self._who[endpoint] = member_id",
        _counts("test_who_identified_himself_at_an_endpoint_is_believed_before_who_advertises_it"),
        "what a member advertises is whatever somebody typed there",
    ),
    Mutant(
        "ways to who is gone",
        ROUTES,
        "for endpoint, member in self._who.items() if member in member_ids}",
        "for endpoint, member in self._who.items()}",
        _counts("test_ways_to_members_that_are_listed_no_more_are_forgotten"),
        "whoever answers there now would be asked by accident",
    ),
)
