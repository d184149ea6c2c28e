"""Safeguards in what runs leave in the cluster for each other."""

from __future__ import annotations

from mutants.mutants import Mutant

RECORD = "etcd/coordination/join_record.py"
SEAT = "etcd/coordination/learner_seat.py"
LOCK = "etcd/coordination/removal_lock.py"
REPLACEMENTS = "etcd/coordination/replacements.py"


def _records(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_coordination.py::{name}" for name in names)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "record of another cluster",
        RECORD,
        'here = fields.get("clusterId") == format_id(request.cluster_id) and same_url',
        "here = same_url",
        _records("test_a_record_of_another_cluster_is_void"),
        "a snapshot that was restored revives records of its past",
    ),
    Mutant(
        "record of a newer format",
        RECORD,
        "    if is_newer(fields, FORMAT):\n",
        "    if False:\n",
        ("unit/test_formats.py::test_a_record_of_a_newer_format_makes_a_learner_nobodys_to_remove",),
        "what a newer version writes there may forbid the removal",
    ),
    Mutant(
        "record of another member",
        RECORD,
        "    if memory.member_id:\n        return None\n    return taken_up",
        "    return taken_up",
        _records("test_a_record_of_another_member_id_is_void"),
        "at the URL there may be a later learner, somebody else's (U3)",
    ),
    Mutant(
        "record of another member is taken over",
        RECORD,
        "    if memory.member_id == known.id:\n",
        "    if memory.member_id:\n",
        _records("test_a_record_of_another_member_id_is_void"),
        "at the URL there may be a later learner, somebody else's (U3)",
    ),
    Mutant(
        "record without an id says ours",
        RECORD,
        "return taken_up(memory, known.id, known.peer_urls)",
        "return replace(memory, member_id=known.id, ours=bool(fields), listed=True)",
        _records(
            "test_a_record_of_the_first_version_says_nothing_of_whose_a_learner_is",
            "test_a_record_of_an_add_without_an_answer_takes_no_other_add_for_ours",
        ),
        "an old record is about a URL",
    ),
    Mutant(
        "unrecorded learner is ours",
        SEAT,
        "return JoinMemory(member_id=listed.id, listed=True) if listed else NOTHING",
        "return JoinMemory(member_id=listed.id, ours=True, listed=True) if listed else NOTHING",
        _records(
            "test_without_a_record_a_learner_is_used_and_is_not_ours",
            "test_a_cluster_that_takes_no_writes_is_joined_without_a_record",
        ),
        "without a record nobody can say that a learner is ours (U1)",
    ),
    Mutant(
        "place without a lease",
        SEAT,
        "sorted((row for row in found if row.lease), key=",
        "sorted(found, key=",
        _records("test_a_place_without_a_lease_holds_nobody_up"),
        "it would hold the queue for ever",
    ),
    Mutant(
        "nobody waits for an older place",
        SEAT,
        "            if first.key == self.queue.key:\n                return\n",
        "            if first.key:\n                return\n",
        _records("test_an_older_place_goes_first"),
        "two joins at once take each other's seat",
    ),
    Mutant(
        "record goes when the join fails",
        SEAT,
        "        if held is not None and held.undone:\n",
        "        if held is not None:\n",
        _records("test_a_record_stays_when_the_join_fails_and_goes_when_everything_was_undone"),
        "the same command would not know its own learner",
    ),
    Mutant(
        "lock held by its key",
        LOCK,
        "if held is None or held.lease != self.lease:",
        "if held is None:",
        _records("test_the_lock_is_held_by_its_lease_and_not_by_its_key"),
        "somebody else holds it once our lease has ended (L1)",
    ),
    Mutant(
        "lock that is gone",
        LOCK,
        "if held is None or held.lease != self.lease:",
        "if held is not None and held.lease != self.lease:",
        _records("test_the_lock_is_held_by_its_lease_and_not_by_its_key"),
        "somebody else may have held it, and removed a member, meanwhile (L1)",
    ),
    Mutant(
        "replacement of another cluster",
        REPLACEMENTS,
        'if fields.get("clusterId") == format_id(self.cluster_id) else {}',
        'if "clusterId" in fields else {}',
        _records("test_a_replacement_is_about_the_member_that_was_named_in_this_cluster"),
        "a snapshot that was restored revives records of its past",
    ),
    Mutant(
        "replacement of any name",
        REPLACEMENTS,
        "return bool(text) and text.lower() in",
        "return bool(text) or text.lower() in",
        _records("test_a_replacement_is_about_the_member_that_was_named_in_this_cluster"),
        "a mistyped name joined somebody (K1r)",
    ),
)
