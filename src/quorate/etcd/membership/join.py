"""The join of one or several members: observe, decide, check, do one thing, observe again; and the undo of a failed join."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from quorate.core.actions import (
    Action,
    AddLearner,
    AddVoter,
    Decision,
    Done,
    MembershipChange,
    Promote,
    ProveAlignment,
    Refuse,
    RestartLearner,
    StartMember,
    VerifyVoter,
    Wait,
)
from quorate.core.catch_up import Proof
from quorate.core.decide_join import decide_join
from quorate.core.invariants import Limits, UnsafeStep
from quorate.core.join_memory import remember
from quorate.core.membership import ClusterView, Member
from quorate.core.outcome import JoinOutcome, Kept, NotUndone, VoteUnknown, as_dict, describe, is_unknown, voter_kept
from quorate.deadline import Deadline, SystemClock
from quorate.errors import JoinFailed, QuorateError, foreseen
from quorate.etcd.client import kv
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import (
    LearnerNotReady,
    MemberExists,
    MemberNotFound,
    NotALearner,
    NotEnoughStarted,
)
from quorate.etcd.keys import proof_key
from quorate.etcd.membership.engine import NO_LAST_WORD, LastWord, NotSeen, OutOfTime, PutOff, do_nothing, drive
from quorate.etcd.membership.executor import (
    Applied,
    Indeterminate,
    MembershipExecutor,
    NotConfirmed,
    Note,
    Outcome,
    Rejected,
    confirm_by_looking,
    confirm_by_proof,
    with_newer_proof,
)
from quorate.etcd.membership.join_look import JoinLook
from quorate.etcd.membership.join_progress import JoinProgressReporter
from quorate.etcd.membership.join_state import JoinPolicy, JoinResult, JoinState, Remember, forget, state_of
from quorate.etcd.membership.runtime import JoinSpec, Runtime
from quorate.etcd.membership.undo import Undo
from quorate.etcd.observation import catch_up_proof
from quorate.etcd.observation.catch_up_proof import Candidate, NotProved, candidate_of
from quorate.etcd.observation.look import endpoint_of
from quorate.report import Report
from quorate.spelling import spelled

_POLL_SECONDS = 0.01
"""A learner of a small cluster has its data within tens of milliseconds; a look costs about five."""
_REFUSED_SECONDS = 0.1
"""A refusal by etcd or an invariant changes with an election or a heartbeat, not within milliseconds."""
_CLEAN_UP_SECONDS = 1.0
"""The join has succeeded: a key of a proof that is left over is not worth a longer wait."""
_WORTH_WAITING = (MemberExists, MemberNotFound, NotEnoughStarted, LearnerNotReady, NotALearner)
"""Refusals that another look may resolve: another tool's change, or our own whose answer was lost. An add gets MemberNotFound
within the second in which the same peer URL was added and removed before: etcd makes the same id for both."""


@dataclass(slots=True)
class Join:
    """One run of the engine over `joiners`, each with the runtime of its etcd. `seeds`: endpoints of present members. `limits`
    holds the cluster that the run began on. `remember` stores what a later run must know. `tick` is called in every round, for
    what must be kept alive meanwhile; `before_first_start` before an etcd without data starts; `last_word` before a vote."""

    access: Access
    clock: SystemClock
    seeds: Sequence[Endpoint]
    joiners: Sequence[tuple[JoinSpec, Runtime]]
    limits: Limits
    policy: JoinPolicy
    report: Report
    note: Note
    remember: Remember = forget
    tick: Callable[[], None] = do_nothing
    before_first_start: Callable[[], None] = do_nothing
    last_word: LastWord = NO_LAST_WORD
    ends: list[JoinOutcome] = field(default_factory=list[JoinOutcome])
    """The outcome of every joiner, once the run has failed."""

    tracks: dict[str, JoinState] = field(init=False)
    _progress: JoinProgressReporter = field(init=False)
    _looking: JoinLook = field(init=False)
    _deadline: Deadline = field(init=False)
    _unsafe: UnsafeStep | None = None
    """The reason why the last step was unsafe, while the join waits for it to pass."""

    def __post_init__(self) -> None:
        self.tracks = {spec.name: state_of(spec, runtime, self.clock.now()) for spec, runtime in self.joiners}
        self._progress = JoinProgressReporter(self.report, self.tracks, self.clock)
        self._looking = JoinLook(self.access, self.clock, self.seeds, self.tracks, self.policy, self.remember)

    def run(self) -> list[JoinResult]:
        """Makes every joiner a verified voter.

        Raises `JoinFailed`, `Interrupted`, `DeadlineExceeded` or an `EtcdError`; each then says in `state`, and in `outcomes`
        for programs, how every joiner has ended. Any exception, even an unexpected one, starts the undo: a learner that is
        left over keeps the one seat.
        """
        try:
            self._reach_goal()
        except BaseException as error:
            self.ends = self._undo()
            failure = foreseen(error)
            state = "; ".join(dict.fromkeys(map(describe, self.ends)))
            failure.conclude(state, tuple(map(as_dict, self.ends)), unknown=any(map(is_unknown, self.ends)))
            raise failure from failure.__cause__
        self._clean_up()
        return [track.result() for track in self.tracks.values()]

    def _reach_goal(self) -> None:
        self._deadline = Deadline(self.clock, self.policy.stall_seconds, f"{', '.join(self.tracks)} joining")
        match drive(self, self.clock, self._deadline, every=_POLL_SECONDS):
            case Done():
                return
            case Refuse(why=why, advice=advice):
                raise JoinFailed(why, advice=advice)
            case OutOfTime(why=why):
                if self._unsafe is not None:
                    raise self._unsafe
                stall = self._looking.diagnose()
                raise self._deadline.error(because=stall.why if stall else why, advice=stall.advice if stall else "")

    # -- one round of the engine -----------------------------------------------------------------------------------------

    def look(self) -> ClusterView | NotSeen:
        self.tick()
        self.last_word.tick()
        seen = self._looking.take()
        if isinstance(seen, NotSeen):
            self._unsafe = None
        return seen

    def decide(self, view: ClusterView) -> Decision:
        decision = decide_join(view, self._looking.goal(view), self.clock.now())
        self._looking.extend_while_moving(self._deadline, view)
        self._progress.decision(decision, view, self._deadline.remaining)
        if isinstance(decision, Wait):
            self._unsafe = None
        return decision

    def perform(self, step: Action, view: ClusterView) -> PutOff | None:
        """Performs one step. An invariant that forbids it now may allow it in a moment, when a voter answers again or a link
        comes up. So a forbidden step never undoes a join before time is up."""
        self._unsafe = None
        try:
            why = self._do(step, view)
        except UnsafeStep as unsafe:
            self._unsafe = unsafe
            self._progress.waiting(step, unsafe.what)
            self.clock.sleep(_REFUSED_SECONDS)
            why = unsafe.what
        self._looking.extend_while_moving(self._deadline, view)
        return PutOff(why) if why else None

    def _do(self, action: Action, view: ClusterView) -> str | None:
        """Carries out one action; returns why it did not succeed, None when it did."""
        match action:
            case AddLearner() | AddVoter():
                return self._add(action, view)
            case Promote():
                return self._promote(action, view)
            case StartMember(name=name, initial_cluster=initial_cluster):
                self._start(self.tracks[name], initial_cluster)
            case RestartLearner(name=name):
                self._restart(name)
            case ProveAlignment(name=name, member_id=member_id):
                return self._prove(self.tracks[name], member_id, view)
            case VerifyVoter(name=name, member_id=member_id):
                return self._verify(self.tracks[name], member_id, view)
            case _:
                raise AssertionError(f"a join never decides {action}")
        return None

    def _noting(self, track: JoinState) -> Note:
        """Returns a note that updates the memory first, then does what may block: the journal, and other stores of it."""

        def note(kind: str, fields: dict[str, object]) -> None:
            before = track.memory
            track.memory = remember(track.memory, kind, fields)
            self.note(kind, fields)
            if track.memory != before:
                self.remember(track.spec.name, track.memory)

        return note

    def _executor(self, track: JoinState) -> MembershipExecutor:
        return MembershipExecutor(self.access, self.clock, self._noting(track), self.report)

    def _settle(self, action: MembershipChange, outcome: Outcome) -> str | None:
        """Returns None for an applied change, the reason for an unknown one, and reports and returns a refusal that may pass.
        Raises the error of any other refusal."""
        match outcome:
            case Applied():
                return None
            case Indeterminate(error=error):
                self.clock.sleep(_REFUSED_SECONDS)
                return f"no answer to the request yet: {error.what}"
            case Rejected(error=error):
                if error.disposition == "final" and not isinstance(error, _WORTH_WAITING):
                    raise error
                self._progress.refusal(action, error)
                self.clock.sleep(_REFUSED_SECONDS)
                return error.what

    def _add(self, action: AddLearner | AddVoter, view: ClusterView) -> str | None:
        track, asked_at = self.tracks[action.name], self.clock.now()
        confirm = confirm_by_looking(self.access, self._look_before_the_add(track, view), self.clock)
        outcome = self._executor(track).carry_out(action, view, self.limits, confirm)
        if isinstance(outcome, Applied):
            track.mark("added", asked_at)
        return self._settle(action, outcome)

    def _look_before_the_add(self, track: JoinState, view: ClusterView) -> Callable[[], ClusterView]:
        """Returns the last look before an add. The decision's view is milliseconds old, so it is used unless journaling the
        intent took long."""
        fresh = [view]

        def look() -> ClusterView:
            if fresh and self.clock.now() - view.taken_at < _REFUSED_SECONDS:
                return fresh.pop()
            now = self._looking.now()
            if now.by_peer_urls((track.spec.peer_url,)) is not None:
                raise NotConfirmed("another member was listed at that peer URL meanwhile")
            return now

        return look

    def _promote(self, action: Promote, view: ClusterView) -> str | None:
        track = self.tracks[action.name]
        track.proof = None

        def look() -> ClusterView:
            # First, because it asks others: it would let the look and the proof behind it grow old.
            self.last_word.still()
            now = self._looking.now()
            if not self._looking.links_settled(track):
                raise NotConfirmed("the learner's links to the voters are looked for anew")
            self.last_word.fits(now)
            return now

        confirm = confirm_by_proof(look, self._prove_once_more)
        outcome = self._executor(track).carry_out(action, view, self.limits, confirm)
        if isinstance(outcome, Applied):
            track.mark("promoted", self.clock.now())
        return self._settle(action, outcome)

    def _prove_once_more(self, action: Promote, view: ClusterView) -> tuple[Promote, Channel, float] | None:
        """Proves once more that the learner applies a write, through the present leader, on the channel that the promotion will
        use: a leader that has just answered does not hang."""
        candidate = self._candidate(self.tracks[action.name], action.member_id, view)
        proof = catch_up_proof.prove(candidate, self.clock, rounds=1) if candidate else None
        if candidate is None or not isinstance(proof, Proof):
            return None
        return with_newer_proof(action, proof), candidate.leader, self.access.routes.round_trip(candidate.own.endpoint)

    def _start(self, track: JoinState, initial_cluster: Sequence[tuple[str, str]]) -> None:
        if not track.runtime.has_data() and track.runtime.process().state == "absent":
            self.before_first_start()
        track.starts = track.starts.started(self.clock.now())
        track.runtime.start(initial_cluster)
        self._mark(track.spec.name, "started")

    def _restart(self, name: str) -> None:
        track = self.tracks[name]
        self._noting(track)("restart", {"name": name, "why": "its publish was lost in the snapshot"})
        track.listed_itself_at = None
        track.runtime.restart()
        self._mark(name, "restarted")

    def _prove(self, track: JoinState, member_id: int, view: ClusterView) -> str | None:
        candidate = self._candidate(track, member_id, view)
        found = catch_up_proof.prove(candidate, self.clock) if candidate else NotProved("no leader can be asked")
        if isinstance(found, NotProved):
            track.proof = None
            return found.why
        track.proof = found
        self._mark(track.spec.name, "aligned")
        return None

    def _candidate(self, track: JoinState, member_id: int, view: ClusterView) -> Candidate | None:
        leader, member = view.leader, view.by_id(member_id)
        where = endpoint_of(self.access, leader) if leader else None
        if member is None or where is None:
            return None
        own = self._own(track, member)
        slowest = max(self.access.routes.seconds_at(own.endpoint), self.access.routes.seconds_at(where))
        patience = max(catch_up_proof.ROUND_SECONDS, 8 * slowest)
        return candidate_of(self.access, view, member, own, patience)

    def _own(self, track: JoinState, member: Member) -> Channel:
        """Returns the channel to the joiner itself: it answered a moment ago, so there is an endpoint."""
        where = endpoint_of(self.access, member) or track.spec.client
        if where is None:
            raise JoinFailed(f"{track.spec.name} advertises no client URL that can be used")
        return self.access.channel(where)

    def _verify(self, track: JoinState, member_id: int, view: ClusterView) -> str | None:
        member = view.by_id(member_id)
        own = self._own(track, member) if member else None
        if member is None or own is None or not catch_up_proof.serves_as_voter(self.access, view, member, own, timeout=1.0):
            return "the new voter does not serve yet"
        self._mark(track.spec.name, "serving")
        track.verified = True
        return None

    def _mark(self, name: str, step: str) -> None:
        self.tracks[name].mark(step, self.clock.now())

    # -- ending ------------------------------------------------------------------------------------------------------

    def _clean_up(self) -> None:
        """Deletes what the proofs wrote. The join has succeeded: a failure here does not turn that into an error."""
        for track in self.tracks.values():
            key = proof_key(track.memory.member_id)
            with suppress(QuorateError), self.clock.cancel.shielded():
                ask_anyone(
                    self.access,
                    self.seeds,
                    lambda channel, seconds, key=key: kv.delete(channel, key, timeout=seconds),  # type: ignore[misc]
                    self.clock,
                    seconds=_CLEAN_UP_SECONDS,
                )

    def _undo(self) -> list[JoinOutcome]:
        """Undoes every joiner that has no vote yet; returns the outcome of each."""
        with self.clock.cancel.shielded():
            return [self._undo_one(track) for track in self.tracks.values()]

    def _undo_one(self, track: JoinState) -> JoinOutcome:
        if self.policy.keep_on_failure:
            return _kept(track)
        undo = Undo(
            self._executor(track), track.runtime, self.seeds, self.limits, track.spec, self.report, track.memory, self.tick
        )
        return undo.run()


def _kept(track: JoinState) -> JoinOutcome:
    """Returns the outcome where nothing is rolled back, as requested; an unknown add or vote stays unknown."""
    name, memory = track.spec.name, track.memory
    if memory.vote == "asked":
        return VoteUnknown(name, memory.member_id)
    if memory.vote == "given":
        return voter_kept(name, memory.member_id)
    if memory.adding and not memory.member_id:
        return NotUndone(name, "the answer to its add was lost")
    kept = f"nothing was rolled back, because of {spelled('--keep-on-failure')}"
    why = kept if memory.ours else f"{name} existed before this run; it is unchanged"
    return Kept(name, why, memory.member_id)
