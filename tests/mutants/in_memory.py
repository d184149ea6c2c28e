"""Safeguards in what a join remembers of its member."""

from __future__ import annotations

from mutants.mutants import Mutant

MEMORY = "core/join_memory.py"


def _memory(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_join_memory.py::{name}" for name in names)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "later refusal clears the vote",
        MEMORY,
        "return replace(memory, vote=memory.vote_before)\n    return memory",
        'return replace(memory, vote="none")\n    return memory',
        _memory("test_a_vote_that_was_asked_for_stays_asked_when_a_later_request_is_refused"),
        "the earlier request may still be on its way",
    ),
    Mutant(
        "refusal of the only request clears nothing",
        MEMORY,
        "return replace(memory, vote=memory.vote_before)\n    return memory",
        "return memory\n    return memory",
        _memory("test_a_vote_is_not_asked_for_any_more_when_the_only_request_was_refused"),
        "a learner that may be rolled back would keep the seat",
    ),
    Mutant(
        "a later request forgets the vote",
        MEMORY,
        'vote="asked" if memory.vote == "none" else memory.vote, vote_before=memory.vote)',
        'vote="asked" if memory.vote == "none" else memory.vote, vote_before="none")',
        _memory("test_a_vote_that_was_given_stays_given"),
        "a refusal of a second request says nothing of the first",
    ),
    Mutant(
        "seconds of the last add only",
        MEMORY,
        "dict.fromkeys((*memory.adding, window))",
        "(window,)",
        _memory("test_each_add_without_an_answer_has_its_own_seconds"),
        "the first add may be the one that made the member",
    ),
    Mutant(
        "refused add forgets an earlier one",
        MEMORY,
        "refused = replace(memory, adding=memory.adding_before)",
        "refused = replace(memory, adding=())",
        _memory("test_a_refused_add_leaves_the_seconds_of_an_earlier_one"),
        "an earlier add without an answer may still arrive",
    ),
    Mutant(
        "legacy add asks for no vote",
        MEMORY,
        'return replace(asked, vote="asked", vote_before=memory.vote) if voter else asked',
        "return asked",
        _memory("test_an_added_voter_may_vote_from_the_intent_on"),
        "the legacy add gives the vote with the same call",
    ),
    Mutant(
        "one second of the call",
        MEMORY,
        "for second in range(first - CLOCK_SECONDS, last + CLOCK_SECONDS + 1)",
        "for second in range(first - CLOCK_SECONDS, first + 1)",
        _memory("test_an_add_is_ours_by_the_seconds_of_the_call_and_its_sorted_urls"),
        "etcd makes the id of the second in which the call arrived",
    ),
    Mutant(
        "seconds without end",
        MEMORY,
        "in range(first - CLOCK_SECONDS, last + CLOCK_SECONDS + 1)",
        "in range(first - 60, last + 60 + 1)",
        _memory("test_an_add_is_ours_by_the_seconds_of_the_call_and_its_sorted_urls"),
        "somebody else's add of the same URL would be ours (U3)",
    ),
    Mutant(
        "URLs as they come",
        MEMORY,
        'text = "".join(sorted(peer_urls)).encode()',
        'text = "".join(peer_urls).encode()',
        _memory("test_an_add_is_ours_by_the_seconds_of_the_call_and_its_sorted_urls"),
        "etcd sorts them first",
    ),
    Mutant(
        "a record without an id says ours",
        MEMORY,
        'ours=fields.get("ours") is True and member_id != 0,',
        'ours=fields.get("ours") is True,',
        _memory("test_a_record_of_the_first_version_never_says_that_a_learner_is_ours"),
        "an old record is about a URL, where a later learner may be",
    ),
    Mutant(
        "a vote that cannot be read was not asked for",
        MEMORY,
        '    elif "vote" in fields:\n        vote = "asked"\n',
        '    elif "vote" in fields:\n        vote = "none"\n',
        _memory("test_a_vote_that_cannot_be_read_may_have_been_asked_for"),
        "what a damaged record cannot say counts as: it may have a vote",
    ),
    Mutant(
        "seconds that make no sense",
        MEMORY,
        " if 0 <= last - first <= _MOST_SECONDS]",
        " if first <= last]",
        _memory("test_a_wide_window_is_kept_and_matches_nobody"),
        "a window of hours would take every member for ours",
    ),
    Mutant(
        "the less careful memory",
        MEMORY,
        'vote = max(own.vote, recorded.vote, key=("none", "asked", "given").index)',
        'vote = min(own.vote, recorded.vote, key=("none", "asked", "given").index)',
        _memory("test_two_memories_of_one_member_are_merged_to_the_more_careful_one"),
        "one of both knows of a promotion",
    ),
)
