"""Safeguards in what changes membership: the executor, the join, the undo, the removal, the replacement."""

from __future__ import annotations

from mutants.mutants import Mutant

EXECUTOR = "etcd/membership/executor.py"
JOIN = "etcd/membership/join.py"
UNDO = "etcd/membership/undo.py"
REMOVE = "etcd/membership/remove.py"
JUDGE = "etcd/membership/removal_judge.py"
REPLACEMENT = "etcd/membership/replacement.py"
RPC = "etcd/membership/member_rpc.py"
DEADLINE = "deadline.py"


def _executor(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_executor.py::{name}" for name in names)


def _engine(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_engine_steps.py::{name}" for name in names)


def _removal(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_removal_steps.py::{name}" for name in names)


def _replacement(*names: str) -> tuple[str, ...]:
    return tuple(f"unit/test_replacement.py::{name}" for name in names)


_AGE = "unit/test_clock_age.py::test_the_age_of_a_moment_is_that_of_the_clock_that_counted_more"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "intent behind the last look",
        EXECUTOR,
        '            self.note("intent", {**what, "within": self._seconds_of_call()})\n'
        "            last = self._last_look(action, limits, confirm)\n",
        "            last = self._last_look(action, limits, confirm)\n"
        '            self.note("intent", {**what, "within": self._seconds_of_call()})\n',
        _executor("test_the_executor_writes_its_intent_before_the_last_look"),
        "the record was written through a leader that hung, and the learner died meanwhile (H1)",
    ),
    Mutant(
        "no check before the intent",
        EXECUTOR,
        "        invariants.check(Step(view, action, limits, self.clock.now()))\n",
        "",
        _executor("test_the_executor_checks_before_it_writes_an_intent"),
        "what is forbidden is not begun",
    ),
    Mutant(
        "last look is not checked",
        EXECUTOR,
        "            invariants.check(Step(last.view, last.action, limits, self.clock.now()))\n",
        "",
        _executor("test_the_executor_checks_what_the_last_look_showed"),
        "the decision was made on what was seen before the journal was written",
    ),
    Mutant(
        "old look is good enough",
        EXECUTOR,
        "            if took <= within:\n",
        "            if within:\n",
        _executor(
            "test_the_executor_looks_again_where_the_last_look_took_too_long",
            "test_a_promotion_is_sent_within_a_moment_of_its_last_proof",
        ),
        "the tool was paused behind its check, and promoted the dead 20 s later (H2)",
    ),
    Mutant(
        "age by one clock",
        EXECUTOR,
        "            took, within = age(last.at, self.clock), last.within\n",
        "            took, within = self.clock.now() - last.at.now, last.within\n",
        _executor("test_the_executor_looks_again_behind_a_pause_that_only_the_wall_clock_shows"),
        "a virtual machine that was paused stands still on its own clock",
    ),
    Mutant(
        "unsent change stays an intent",
        EXECUTOR,
        '            self._note_outcome(action, "rejected", {"error": "not sent"})\n',
        "",
        _executor("test_the_executor_checks_what_the_last_look_showed"),
        "the record would say for ever that something may have been sent",
    ),
    Mutant(
        "every final error is a refusal",
        EXECUTOR,
        "outcome = Rejected(error) if refused else Indeterminate(error)",
        'outcome = Rejected(error) if error.disposition != "ambiguous" else Indeterminate(error)',
        _executor("test_only_errors_that_are_listed_are_refusals"),
        "an error nobody knows may hide a change that was made",
    ),
    Mutant(
        "no learner is a refusal",
        EXECUTOR,
        "outcome = Rejected(error) if refused else Indeterminate(error)",
        'outcome = Rejected(error) if refused or error.code == "not-a-learner" else Indeterminate(error)',
        _executor("test_only_errors_that_are_listed_are_refusals"),
        "who was promoted by an earlier request of ours is no learner any more",
    ),
    Mutant(
        "no connection is unknown",
        EXECUTOR,
        "    AuthOff,\n    Unreachable,\n)",
        "    AuthOff,\n)",
        _executor("test_only_errors_that_are_listed_are_refusals"),
        "nothing was sent, and what was not sent may be undone",
    ),
    Mutant(
        "outcome note fails the change",
        EXECUTOR,
        "        with suppress(QuorateError):\n",
        "        with suppress():\n",
        _executor("test_an_outcome_that_cannot_be_written_does_not_fail_the_change"),
        "a full journal cannot turn round what has happened",
    ),
    Mutant(
        "age of a look from its end",
        EXECUTOR,
        "        began = moment(clock)\n        view = look()\n",
        "        view = look()\n        began = moment(clock)\n",
        _executor("test_the_age_of_a_look_counts_from_its_beginning"),
        "the first answer of a look is as old as its beginning",
    ),
    Mutant(
        "promotion without a last proof",
        EXECUTOR,
        '        if proved is None:\n            raise NotConfirmed("the learner did not apply what was just written")\n'
        "        newest, channel, way = proved\n",
        "        newest, channel, way = proved or (action, channel_for(Access(), action, view), 0.0)\n",
        _executor("test_a_promotion_without_a_last_proof_is_not_sent"),
        "a learner may have died behind its proof",
    ),
    Mutant(
        "promotion long after its proof",
        EXECUTOR,
        "within = SEND_SECONDS + min(2 * way, _MOST_WAY_SECONDS)",
        "within = LOOK_SECONDS + min(2 * way, _MOST_WAY_SECONDS)",
        _executor("test_a_promotion_is_sent_within_a_moment_of_its_last_proof"),
        "nothing that blocks lies between, so more means that the machine stood still",
    ),
    Mutant(
        "promotion through a follower",
        EXECUTOR,
        "if view.follows(voter.id)] if isinstance(action, Remove) else []",
        "if view.follows(voter.id)]",
        _executor("test_a_change_goes_to_the_leader_and_only_a_removal_through_a_follower"),
        "a follower forwards it blindly, again and again",
    ),
    Mutant(
        "removal through who is removed",
        EXECUTOR,
        "if member is None or member.id == target or view",
        "if member is None or view",
        _executor("test_a_removal_never_goes_through_the_member_that_is_removed"),
        "it would end before it answers (G1)",
    ),
    Mutant(
        "change through a leader that does not answer",
        EXECUTOR,
        " or view.answer(member.id) is None:\n            continue",
        ":\n            continue",
        _executor("test_a_change_is_not_sent_to_a_leader_that_does_not_answer"),
        "a leader that stood still serves expired requests",
    ),
    Mutant(
        "learner with a vote",
        RPC,
        "wire.MemberAddRequest(peerURLs=peer_urls, isLearner=True)",
        "wire.MemberAddRequest(peerURLs=peer_urls)",
        _executor("test_the_executor_sends_what_was_decided"),
        "an empty member with a vote takes the quorum",
    ),
    Mutant(
        "one clock",
        DEADLINE,
        "return max(passed, passed + abs(clock.wall() - then.wall - passed) - _DRIFT_SECONDS)",
        "return passed",
        (_AGE,),
        "a virtual machine that was paused stands still on its own clock",
    ),
    Mutant(
        "wall clock that was set back",
        DEADLINE,
        "abs(clock.wall() - then.wall - passed)",
        "(clock.wall() - then.wall - passed)",
        (_AGE,),
        "how long ago it was is not known any more",
    ),
    Mutant(
        "clock that stands still in suspend",
        DEADLINE,
        '_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)',
        "_CLOCK = time.CLOCK_MONOTONIC",
        ("unit/test_clock_age.py::test_the_clock_counts_the_time_of_a_suspended_machine",),
        "a laptop that slept an hour would call its proof fresh",
    ),
    Mutant(
        "memory behind the journal",
        JOIN,
        "            track.memory = remember(track.memory, kind, fields)\n            self.note(kind, fields)\n",
        "            self.note(kind, fields)\n            track.memory = remember(track.memory, kind, fields)\n",
        _engine("test_a_join_knows_that_a_vote_may_be_asked_for_before_it_writes_that_down"),
        "a journal that cannot be written must not hide what is known",
    ),
    Mutant(
        "add where somebody is listed",
        JOIN,
        "if now.by_peer_urls((track.spec.peer_url,)) is not None:",
        "if now.by_peer_urls(()) is not None:",
        _engine("test_a_join_does_not_add_where_somebody_is_listed_at_its_url_by_now"),
        "somebody was faster while the intent was written",
    ),
    Mutant(
        "later runs know nothing",
        JOIN,
        "            if track.memory != before:\n                self.remember",
        "            if track.memory is None:\n                self.remember",
        _engine("test_a_join_tells_later_runs_what_it_asked_for"),
        "a run on another machine would roll a voter back",
    ),
    Mutant(
        "undo does not check what it does",
        UNDO,
        "if not isinstance(action, StartMember):",
        "if isinstance(action, Remove):",
        _engine("test_an_undo_checks_a_stop_and_a_deletion_like_a_change"),
        "stops and deletions were checked by nothing (K2)",
    ),
    Mutant(
        "undo asks who is on its way out",
        UNDO,
        "patience=_PATIENCE, unasked=unasked)",
        "patience=_PATIENCE)",
        _engine("test_an_undo_asks_nothing_of_the_member_that_it_removes"),
        "a Status in flight while it applies its removal makes it panic",
    ),
    Mutant(
        "unfinished undo is as before",
        UNDO,
        "return VoteUnknown(name, member_id) if self.memory.may_vote else NotUndone(name, why, member_id)",
        "return NotUndone(name, why, member_id)",
        _engine("test_an_undo_of_a_join_that_asked_for_a_vote_leaves_everything"),
        "nobody knows whether it has a vote, and that is what is said",
    ),
    Mutant(
        "removal without its lock",
        REMOVE,
        "            self.lock.check()\n",
        "",
        _removal("test_a_removal_that_lost_its_lock_is_not_sent"),
        "two removals side by side ended at two voters (L1)",
    ),
    Mutant(
        "removal asks who leaves",
        REMOVE,
        "            self.progress.leaving.add(step.member_id)\n",
        "            pass\n",
        _removal("test_a_removal_asks_nothing_of_the_member_from_then_on"),
        "a Status in flight while it applies its removal makes it panic",
    ),
    Mutant(
        "removed by a list that may be old",
        REMOVE,
        "        if not view.linearizable:\n            return RemovalUnknown(name, member_id)\n",
        "",
        _removal("test_a_removal_without_an_answer_may_still_arrive"),
        '"removed f", and f was listed still (X1r)',
    ),
    Mutant(
        "removal without an answer did nothing",
        REMOVE,
        "return RemovalUnknown(name, member_id) if self._progress.open else Unchanged(name, member_id)",
        "return Unchanged(name, member_id)",
        _removal("test_a_removal_without_an_answer_may_still_arrive"),
        "it may yet arrive",
    ),
    Mutant(
        "a voter that is heard again is removed as dead",
        REMOVE,
        "if step.absence is not None and not is_still_absent",
        "if step.absence is None and not is_still_absent",
        _removal("test_what_the_others_hear_again_is_not_removed_as_dead"),
        "one that was started again answers the leader before it serves clients",
    ),
    Mutant(
        "removal begins on a local list",
        JUDGE,
        "if not view.linearizable or margin_of(view) < 0:",
        "if margin_of(view) < 0:",
        _removal("test_a_removal_is_not_allowed_on_a_local_list_or_without_a_quorum"),
        "leadership would be moved for a removal that cannot be",
    ),
    Mutant(
        "unknown OLD is replaced",
        REPLACEMENT,
        "if not find_members(view, old) and self.records.is_about(old):",
        "if not find_members(view, old):",
        _replacement("test_a_replacement_of_nobody_is_refused"),
        "a mistyped name joined somebody (K1r)",
    ),
    Mutant(
        "member replaces itself",
        REPLACEMENT,
        "if any(same_url(url, own) for own in target.peer_urls):",
        "if any(same_url(url, own) for own in ()):",
        _replacement("test_a_member_does_not_replace_itself"),
        "it would be removed behind its own join",
    ),
    Mutant(
        "learner goes last",
        REPLACEMENT,
        "if target.is_learner or absence is not None:",
        "if absence is not None:",
        _replacement("test_a_learner_goes_first_for_it_holds_the_seat"),
        "it holds the one seat that the new one needs",
    ),
    Mutant(
        "dead voter goes last",
        REPLACEMENT,
        "if target.is_learner or absence is not None:",
        "if target.is_learner:",
        _replacement("test_a_dead_voter_goes_first"),
        "it counts against the quorum, and etcd refuses an add beside it",
    ),
    Mutant(
        "live voter goes first",
        REPLACEMENT,
        "if target.is_learner or absence is not None:",
        "if target is not None:",
        _replacement("test_a_live_voter_is_replaced_when_the_new_one_serves", "test_a_silent_voter_that_is_not_dead_goes_last"),
        "a healthy voter was removed first, and the tolerance with it (R1)",
    ),
    Mutant(
        "nothing is written before the first half",
        REPLACEMENT,
        "        margin = self.records.began(target, old, margin)\n",
        "",
        _replacement("test_a_replacement_writes_what_it_replaces_before_its_first_change"),
        "the same command could not continue when the old member is gone",
    ),
)
