"""Safeguards in the arithmetic of quorum, in who follows, and in what counts as dead."""

from __future__ import annotations

from mutants.mutants import Mutant

QUORUM = "core/quorum.py"
LINKS = "core/links.py"
MEMBERSHIP = "core/membership.py"
ABSENCE = "core/absence.py"


def _links(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_quorum_on_links.py::{name}" for name in names)


def _absence(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_absence.py::{name}" for name in names)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "leader that lags",
        QUORUM,
        "if may_lead(voter) else -1",
        "if voter else -1",
        _links("test_margin_on_links_needs_a_leader_that_is_up_to_date"),
        "voters that hold a newer entry refuse it their votes for ever",
    ),
    Mutant(
        "links to voters that failed",
        QUORUM,
        "(mask & ~dead).bit_count()",
        "mask.bit_count()",
        _links("test_margin_on_links_counts_whichever_voters_fail"),
        "a link to a voter that failed makes no quorum",
    ),
    Mutant(
        "a voter that failed leads",
        QUORUM,
        "mask >= 0 and not dead >> place & 1 and",
        "mask >= 0 and",
        _links("test_margin_on_links_a_voter_that_failed_leads_nobody", "test_margin_on_links_counts_whichever_voters_fail"),
        "a voter that failed leads nobody",
    ),
    Mutant(
        "quorum of half",
        QUORUM,
        "return voters // 2 + 1 if voters > 0 else 0",
        "return (voters + 1) // 2 if voters > 0 else 0",
        ("unit/test_core.py::test_two_quorums_always_share_a_voter",),
        "two halves would decide differently",
    ),
    Mutant(
        "up beats down",
        LINKS,
        "        if link in self.down:\n            return",
        "        if link in self.down - self.up:\n            return",
        _links("test_links_down_beats_up"),
        "a link that one of two looks saw down may be down",
    ),
    Mutant(
        "old link stays down",
        LINKS,
        "(self.down - touched) | (touched - up))",
        "self.down | (touched - up))",
        _links("test_links_of_a_member_seen_anew_replace_what_was_known_of_them"),
        "what was seen last counts, or a join could never end",
    ),
    Mutant(
        "missing link is not missing",
        LINKS,
        "(self.down - touched) | (touched - up))",
        "self.down - touched)",
        _links("test_links_of_a_member_seen_anew_replace_what_was_known_of_them"),
        "a link that was looked for and not found is down, not unknown",
    ),
    Mutant(
        "no leader is a leader",
        MEMBERSHIP,
        "if answer is None or leader is None or NO_LEADER in answer.errors:",
        "if answer is None or leader is None:",
        _links("test_a_voter_that_says_no_leader_does_not_follow"),
        "who has no leader answers all the same (S1)",
    ),
    Mutant(
        "follower of another leader",
        MEMBERSHIP,
        "return answer.leader == leader.id and (self.read_by is None or member_id in self.read_by)",
        "return self.read_by is None or member_id in self.read_by",
        _links("test_a_voter_that_names_another_leader_does_not_follow"),
        "it follows another leader, or one that is gone",
    ),
    Mutant(
        "follower by its word alone",
        MEMBERSHIP,
        "return answer.leader == leader.id and (self.read_by is None or member_id in self.read_by)",
        "return answer.leader == leader.id",
        _links("test_a_voter_that_answered_no_linearizable_read_does_not_follow"),
        "a voter that is cut off names the old leader for two election timeouts (S1)",
    ),
    Mutant(
        "leader by term alone",
        MEMBERSHIP,
        "newest = max(named or claims, key=",
        "newest = max(claims, key=",
        _links("test_the_leader_is_the_one_that_answered_a_read_whatever_its_term"),
        "without pre-vote the voter that is cut off has the highest term",
    ),
    Mutant(
        "leader of some",
        MEMBERSHIP,
        "if not named and len(followed) == 1 and followed <= voters:",
        "if not named and followed:",
        _links("test_the_leader_may_be_out_of_our_reach_when_all_who_answered_a_read_follow_it"),
        "where they follow two, one of both leads no more",
    ),
    Mutant(
        "learner that leads",
        MEMBERSHIP,
        "if isinstance(one, MemberStatus) and one.member_id in voters]\n        claims",
        "if isinstance(one, MemberStatus)]\n        claims",
        _links("test_a_learner_that_claims_to_lead_is_not_the_leader"),
        "a learner never leads",
    ),
    Mutant(
        "voter far behind may lead",
        MEMBERSHIP,
        "return leader.raft_index - answer.raft_index <= UP_TO_DATE_ENTRIES",
        "return True",
        _links("test_a_voter_far_behind_may_not_lead"),
        "who lags may vote and not lead",
    ),
    Mutant(
        "link seen down is assumed",
        MEMBERSHIP,
        '            case "down":\n                return False\n            case "assumed":',
        '            case "assumed" | "down":',
        _links("test_a_link_that_was_seen_down_is_not_assumed"),
        "a learner that only the leader reaches was promoted (S3)",
    ),
    Mutant(
        "link to a silent voter is assumed",
        MEMBERSHIP,
        "return self.follows(one) and self.follows(other)\n\n    def proven_link",
        "return self.follows(one) or self.follows(other)\n\n    def proven_link",
        _links("test_a_link_is_assumed_only_between_voters_that_follow"),
        "nobody knows of a link to who does not answer",
    ),
    Mutant(
        "a leader's reads prove nothing asked",
        MEMBERSHIP,
        "return bool(self.read_by) and self.follows(follower_id)",
        "return self.follows(follower_id)",
        _links("test_the_lowest_margin_counts_only_links_that_were_seen"),
        "where nobody was asked no link is proved",
    ),
    Mutant(
        "short silence",
        ABSENCE,
        "self.seconds < self.needed or ",
        "",
        _absence("test_two_seconds_of_silence_are_no_absence_and_ten_are"),
        "a machine that was snapshotted stands still for two seconds (R2)",
    ),
    Mutant(
        "gap between looks",
        ABSENCE,
        "if not comparable or now - self.last_at > MOST_BETWEEN_LOOKS:",
        "if not comparable:",
        _absence("test_a_gap_between_looks_proves_nothing"),
        "we may have stood still ourselves",
    ),
    Mutant(
        "count of other members",
        ABSENCE,
        "comparable = received.keys() == before.keys() and dict(received) == dict(before)",
        "comparable = all(received[one] == before[one] for one in received.keys() & before.keys())",
        _absence("test_another_set_of_members_begins_the_count_anew"),
        "a member that begins to count has heard nothing of the time before",
    ),
    Mutant(
        "counter that fell is compared",
        ABSENCE,
        "comparable = received.keys() == before.keys() and dict(received) == dict(before)",
        "comparable = received.keys() == before.keys()",
        _absence("test_a_counter_that_begins_anew_is_compared_with_itself_only"),
        "a member that was restarted has not heard the time before",
    ),
    Mutant(
        "bytes that grow are silence",
        ABSENCE,
        "        if grew:\n",
        "        if grew and not received:\n",
        _absence("test_bytes_that_arrive_at_any_member_are_a_sign_of_life"),
        "a voter that only we cannot reach is alive",
    ),
    Mutant(
        "growth at one member",
        ABSENCE,
        "grew = any(received[member] > before[member] for member in received.keys() & before.keys())",
        "grew = any(received[member] > before[member] for member in sorted(received.keys() & before.keys())[:1])",
        _absence("test_bytes_that_arrive_at_any_member_are_a_sign_of_life"),
        "one that is cut off from the leader campaigns, which whoever still hears it counts",
    ),
    Mutant(
        "growth at all members",
        ABSENCE,
        "grew = any(received[member] > before[member] for member in received.keys() & before.keys())",
        "grew = bool(before) and all(received[member] > before[member] for member in received.keys() & before.keys())",
        _absence("test_bytes_that_arrive_at_any_member_are_a_sign_of_life"),
        "one that is cut off from the leader campaigns, which whoever still hears it counts",
    ),
    Mutant(
        "proof without an end",
        ABSENCE,
        "return self.member_id == member_id and now - self.at <= FRESH_SECONDS",
        "return self.member_id == member_id",
        _absence("test_a_proof_is_of_one_member_and_for_some_seconds"),
        "it may have come back since",
    ),
    Mutant(
        "proof of absence for half a minute",
        ABSENCE,
        "FRESH_SECONDS = 5.0",
        "FRESH_SECONDS = 30.0",
        _absence("test_a_proof_of_absence_is_fresh_for_five_seconds"),
        "it may have come back since",
    ),
    Mutant(
        "proof of absence of anybody",
        ABSENCE,
        "return self.member_id == member_id and now - self.at <= FRESH_SECONDS",
        "return now - self.at <= FRESH_SECONDS",
        _absence("test_a_proof_is_of_one_member_and_for_some_seconds"),
        "a proof is about one member",
    ),
    Mutant(
        "unknown is silence",
        ABSENCE,
        'if not received:\n            return AbsenceWatch(self.member_id, self.needed, sign="unknown")',
        "received = received or {}",
        _absence("test_without_the_members_counts_nobody_can_say"),
        "without metrics nobody can say, and it counts as alive",
    ),
    Mutant(
        "answer is no sign of life",
        ABSENCE,
        "        if answered:\n",
        "        if answered and self.received is None:\n",
        _absence("test_an_answer_is_a_sign_of_life"),
        "who answers is alive",
    ),
    Mutant(
        "few looks",
        ABSENCE,
        " or self.looks < 4:",
        ":",
        _absence("test_few_looks_prove_nothing_however_long"),
        "looks must be close enough to have seen a heartbeat",
    ),
)
