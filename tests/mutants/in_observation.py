"""Safeguards in what is seen of a cluster: lists, statuses, proofs, links, signs of life."""

from __future__ import annotations

from mutants.mutants import Mutant

READS = "etcd/observation/reads.py"
LOOK = "etcd/observation/look.py"
STATUSES = "etcd/observation/statuses.py"
PROOF = "etcd/observation/catch_up_proof.py"
WATCH = "etcd/observation/absence_watch.py"
COUNTERS = "etcd/observation/link_counters.py"
BEATS = "etcd/observation/heartbeats.py"
EVIDENCE = "etcd/membership/link_evidence.py"
TCP = "host/tcp_links.py"


def _reads(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_reads.py::{name}" for name in names)


def _statuses(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_statuses.py::{name}" for name in names)


_LAST_ANSWER = '    answer = _answer_of(candidate, Deadline(clock, candidate.patience, "the learner answers"))\n'


def _proof(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_catch_up_proof.py::{name}" for name in names)


def _links(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_link_evidence.py::{name}" for name in names)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "list without the flag",
        READS,
        "return _to_list(ask_members(channel, timeout=timeout, linearizable=True), ",
        "return _to_list(ask_members(channel, timeout=timeout, linearizable=False), ",
        _reads("test_a_list_is_asked_for_with_the_flag"),
        "without it a member answers from its own copy",
    ),
    Mutant(
        "list of an old member with the flag",
        READS,
        "if version is not None and version < _FLAG_SINCE:",
        "if version is not None and version < Version(3, 0, 0):",
        _reads("test_a_list_of_an_old_member_is_read_behind_a_range"),
        "3.4 ignores the flag without a word",
    ),
    Mutant(
        "Range of another member",
        READS,
        '"range" if asked in (None, answer.header.member_id) else "local"',
        '"range"',
        _reads("test_a_list_behind_a_range_of_another_member_is_local"),
        "an address may lead to another member each time",
    ),
    Mutant(
        "Range that is not linearizable",
        READS,
        "wire.RangeRequest(key=READ_KEY, count_only=True)",
        "wire.RangeRequest(key=READ_KEY, count_only=True, serializable=True)",
        _reads("test_a_list_of_an_old_member_is_read_behind_a_range", "test_a_list_behind_a_range_that_failed_is_none"),
        "a member that is cut off answers a serializable read",
    ),
    Mutant(
        "flag of a version that ignores it",
        LOOK,
        " and Version.told(answer.version) >= _FLAG_SINCE\n        return one",
        "\n        return one",
        _reads("test_a_look_takes_no_list_with_the_flag_from_a_member_that_ignores_it"),
        "the first look does not know the version yet",
        "a list that came by the flag from an old member is always asked for again behind a Range, which takes its place",
    ),
    Mutant(
        "old member is not asked again",
        LOOK,
        'if done.done() and not done.exception() and done.result().how == "flag":',
        'if done.done() and not done.exception() and done.result().how == "local":',
        _reads("test_a_look_asks_a_member_that_ignores_the_flag_again_behind_a_range"),
        "a look at a healthy 3.4 would prove nothing",
    ),
    Mutant(
        "flag of another member's version",
        LOOK,
        "follows = answer is not None and answer.member_id == one.member_id and",
        "follows = answer is not None and",
        _reads("test_a_look_takes_no_list_with_the_flag_for_that_of_another_member"),
        "two members behind one address may be of two versions",
    ),
    Mutant(
        "reads that were not linearizable",
        LOOK,
        "read_by=frozenset(one.member_id for one in self._lists() if one.linearizable),",
        "read_by=frozenset(answer.member_id for answer in self.statuses.answers().values()),",
        _reads("test_a_look_counts_only_voters_that_answered_a_linearizable_read"),
        "a voter that is cut off answers, and follows nobody (S1)",
    ),
    Mutant(
        "first list wins",
        LOOK,
        "        good = next((one for one in lists if one.linearizable), None)\n        if good is not None:",
        "        good = next(iter(self._local_lists()), None)\n        if good is not None:",
        _reads("test_a_look_prefers_the_list_that_was_read_through_the_quorum"),
        "whichever list came first was believed (K2)",
    ),
    Mutant(
        "two clusters",
        LOOK,
        "        if strangers:\n",
        "        if len(strangers) > 9:\n",
        _reads("test_a_look_refuses_seeds_of_two_clusters", "test_a_look_refuses_another_cluster_than_at_the_beginning"),
        "the other cluster's list made the undo wipe a voter (X1)",
    ),
    Mutant(
        "another cluster at an advertised URL",
        LOOK,
        "            if cluster_id != self.access.routes.cluster_id:\n",
        "            if not cluster_id:\n",
        _reads("test_a_look_drops_another_cluster_at_a_url_that_a_member_advertises"),
        "who answers there is no member of this cluster",
    ),
    Mutant(
        "members known by their URL",
        LOOK,
        "own = [answer for answer in answers.values() if answer.member_id == member.id]",
        "own = [answers[way] for way in _advertised(member) if way in answers]",
        _reads(
            "test_a_look_knows_a_member_by_its_id_wherever_it_answers",
            "test_a_look_takes_no_answer_of_another_member_for_that_of_a_member",
        ),
        "behind an address translation a healthy cluster looked dead (A1)",
    ),
    Mutant(
        "leaving member is asked",
        LOOK,
        "if endpoint in self.statuses.asked or routes.member_at(endpoint) in self.unasked:",
        "if endpoint in self.statuses.asked:",
        _reads("test_a_look_asks_nothing_of_a_member_that_is_about_to_be_removed"),
        "a Status in flight while it applies its removal makes it panic",
    ),
    Mutant(
        "view as old as its end",
        LOOK,
        "            taken_at=taken_at,\n",
        "            taken_at=self.clock.now(),\n",
        _reads("test_a_view_of_a_look_is_as_old_as_its_beginning"),
        "the first answer of a look is as old as its beginning",
    ),
    Mutant(
        "open question is asked again",
        STATUSES,
        "if earlier is not None and (not earlier.done() or self._is_fresh(earlier)):",
        "if earlier is not None and earlier.done() and self._is_fresh(earlier):",
        _statuses("test_a_question_that_is_still_open_is_taken_over"),
        "a member that stands still would hold a thread for each look",
    ),
    Mutant(
        "late one is waited for again",
        STATUSES,
        "                self._late.add(endpoint)\n",
        "",
        _statuses("test_a_question_that_was_late_once_is_not_waited_for_again"),
        "a member that stands still would cost one patience each look",
    ),
    Mutant(
        "old answer counts",
        STATUSES,
        "self.clock.now() - earlier.result().at < _KEPT_SECONDS",
        "self.clock.now() - earlier.result().at < 100 * _KEPT_SECONDS",
        _statuses("test_an_answer_that_is_old_is_asked_for_anew"),
        "what a member said before says nothing of now",
    ),
    Mutant(
        "removal beside an open question",
        STATUSES,
        "if place in access.open_statuses], timeout=STATUS_SECONDS)",
        "if place in access.open_statuses], timeout=0)",
        _statuses("test_a_question_is_settled_before_a_member_is_removed"),
        "a Status in flight while it applies its removal makes it panic",
    ),
    Mutant(
        "answer that was dropped",
        STATUSES,
        "in self._outcomes() if place not in self._dropped]",
        "in self._outcomes()]",
        _statuses("test_a_question_that_was_dropped_is_no_answer"),
        "it came from another cluster",
    ),
    Mutant(
        "proof of whoever answers",
        PROOF,
        "same = (answer.member_id, answer.cluster_id) == (candidate.member.id, candidate.cluster_id)",
        "same = True",
        _proof("test_a_learner_is_not_proved_by"),
        "another member may answer at that address",
    ),
    Mutant(
        "proof of a voter",
        PROOF,
        "return answer if same and answer.is_learner else None",
        "return answer if same else None",
        _proof("test_a_learner_is_not_proved_by"),
        "somebody has promoted it meanwhile",
    ),
    Mutant(
        "proof without the data",
        PROOF,
        "if answer is not None and answer.applied_index >= leader.raft_index:",
        "if answer is not None:",
        _proof("test_a_learner_that_applies_a_moment_later_is_proved"),
        "aligned is who has applied what was just written",
    ),
    Mutant(
        "last answer without the data",
        PROOF,
        "if answer is None or answer.applied_index < proof.target_index:",
        "if answer is None:",
        _proof("test_a_learner_whose_data_went_back_while_the_page_was_read_is_not_proved"),
        "its etcd was started again on older data",
    ),
    Mutant(
        "proof across two terms",
        PROOF,
        "if leader.raft_term != written.raft_term or leader.leader != leader.member_id:",
        "if leader.leader != leader.member_id:",
        _proof("test_a_write_in_another_term_proves_nothing"),
        "the index of another leader's log is another index",
    ),
    Mutant(
        "proof by who leads no more",
        PROOF,
        "if leader.raft_term != written.raft_term or leader.leader != leader.member_id:",
        "if leader.raft_term != written.raft_term:",
        _proof("test_a_leader_that_leads_no_more_proves_nothing"),
        "the promotion would go to a follower, which forwards it blindly",
    ),
    Mutant(
        "proof as old as its answer",
        PROOF,
        f"    asked = moment(clock)\n{_LAST_ANSWER}",
        f"{_LAST_ANSWER}    asked = moment(clock)\n",
        _proof("test_a_proof_is_as_old_as_the_question"),
        "the learner may have died on the way of its answer",
    ),
    Mutant(
        "voter that calls itself a learner",
        PROOF,
        "if answer.is_learner or answer.member_id != member.id:",
        "if not answer.member_id:",
        _proof("test_a_voter_does_not_serve_that_calls_itself_a_learner_or_somebody_else"),
        "a 3.5 that never wrote the promotion down is a learner again (issue 19557)",
    ),
    Mutant(
        "voter that reads nothing",
        PROOF,
        "        reads_through_quorum(own, timeout=timeout)\n",
        "",
        _proof("test_a_voter_does_not_serve_that_reads_nothing_through_the_quorum"),
        "who is cut off does not serve",
    ),
    Mutant(
        "voter by one list",
        PROOF,
        "for one in lists) >= quorum(len(lists)) > 0",
        "for one in lists) >= 1",
        _proof("test_a_voter_does_not_serve_that_most_others_list_as_a_learner"),
        "a majority counts it, or it is none",
    ),
    Mutant(
        "leader of a local list",
        WATCH,
        "received = None if answered or not view.linearizable else received_from",
        "received = None if answered else received_from",
        ("unit/test_absence.py::test_a_watch_takes_no_word_of_a_leader_that_is_cut_off",),
        "a leader that is cut off hears nobody",
    ),
    Mutant(
        "no metrics are silence",
        WATCH,
        "or pages.keys() != {voter.id for voter in voters}:",
        "or not pages:",
        ("unit/test_absence.py::test_a_watch_needs_the_count_of_every_voter_that_answers",),
        "the one that cannot be read may be the one that hears it",
    ),
    Mutant(
        "long window",
        BEATS,
        "periods = int((end.got_at - start.asked_at) / PERIOD_SECONDS) + 1",
        "periods = 1",
        _links("test_counters_show_a_link_only_where_no_stream_can_make_up_for_another"),
        "in a longer window one stream makes up for another",
    ),
    Mutant(
        "window without the way",
        BEATS,
        "int((end.got_at - start.asked_at) / PERIOD_SECONDS)",
        "int((end.asked_at - start.got_at) / PERIOD_SECONDS)",
        _links("test_counters_measure_a_window_from_question_to_answer"),
        "a counter is read at some moment between question and answer",
    ),
    Mutant(
        "one stream of two",
        BEATS,
        "(3, 6): 40,",
        "(3, 6): 20,",
        _links("test_heartbeats_count_what_the_version_counts"),
        "both streams of a link carry what raft needs",
    ),
    Mutant(
        "counter that fell",
        COUNTERS,
        "if kept and sample.began != kept[-1].began:",
        "if kept and sample.began < 0:",
        _links("test_a_counter_that_fell_was_restarted_and_what_was_counted_before_says_nothing"),
        "what was counted before a restart says nothing",
    ),
    Mutant(
        "one end hears",
        COUNTERS,
        "{voter: full[voter] and full[member_id] for voter in known",
        "{voter: full[member_id] for voter in known",
        _links("test_a_link_is_not_seen_when_one_end_does_not_hear_everybody"),
        "a link works both ways or not at all",
    ),
    Mutant(
        "counters beside a silent member",
        COUNTERS,
        "return frozenset(one for one in silent if self._is_mute(one))",
        "return frozenset(silent)",
        _links("test_a_silent_member_is_left_out_of_the_count_only_when_nobody_has_heard_it_for_a_while"),
        "one that only we cannot reach would stand in for a link that is cut",
    ),
    Mutant(
        "link missing at once",
        EVIDENCE,
        "for other, works in seen.items() if works or self._is_missing(track, other)}",
        "for other, works in seen.items()}",
        _links("test_a_link_is_looked_for_a_while_before_it_counts_as_missing"),
        "peers dial a new member within a tenth of a second, not at once",
    ),
    Mutant(
        "link is never missing",
        EVIDENCE,
        "self.clock.now()) >= PATIENCE_SECONDS",
        "self.clock.now()) >= 100 * PATIENCE_SECONDS",
        _links("test_a_link_is_looked_for_a_while_before_it_counts_as_missing"),
        "a learner that only the leader reaches was promoted (S3)",
    ),
    Mutant(
        "connection that loses everything",
        TCP,
        "one.local[1] in own_ports and one.heard]",
        "one.local[1] in own_ports]",
        _links("test_a_peer_is_not_linked_on_half_of_it"),
        "an established connection whose packets are lost is no link",
    ),
    Mutant(
        "they dialed us",
        TCP,
        "member: _we_dialed(table, known[member]) and _they_dialed",
        "member: _they_dialed",
        _links("test_a_peer_is_not_linked_on_half_of_it"),
        "raft needs both directions",
    ),
    Mutant(
        "we dialed them",
        TCP,
        "if by_address >= _STREAMS * sharing:",
        "if by_address >= 0:",
        _links("test_a_peer_is_not_linked_on_half_of_it"),
        "raft needs both directions",
    ),
    Mutant(
        "one address for several peers",
        TCP,
        "if by_address >= _STREAMS * sharing:",
        "if by_address >= _STREAMS:",
        _links("test_peers_behind_one_address_need_as_many_connections_as_all_of_them"),
        "the connections of one peer would count for its neighbour",
    ),
    Mutant(
        "strangers for one peer",
        TCP,
        "return strangers >= _STREAMS * max(unmatched, 1)",
        "return strangers >= _STREAMS",
        _links("test_connections_from_an_unknown_address_count_only_when_they_are_enough_for_all"),
        "behind a translation nobody knows whose they are",
    ),
    Mutant(
        "connections that are none yet",
        TCP,
        "hears = one.received > 0 and ",
        "hears = ",
        _links("test_a_connection_counts_by_what_it_has_carried_lately"),
        "a connection that was made a moment ago has carried nothing yet",
    ),
)
