"""Safeguards that came last: removals that are tried again, links of silent members, data of others, ends that are unknown."""

from __future__ import annotations

from mutants.mutants import Mutant

U = "unit/test_"


def _one(name: str, file: str, before: str, after: str, test: str, why: str) -> Mutant:
    return Mutant(name, file, before, after, (U + test,), why)


MUTANTS: tuple[Mutant, ...] = (
    _one(
        "target stays unasked",
        "etcd/membership/remove.py",
        "                    self._leaving.clear()\n",
        "",
        "removal_steps.py::test_a_removal_that_was_not_applied_asks_the_member_again",
        "it may have come back",
    ),
    _one(
        "applied is not the end",
        "etcd/membership/remove.py",
        "                    if self._applied:\n",
        "                    if not removal:\n",
        "removal_steps.py::test_a_removal_that_was_applied_is_the_end",
        "what is seen later cannot turn it into a failure",
    ),
    _one(
        "missed link is forgotten",
        "etcd/membership/link_evidence.py",
        "known = {**dict.fromkeys(track.links_missed_at, False), **seen}",
        "known = dict(seen)",
        "link_evidence.py::test_a_link_that_was_missed_stays_missed_until_it_is_seen_up",
        "no evidence is none for it",
    ),
    _one(
        "samples of long ago",
        "etcd/observation/link_counters.py",
        "since = self.clock.now() - _RECENT_SECONDS\n        return",
        "since = -1.0\n        return",
        "link_evidence.py::test_a_link_that_was_up_ten_seconds_ago_is_not_seen_by_that",
        "it may be down by now",
    ),
    _one(
        "mute to one",
        "etcd/observation/link_counters.py",
        "bool(current) and all(_nothing_from",
        "bool(current) and any(_nothing_from",
        "link_evidence.py::test_a_silent_member_that_somebody_hears_is_not_left_out_of_the_count",
        "whoever hears it, it lives",
    ),
    _one(
        "data of a listed member",
        "core/decide_undo.py",
        "if goal.data_member not in (0, goal.memory.member_id):",
        "if goal.data_member == -1:",
        "undo_rules.py::test_an_undo_neither_stops_nor_deletes_the_data_of_a_listed_member",
        "it is somebody else's data",
    ),
    _one(
        "earlier add is forgotten",
        "core/decide_undo.py",
        "return _add_unknown(goal) if goal.memory.adding is not None else Done()",
        "return Done()",
        "undo_rules.py::test_an_undo_does_not_know_the_end_while_an_earlier_add_may_arrive",
        "it may still arrive",
    ),
    _one(
        "limit without end",
        "etcd/membership/executor.py",
        "min(2 * way, _MOST_WAY_SECONDS)",
        "2 * way",
        "executor.py::test_the_limit_of_a_promotion_grows_with_twice_the_way_and_by_a_second_at_most",
        "a proof says nothing of later",
    ),
    _one(
        "kept hides a vote",
        "etcd/membership/join.py",
        '    if memory.vote == "asked":\n',
        '    if memory.vote == "":\n',
        "engine_steps.py::test_a_join_that_keeps_everything_hides_nothing_that_is_unknown",
        "nobody knows whether it votes",
    ),
    _one(
        "no look when time is up",
        "etcd/membership/join.py",
        "while not (deadline.expired and looked_late):",
        "while not deadline.expired:",
        "engine_steps.py::test_a_join_looks_once_more_when_time_is_up",
        "this machine may have stood still",
    ),
    _one(
        "join is not checked first",
        "etcd/membership/replacement.py",
        "        check()\n",
        "",
        "replacement.py::test_a_replacement_checks_the_join_before_its_first_change",
        "the old one would be gone for nothing",
    ),
    _one(
        "replacement on a local list",
        "etcd/membership/replacement.py",
        "if not view.linearizable:",
        "if not view.members:",
        "replacement.py::test_a_replacement_on_a_local_list_is_refused",
        "a local list may be old",
    ),
    _one(
        "wide window is dropped",
        "core/join_memory.py",
        "        return first, last\n    return None",
        "        return (first, last) if last - first < 300 else None\n    return None",
        "join_memory.py::test_a_wide_window_is_kept_and_matches_nobody",
        "that an add got no answer is known still",
    ),
    _one(
        "answered add ends all",
        "core/join_memory.py",
        "ours=True, adding=memory.adding_before)",
        "ours=True, adding=None)",
        "join_memory.py::test_an_add_that_was_answered_leaves_an_earlier_one_without_an_answer",
        "the earlier one may arrive",
    ),
    _one(
        "old list is not asked again",
        "etcd/observation/look.py",
        "        if self._ask_old_versions_again():\n            wait(",
        "        if False:\n            wait(",
        "reads.py::test_a_look_asks_an_old_member_again_whose_status_came_before_its_list",
        "3.4 ignores the flag",
    ),
    _one(
        "page without a leader",
        "etcd/observation/absence_watch.py",
        "not leader.leads or ",
        "",
        "absence.py::test_a_page_that_does_not_say_who_leads_proves_nothing",
        "a proxy's page has no numbers",
    ),
)
