"""The join of one or several members: observe, decide, check, do one thing, observe again; and the undo of what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from quorate.core.actions import (
    Action,
    AddLearner,
    AddVoter,
    Do,
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
from quorate.core.decide import Grow, Joiner, ProcessState, decide_grow
from quorate.core.invariants import Limits
from quorate.core.membership import ClusterView, Member
from quorate.deadline import Deadline, SystemClock
from quorate.errors import JoinFailed, QuorateError
from quorate.etcd import alignment, kv, metrics, peer, transfer
from quorate.etcd.access import Access
from quorate.etcd.alignment import Candidate
from quorate.etcd.change import Carried, Changer, Declined, Note, Outcome, Unknown
from quorate.etcd.channel import Channel
from quorate.etcd.diagnose import Stall, Suspect, diagnose, lagging
from quorate.etcd.endpoint import Endpoint
from quorate.etcd.errors import (
    EtcdError,
    LearnerNotReady,
    MemberExists,
    MemberNotFound,
    NotALearner,
    NotEnoughStarted,
)
from quorate.etcd.observe import Patience, endpoint_of, observe
from quorate.etcd.runtime import JoinSpec, Runtime
from quorate.etcd.telling import Teller
from quorate.etcd.track import JoinResult, Settings, Track, track_of
from quorate.etcd.undo import Undo
from quorate.report import Report

_POLL_SECONDS = 0.01
_PEER_SECONDS = 0.25
_REFUSED_SECONDS = 0.1
_PATIENCE = Patience(members=1.5, status=0.5, learner=0.03)
_WORTH_WAITING = (MemberExists, MemberNotFound, NotEnoughStarted, LearnerNotReady, NotALearner)
"""Refusals that another observation may explain away: somebody else's change, or our own that was thought lost.
MemberNotFound is what an add gets within the second in which the same peer URL was added and removed before: etcd makes
the id of both."""


def _seen_here(state: ProcessState, track: Track) -> ProcessState:
    """A process that had ended before this run is started once more: what ended it may be mended, which is why the same command
    is run again. One that this run started, and that ends, will not get better."""
    return "absent" if state == "exited" and "started" not in track.marks else state


def do_nothing() -> None:
    """For runs that keep nothing alive."""


@dataclass(slots=True)
class Join:
    """One run of the engine over `specs`. `seeds` are endpoints of members that are there already; `tick` is called in
    every round, for what must be kept alive meanwhile."""

    access: Access
    clock: SystemClock
    runtime: Runtime
    seeds: Sequence[Endpoint]
    specs: Sequence[JoinSpec]
    report: Report
    note: Note
    settings: Settings
    tick: Callable[[], None] = do_nothing
    _tracks: dict[str, Track] = field(default_factory=dict[str, Track])
    _limits: Limits = field(default_factory=lambda: Limits(0))
    _telling: Teller | None = None
    _progress: object = None

    @property
    def _teller(self) -> Teller:
        if self._telling is None:
            self._telling = Teller(self.report, self._tracks, self.clock)
        return self._telling

    def run(self) -> list[JoinResult]:
        """Make every spec a verified voter.

        Raises `JoinFailed`, `Interrupted`, `DeadlineExceeded` or an `EtcdError`; each then says in `state` whether the
        member list is as it was before.
        """
        self._tracks.update({spec.name: track_of(spec, self.clock.now()) for spec in self.specs})
        try:
            self._reach_goal()
        except QuorateError as error:
            # Whatever it says of the moment it was raised in, what counts for the user is the state after the undo.
            error.state = self._undo()
            raise
        return [self._result(track) for track in self._tracks.values()]

    def _reach_goal(self) -> None:
        deadline = Deadline(self.clock, self.settings.stall_seconds, f"{', '.join(self._tracks)} joining")
        why = "no answer from the cluster"
        while not deadline.expired:
            self.clock.cancel.check()
            self.tick()
            view = self._observe(deadline)
            if view is None:
                self.clock.sleep(_REFUSED_SECONDS)
                continue
            decision = decide_grow(view, self._goal(view), self.clock.now())
            self._extend_while_moving(deadline, view)
            self._teller.decision(decision, view)
            match decision:
                case Done():
                    return
                case Refuse(why=reason, advice=advice):
                    raise JoinFailed(reason, advice=advice)
                case Wait(why=why):
                    self.clock.sleep(_POLL_SECONDS)
                case Do(action=action):
                    why = self._do(action, view) or why
        stall = self._diagnose()
        raise deadline.error(because=stall.why if stall else why, advice=stall.advice if stall else "")

    def _diagnose(self) -> Stall | None:
        """What keeps the first joiner that is still a learner; asked before anything is taken back."""
        try:
            view = observe(self.access, self.seeds, self.clock, patience=_PATIENCE, unpublished=self._unpublished())
        except EtcdError:
            return None
        for track in self._tracks.values():
            member = view.by_peer_urls((track.spec.peer_url,))
            if member is not None and member.is_learner:
                return self._diagnose_learner(track, member, view)
        return None

    def _diagnose_learner(self, track: Track, member: Member, view: ClusterView) -> Stall | None:
        if view.answer(member.id) is None:
            suspect = Suspect(track.spec.peer_url, track.spec.peer_tls, view.cluster_id, member.id)
            return diagnose(suspect, transfer.leader_metrics(self.access, view))
        where = track.spec.client or endpoint_of(member)
        return lagging(metrics.scrape(where, self.access.tls, timeout=1.0) if where else None)

    def _observe(self, deadline: Deadline) -> ClusterView | None:
        """The cluster now, or None while it does not answer but may."""
        try:
            view = observe(self.access, self.seeds, self.clock, patience=_PATIENCE, unpublished=self._unpublished())
        except EtcdError as error:
            if error.disposition == "final":
                raise
            if deadline.expired:
                raise deadline.error(because=error.what) from error
            return None
        if not self._limits.cluster_id:
            self._limits = Limits(view.cluster_id, self.settings.learner_seats, voter_join=self.settings.voter_join)
        return view

    def _unpublished(self) -> dict[str, Endpoint]:
        return {spec.peer_url: spec.client for spec in self.specs if spec.client is not None}

    def _goal(self, view: ClusterView) -> Grow:
        joiners = tuple(self._joiner(track, view) for track in self._tracks.values())
        return Grow(joiners, self.settings.learner_seats, self.settings.voter_join)

    def _joiner(self, track: Track, view: ClusterView) -> Joiner:
        process = self.runtime.process(track.spec.name)
        self._look_at_peer_port(track, view)
        return Joiner(
            name=track.spec.name,
            peer_urls=(track.spec.peer_url,),
            process=_seen_here(process.state, track),
            exit_note=process.note,
            has_data=self.runtime.has_data(track.spec.name),
            listed_itself_at=track.listed_itself_at,
            can_restart=self.runtime.can_restart and self.settings.restart_learner,
            restarted=track.restarted,
            proof=track.proof,
            verified=track.verified,
        )

    def _look_at_peer_port(self, track: Track, view: ClusterView) -> None:
        """Only while the learner is silent: then its peer port is the one place that tells whether its data is there."""
        member = view.by_peer_urls((track.spec.peer_url,))
        if member is None or not member.is_learner or view.answer(member.id) is not None:
            return
        track.received = self.runtime.received_bytes(track.spec.name)
        if track.spec.client is not None:
            self.access.renew(track.spec.client)
        if track.restarted:
            return
        listed = peer.members(track.spec.peer_url, track.spec.peer_tls, timeout=_PEER_SECONDS)
        itself = next((row for row in listed.members if row.id == member.id), None) if listed else None
        if itself is None or not itself.client_urls:
            track.listed_itself_at = None
        elif track.listed_itself_at is None:
            track.listed_itself_at = self.clock.now()

    def _extend_while_moving(self, deadline: Deadline, view: ClusterView) -> None:
        """Progress is anything that changes on the joiners: membership, steps done, bytes that arrived, applied index; and
        where their disks cannot be seen, a snapshot that the leader is still sending."""
        now = [self._position(track, view) for track in self._tracks.values()]
        if now != self._progress or any(self._is_fed(track, view) for track in self._tracks.values()):
            self._progress = now
            deadline.extend(self.settings.stall_seconds)

    def _position(self, track: Track, view: ClusterView) -> object:
        member = view.by_peer_urls((track.spec.peer_url,))
        answer = view.answer(member.id) if member else None
        return member, tuple(track.marks), track.received, answer and (answer.applied_index, answer.db_size)

    def _is_fed(self, track: Track, view: ClusterView) -> bool:
        member = view.by_peer_urls((track.spec.peer_url,))
        if member is None or not member.is_learner or view.answer(member.id) is not None or track.received is not None:
            return False
        return track.feeding.is_on(self.access, view, member, self.clock.now())

    def _do(self, action: Action, view: ClusterView) -> str | None:
        """Carry out one action; returns why it did not work out, if it did not."""
        match action:
            case AddLearner() | AddVoter():
                return self._add(action, view)
            case Promote():
                return self._promote(action, view)
            case StartMember(name=name, initial_cluster=initial_cluster):
                self.runtime.start(name, initial_cluster)
                self._mark(name, "started")
            case RestartLearner(name=name):
                self._restart(name)
            case ProveAlignment(name=name, member_id=member_id):
                return self._prove(self._tracks[name], member_id, view)
            case VerifyVoter(name=name, member_id=member_id):
                return self._verify(self._tracks[name], member_id, view)
            case _:
                raise AssertionError(f"a join never decides {action}")
        return None

    def _changer(self) -> Changer:
        return Changer(self.access, self.clock, self.note)

    def _change(self, action: MembershipChange, view: ClusterView) -> Outcome:
        """One membership change. A refusal that may pass is told and returned, others raise."""
        outcome = self._changer().carry_out(action, view, self._limits)
        if isinstance(outcome, Declined):
            if outcome.error.disposition == "final" and not isinstance(outcome.error, _WORTH_WAITING):
                raise outcome.error
            self._teller.refusal(action, outcome.error)
            self.clock.sleep(_REFUSED_SECONDS)
        return outcome

    def _add(self, action: AddLearner | AddVoter, view: ClusterView) -> str | None:
        track, asked_at = self._tracks[action.name], self.clock.now()
        ours_before = track.ours
        # Until a refusal says otherwise a learner that turns up at this peer URL is ours, even if the answer is lost.
        track.ours, track.promotion_unknown = True, isinstance(action, AddVoter)
        outcome = self._change(action, view)
        if isinstance(outcome, Declined):
            track.ours, track.promotion_unknown = ours_before, False
        if isinstance(outcome, Carried):
            track.mark("added", asked_at)
        return _why(outcome)

    def _promote(self, action: Promote, view: ClusterView) -> str | None:
        track = self._tracks[action.name]
        track.proof, track.promotion_unknown = None, True
        try:
            outcome = self._change(action, view)
        except EtcdError:
            track.promotion_unknown = False
            raise
        if isinstance(outcome, Declined):
            track.promotion_unknown = False
        if isinstance(outcome, Carried):
            track.mark("promoted", self.clock.now())
        return _why(outcome)

    def _restart(self, name: str) -> None:
        track = self._tracks[name]
        self.note("restart", {"name": name, "why": "its publish was lost in the snapshot"})
        track.restarted, track.listed_itself_at = True, None
        self.runtime.restart(name)
        self._mark(name, "restarted")

    def _prove(self, track: Track, member_id: int, view: ClusterView) -> str | None:
        candidate = self._candidate(track, member_id, view)
        track.proof = alignment.prove(candidate, self.clock) if candidate else None
        if track.proof is None:
            return "the learner did not apply what was just written"
        self._mark(track.spec.name, "aligned")
        return None

    def _candidate(self, track: Track, member_id: int, view: ClusterView) -> Candidate | None:
        leader, member = view.leader, view.by_id(member_id)
        where = endpoint_of(leader) if leader else None
        if member is None or where is None:
            return None
        return Candidate(member, view.cluster_id, self.access.channel(where), self._own(track, member))

    def _own(self, track: Track, member: Member) -> Channel:
        """The channel to the joiner itself: it answered a moment ago, so there is an endpoint."""
        where = track.spec.client or endpoint_of(member)
        if where is None:
            raise JoinFailed(f"{track.spec.name} advertises no client URL that can be used")
        return self.access.channel(where)

    def _verify(self, track: Track, member_id: int, view: ClusterView) -> str | None:
        member = view.by_id(member_id)
        own = self._own(track, member) if member else None
        if member is None or own is None or not alignment.serves_as_voter(self.access, view, member, own, timeout=1.0):
            self.clock.sleep(_POLL_SECONDS)
            return "the new voter is not seen to serve yet"
        self._mark(track.spec.name, "serving")
        track.verified = True
        kv.delete(own, alignment.record_key(member_id), timeout=1.0)
        return None

    def _mark(self, name: str, step: str) -> None:
        self._tracks[name].mark(step, self.clock.now())

    def _result(self, track: Track) -> JoinResult:
        return JoinResult(track.spec.name, self._member_id(track), track.timings(), track.restarted)

    def _member_id(self, track: Track) -> int:
        view = observe(self.access, self.seeds, self.clock, patience=_PATIENCE, unpublished=self._unpublished())
        member = view.by_peer_urls((track.spec.peer_url,))
        return member.id if member else 0

    # -- undoing -----------------------------------------------------------------------------------------------------

    def _undo(self) -> str:
        """Undo every joiner that has no vote yet; returns what state the cluster is in now, for the error."""
        if self.settings.keep_on_failure:
            return "everything was kept for a look, as asked"
        with self.clock.cancel.shielded():
            return "; ".join(self._undo_one(track) for track in self._tracks.values())

    def _undo_one(self, track: Track) -> str:
        return Undo(
            self._changer(),
            self.runtime,
            self.seeds,
            self._limits,
            track.spec,
            self.report,
            track.ours,
            track.promotion_unknown,
        ).run()


def _why(outcome: Outcome) -> str | None:
    """Why a change did not happen, or is not known to have happened."""
    match outcome:
        case Carried():
            return None
        case Unknown(error=error):
            return f"no answer to it yet: {error.what}"
        case Declined(error=error):
            return error.what
