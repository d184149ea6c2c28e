"""Safeguards for links that are cut in one direction only."""

from __future__ import annotations

from mutants.mutants import Mutant

PROOF, WATCH = "etcd/observation/catch_up_proof.py", "etcd/observation/absence_watch.py"
INVARIANTS, WORLDS, REMOVAL = "core/invariants.py", "core/link_worlds.py", "core/removal_worlds.py"


def _one(name: str, file: str, before: str, after: str, test: str, why: str) -> Mutant:
    return Mutant(name, file, before, after, ("unit/test_" + test,), why)


MUTANTS: tuple[Mutant, ...] = (
    _one(
        "learner that the leader does not hear",
        PROOF,
        "    if heard is False:\n        return _NOT_HEARD\n",
        "",
        "catch_up_proof.py::test_a_learner_that_the_leader_does_not_hear_is_not_proved",
        "one voter promoted it, and the two had no quorum",
    ),
    _one(
        "page of one that does not lead",
        PROOF,
        "if before is None or not before.leads:",
        "if before is None:",
        "catch_up_proof.py::test_without_the_leaders_own_page_nothing_is_known_of_the_way_back",
        "what a follower receives from the learner says nothing",
    ),
    _one(
        "page of one that leads no more",
        PROOF,
        "if page is None or not page.leads:",
        "if page is None:",
        "catch_up_proof.py::test_without_the_leaders_own_page_nothing_is_known_of_the_way_back",
        "the way back to another leader is another way",
    ),
    _one(
        "learner that died behind the page",
        PROOF,
        "if answer is None or answer.applied_index < proof.target_index:",
        "if False:",
        "catch_up_proof.py::test_a_learner_that_died_while_the_page_was_read_is_not_proved",
        "the proof would be older than it says",
    ),
    _one(
        "way back that nobody saw",
        INVARIANTS,
        "if leader is not None and not action.proof.heard:",
        "if False:",
        "link_worlds.py::test_a_vote_of_which_the_way_back_is_not_known_does_not_carry_a_quorum",
        "an assumption is no quorum",
    ),
    _one(
        "view alone is judged",
        REMOVAL,
        "    for world in worlds:\n",
        "    for world in worlds[:1]:\n",
        "heirs.py::test_a_cut_between_followers_is_counted_on_both_sides_of_a_removal",
        "a live voter left without consent",
    ),
    _one(
        "doubt is no objection",
        REMOVAL,
        "    if view.links.doubtful:\n",
        "    if False:\n",
        "link_worlds.py::test_what_cannot_be_told_needs_consent",
        "what cannot be counted may cost anything",
    ),
    _one(
        "one size for all versions",
        "etcd/observation/heartbeats.py",
        "return _MIXED.get((receiver.series, sender.series), own)",
        "return own",
        "link_evidence.py::test_a_beat_counts_what_its_receiver_and_its_sender_make_of_it",
        "one 3.6 member counted as five at a 3.7 one",
    ),
    _one(
        "silent voter that lives",
        REMOVAL,
        "    return _lowers_if_alive(view, target)\n",
        "    return None\n",
        "link_worlds.py::test_a_silent_voter_may_stand_in_for_a_link_that_is_cut",
        "its heartbeats stood in for a link that is cut",
    ),
    _one(
        "one end is enough",
        WORLDS,
        "if not heard[one].lacks and not heard[other].lacks:",
        "if not heard[one].lacks or not heard[other].lacks:",
        "heirs.py::test_of_a_sender_that_is_not_heard_it_is_not_known_which_it_is",
        "a voter that nobody but the leader heard was the best heir",
    ),
    _one(
        "heartbeats without a name",
        WATCH,
        "if leader.metrics.snapshot_in_flight(member_id) or witnesses.hear_others(view, member_id):",
        "if leader.metrics.snapshot_in_flight(member_id):",
        "absence.py::test_a_voter_whose_heartbeats_arrive_anywhere_lives",
        "it lives, and only the leader and we do not hear it",
    ),
    _one(
        "voter that loads a snapshot",
        WATCH,
        "if leader.metrics.snapshot_in_flight(member_id) or witnesses.hear_others(view, member_id):",
        "if witnesses.hear_others(view, member_id):",
        "absence.py::test_a_voter_that_is_sent_a_snapshot_is_not_absent",
        "it has come back",
    ),
    _one(
        "nothing known is nothing missing",
        "etcd/membership/link_evidence.py",
        "        if track.links_unknown and asked_for < UNREADABLE_SECONDS:\n            return False\n",
        "",
        "link_evidence.py::test_links_of_which_nothing_is_known_are_asked_for_a_while_before_they_are_assumed",
        "metrics that could not be read for two seconds made a voter",
    ),
    _one(
        "links of before a suspension",
        "etcd/membership/link_evidence.py",
        "            track.links_missed_at.clear()\n",
        "",
        "link_evidence.py::test_what_was_missed_before_a_suspension_is_looked_for_anew",
        "they were seen by nobody meanwhile",
    ),
    _one(
        "page that cannot be read is no lack",
        "etcd/observation/voter_links.py",
        "self._heard = {**lacked, **seen}",
        "self._heard = seen",
        "heirs.py::test_what_a_voter_lacks_stays_lacking_while_its_page_cannot_be_read",
        "no evidence is none for it",
    ),
)
