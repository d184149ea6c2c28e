"""Safeguards in what a join, its undo and a removal decide."""

from __future__ import annotations

from mutants.mutants import Mutant

GROW = "core/decide_join.py"
UNDO = "core/decide_undo.py"
REMOVE = "core/decide_remove.py"
HEIRS = "core/heirs.py"
RESTARTS = "core/restarts.py"


def _grow(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_grow_rules.py::{name}" for name in names)


def _decide(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_decide.py::{name}" for name in names)


def _undo(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_undo_rules.py::{name}" for name in names)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "joiner known by its URL",
        GROW,
        "return self.view.by_id(member_id) if member_id else self.view.by_peer_urls(self.joiner.peer_urls)",
        "return self.view.by_peer_urls(self.joiner.peer_urls)",
        _grow("test_a_join_knows_its_member_by_id_when_an_operator_corrects_the_peer_url"),
        "an operator corrected the URL and promoted it, and the undo stopped that voter (U2)",
    ),
    Mutant(
        "removed by somebody and added again",
        GROW,
        "if known and listed is None:",
        "if known and listed is not listed:",
        _grow("test_a_join_does_not_add_again_what_somebody_removed"),
        "adding it again would undo what somebody else decided (U1)",
    ),
    Mutant(
        "voter that answers is started",
        GROW,
        "if case.answer is not None:\n        # It answers",
        "if case.answer is case:\n        # It answers",
        _grow("test_a_join_does_not_start_a_voter_that_answers"),
        "a second etcd was spawned beside a healthy voter (V1)",
    ),
    Mutant(
        "empty voter is started",
        GROW,
        "if not case.joiner.has_data and not (case",
        "if not case.joiner.process and not (case",
        _grow("test_a_join_does_not_start_a_voter_whose_data_is_gone"),
        "a voter that forgot what it acknowledged could let the others lose it",
    ),
    Mutant(
        "legacy voter is started empty again",
        GROW,
        "(case.goal.voter_join and not case.voter.started)",
        "case.goal.voter_join",
        _grow("test_a_legacy_join_starts_its_empty_voter_only_while_nobody_has_seen_it_run"),
        "it ran once, so its data is gone",
    ),
    Mutant(
        "learner that answers is started",
        GROW,
        'case.joiner.process != "absent" or case.answer is not None:',
        'case.joiner.process != "absent":',
        _grow("test_a_join_does_not_start_a_learner_that_answers"),
        "somebody else runs it",
    ),
    Mutant(
        "restart again and again",
        GROW,
        "if not joiner.can_restart or joiner.memory.restarted or",
        "if not joiner.can_restart or",
        _decide("test_no_restart_twice_nor_where_it_cannot_be_done_nor_without_evidence"),
        "one restart ends the wait for a lost publish; a second has another cause",
    ),
    Mutant(
        "restart without grace",
        GROW,
        "if case.now - joiner.listed_itself_at < RESTART_GRACE_SECONDS:",
        "if case.now < joiner.listed_itself_at:",
        _decide("test_a_lost_publish_gets_one_restart_after_a_grace"),
        "one that lost nothing opens its port in a moment",
    ),
    Mutant(
        "changes while the list is local",
        GROW,
        "sure = view.leader is not None and view.linearizable",
        "sure = view.leader is not None",
        _grow("test_a_join_does_nothing_while_the_list_is_local"),
        "one member's own copy is as old as that member has been cut off",
    ),
    Mutant(
        "changes without a leader",
        GROW,
        "sure = view.leader is not None and view.linearizable",
        "sure = view.linearizable",
        _grow("test_a_join_does_nothing_without_a_leader"),
        "in an election nothing is known",
    ),
    Mutant(
        "starts without end",
        GROW,
        'if case.joiner.may_start == "never":',
        'if case.joiner.may_start == "":',
        _grow("test_a_join_starts_an_etcd_that_ended_later_and_at_last_never"),
        "an etcd whose port is taken ends again and again (V2)",
    ),
    Mutant(
        "starts without pause",
        GROW,
        'if case.joiner.may_start == "later":',
        'if case.joiner.may_start == "":',
        _grow("test_a_join_starts_an_etcd_that_ended_later_and_at_last_never"),
        "it was started 54 times in ten seconds (V2)",
    ),
    Mutant(
        "the budget of starts is endless",
        RESTARTS,
        'if runs >= self.most:\n            return "never"',
        'if runs >= 99 * self.most:\n            return "never"',
        ("unit/test_restarts.py::test_given_up_stays_given_up",),
        "what ends five times at once ends a sixth time",
    ),
    Mutant(
        "ends that nobody reports cost nothing",
        RESTARTS,
        "return self.short_runs + (self.started_at is not None and self.ended_at is None)",
        "return self.short_runs",
        ("unit/test_restarts.py::test_ends_that_nobody_reports_are_counted_at_the_next_start",),
        "a process may end between two looks",
    ),
    Mutant(
        "promotion before links are up",
        GROW,
        "if case.learner is None or not case.joiner.links_pending:",
        "if case.learner is None or case.joiner.links_pending is not None:",
        _grow("test_a_join_waits_for_links_before_it_proves_and_promotes"),
        "a voter that the others cannot reach adds to the quorum only (S3)",
    ),
    Mutant(
        "verified last",
        GROW,
        "    verify_promoted,\n    add_missing,\n    start_absent,\n",
        "    add_missing,\n    verify_promoted,\n    start_absent,\n",
        _grow("test_a_join_verifies_who_has_a_vote_before_anything_else_is_changed"),
        "a new voter is seen to serve before anything else changes",
    ),
    Mutant(
        "started before all are added",
        GROW,
        "    add_missing,\n    start_absent,\n",
        "    start_absent,\n    add_missing,\n",
        _grow("test_a_join_adds_all_before_it_starts_one"),
        "a joiner whose --initial-cluster is shorter than the list will not start",
    ),
    Mutant(
        "added while a joiner compares the list",
        GROW,
        "if any(_is_settling(other) for other in _others(case)):",
        "if any(_is_settling(other) for other in ()):",
        _decide("test_nothing_is_added_while_a_joiner_compares_the_list"),
        "a new row would make it give up",
    ),
    Mutant(
        "promotion with a stale proof",
        GROW,
        "if not case.joiner.proof.holds(member_id=case.learner.id, cluster_id=case.view.cluster_id, now=case.now):",
        "if not case.joiner.proof.rounds:",
        _decide("test_a_stale_proof_is_made_again_and_not_used"),
        "a proof says nothing of a minute later",
    ),
    Mutant(
        "promotion of a silent learner",
        GROW,
        "if case.learner is None or case.joiner.proof is None or case.answer is None or case.goal.ends_as",
        "if case.learner is None or case.joiner.proof is None or case.goal.ends_as",
        _decide("test_a_silent_learner_is_never_promoted_whatever_proof_there_is"),
        "etcd promotes the dead",
    ),
    Mutant(
        "undo on a local list",
        UNDO,
        "if not view.linearizable:",
        "if not view.members:",
        _undo("test_an_undo_waits_for_a_list_that_is_read_through_the_quorum"),
        "the list of a voter that was cut off lacks the new voter, whose data was deleted (S2)",
    ),
    Mutant(
        "undo stops before it removes",
        UNDO,
        "return refusal or Do(Remove(member.id, owned=True))",
        "return refusal or Do(StopMember(goal.name, member.id) if goal.running else Remove(member.id, owned=True))",
        _undo("test_an_undo_removes_stops_and_deletes_in_this_order"),
        "a learner that somebody promoted in between was a stopped voter (decision 19)",
    ),
    Mutant(
        "undo deletes before it stops",
        UNDO,
        "    if goal.running:\n        return Do(StopMember(goal.name, goal.memory.member_id))\n",
        "    if goal.running and not goal.has_leftovers:\n        return Do(StopMember(goal.name, goal.memory.member_id))\n",
        _undo("test_an_undo_removes_stops_and_deletes_in_this_order"),
        "an etcd that runs writes again what is deleted",
    ),
    Mutant(
        "absent with an add that was not answered",
        UNDO,
        "if goal.memory.member_id == 0 and goal.memory.adding:",
        "if goal.memory.member_id == 1 and goal.memory.adding:",
        _undo("test_an_undo_after_an_add_without_an_answer_does_not_know_what_absent_means"),
        "the add may still arrive, and the learner would keep the seat",
    ),
    Mutant(
        "undo after a vote was asked for",
        UNDO,
        "    if goal.memory.may_vote:\n",
        '    if goal.memory.vote == "given":\n',
        _undo("test_an_undo_does_nothing_once_a_vote_was_asked_for"),
        "a promotion was carried out 17 s later by another leader",
    ),
    Mutant(
        "undo takes somebody else's learner",
        UNDO,
        "    if not is_ours(member, goal.memory):\n",
        "    if not is_ours(member, goal.memory) and not member.is_learner:\n",
        _undo("test_an_undo_keeps_the_learner_of_somebody_else"),
        "another operator's learner was removed (U1)",
    ),
    Mutant(
        "every learner of a known id is ours",
        UNDO,
        "return memory.ours and memory.member_id == member.id",
        "return memory.member_id == member.id",
        _undo("test_whose_a_learner_is_follows_from_its_id", "test_an_undo_keeps_the_learner_of_somebody_else"),
        "a learner that was taken up is somebody else's",
    ),
    Mutant(
        "every add of the URL is ours",
        UNDO,
        "return bool(memory.adding) and is_our_add(member.id, member.peer_urls, memory.adding)",
        "return bool(memory.adding)",
        _undo("test_an_undo_recognises_the_member_of_an_add_whose_answer_was_lost"),
        "the record of a killed run made another's later learner ours (U3)",
    ),
    Mutant(
        "undo knows its member by the URL",
        UNDO,
        "        return view.by_id(goal.memory.member_id)\n",
        "        return view.by_peer_urls(goal.peer_urls)\n",
        _undo("test_an_undo_knows_its_member_by_id_and_leaves_a_later_one_at_its_url"),
        "URLs are edited and used again, ids never return (U2)",
    ),
    Mutant(
        "undo deletes data of nobody's",
        UNDO,
        "if goal.memory.member_id == 0 and goal.has_data:",
        "if goal.memory.member_id == 1 and goal.has_data:",
        _undo("test_an_undo_leaves_data_that_no_member_of_this_join_wrote"),
        "this join registered nothing, so the data is not its own",
    ),
    Mutant(
        "undo removes a voter",
        UNDO,
        "    if not member.is_learner:\n        ours =",
        "    if not member.id:\n        ours =",
        _undo("test_an_undo_keeps_a_voter_and_starts_it_where_it_stopped"),
        "a promotion is never undone",
    ),
    Mutant(
        "stopped voter stays stopped",
        UNDO,
        "if not goal.running and goal.has_data and ours:",
        "if not goal.name:",
        _undo("test_an_undo_keeps_a_voter_and_starts_it_where_it_stopped"),
        "its vote may be the one that the quorum is missing",
    ),
    Mutant(
        "removed by a local list",
        REMOVE,
        "if not view.linearizable:",
        "if not view.members:",
        ("unit/test_leave_rules.py::test_a_removal_is_not_done_by_a_local_list",),
        "f was still listed when it was called removed (X1r)",
    ),
    Mutant(
        "leader is removed at once",
        REMOVE,
        "if leader.id == goal.member_id and len(view.voters) > 1:",
        "if leader.id == goal.member_id and len(view.voters) > 99:",
        _decide("test_a_follower_is_removed_at_once_and_a_leader_hands_over_first"),
        "the removal of a leader costs an election",
    ),
    Mutant(
        "heir that lags",
        HEIRS,
        "if one not in tried and view.may_lead(one) and carries(",
        "if one not in tried and carries(",
        ("unit/test_heirs.py::test_a_voter_that_is_far_behind_takes_over_from_nobody",),
        "the others hold newer entries and refuse it their votes",
    ),
    Mutant(
        "heir that reaches too few",
        HEIRS,
        " and carries(one, stay, view.linked)]",
        "]",
        ("unit/test_heirs.py::test_no_follower_of_a_star_takes_over",),
        "leadership moved to and fro, and writes stopped for most of a minute (L2)",
    ),
    Mutant(
        "heir that was tried",
        HEIRS,
        "if one not in tried and",
        "if",
        ("unit/test_heirs.py::test_the_voter_with_most_links_that_are_known_takes_over",),
        "each try stops writes for an election timeout",
    ),
)
