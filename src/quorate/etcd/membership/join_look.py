"""Looks at the cluster and at the joiners themselves: everything that a join decides on, and what counts as progress (decision
11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from quorate.core.catch_up import NEAR_ENTRIES
from quorate.core.decide_join import Joiner, JoinGoal, ProcessState
from quorate.core.join_memory import JoinMemory, taken_up
from quorate.core.membership import ClusterView, Member, lag_of
from quorate.core.new_member import freeing
from quorate.deadline import Deadline, SystemClock
from quorate.errors import QuorateError
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.membership.engine import NotSeen
from quorate.etcd.membership.join_state import JoinPolicy, JoinState, Progress, Remember
from quorate.etcd.membership.link_evidence import LinkEvidence
from quorate.etcd.membership.runtime import Process
from quorate.etcd.observation import replication
from quorate.etcd.observation.diagnose import Stall, StalledLearner, diagnose, lagging, reach
from quorate.etcd.observation.look import LookTimeouts, endpoint_of, observe

_PEER_SECONDS = 0.25
"""Timeout of a peer port: one that serves answers at once. It is asked in every round while the learner is silent, so it must
not delay the rounds."""
_MOST_PEER_SECONDS = 3.0
_HEARD_SECONDS, _DIAL_SECONDS = 5.0, 1.0
"""An etcd listens for its peers within a second of its start. When nothing does so long after its start command has returned,
that is said, and looked at again each second."""
_PATIENCE = LookTimeouts(members=1.5, status=0.5, learner=0.03)


def _seen_here(process: Process, track: JoinState) -> ProcessState:
    """Returns the state for the decision. A process that had ended before this run is started once more: its cause may be
    fixed, which is why the same command is run again. One that this run started, and that ends, will not recover."""
    return "absent" if process.state == "exited" and "started" not in track.marks else process.state


@dataclass(slots=True)
class JoinLook:
    """The looks of one join. `remember` stores the identity of a joiner as soon as it is listed."""

    access: Access
    clock: SystemClock
    seeds: Sequence[Endpoint]
    tracks: dict[str, JoinState]
    policy: JoinPolicy
    remember: Remember
    _evidence: LinkEvidence = field(init=False)

    def __post_init__(self) -> None:
        self._evidence = LinkEvidence(self.access, self.clock)

    def links_settled(self, track: JoinState) -> bool:
        """Returns whether no more will be known of the joiner's links; before that nothing may be assumed of them."""
        return self._evidence.is_settled(track)

    def take(self) -> ClusterView | NotSeen:
        """Returns the cluster now. Raises errors that a retry does not change."""
        try:
            view = self.now()
        except EtcdError as error:
            if error.disposition == "final":
                raise
            return NotSeen(error.what)
        for track in self.tracks.values():
            self._learn(track, view)
        return view

    def now(self) -> ClusterView:
        view = observe(self.access, self.seeds, self.clock, patience=_PATIENCE, unpublished=self._unpublished())
        for track in self.tracks.values():
            view = self._evidence.added(view, track)
        return view

    def _learn(self, track: JoinState, view: ClusterView) -> None:
        """Fixes the identity of the joiner as soon as it is listed: from then on its id counts, not its URL."""
        memory = track.memory
        if not view.linearizable:
            return
        if not memory.member_id:
            member = view.by_peer_urls((track.spec.peer_url,))
            if member is None:
                return
            self._set_memory(track, taken_up(memory, member.id, member.peer_urls))
        elif not memory.listed and view.by_id(memory.member_id) is not None:
            track.memory = replace(memory, listed=True)

    def _set_memory(self, track: JoinState, memory: JoinMemory) -> None:
        if memory != track.memory:
            track.memory = memory
            self.remember(track.spec.name, memory)

    def _unpublished(self) -> dict[str, Endpoint]:
        specs = [track.spec for track in self.tracks.values()]
        return {spec.peer_url: spec.client for spec in specs if spec.client is not None}

    def goal(self, view: ClusterView) -> JoinGoal:
        joiners = tuple(self._joiner(track, view) for track in self.tracks.values())
        return JoinGoal(joiners, self.policy.learner_seats, self.policy.voter_join, self.policy.ends_as)

    def member(self, track: JoinState, view: ClusterView) -> Member | None:
        known = track.memory.member_id
        return view.by_id(known) if known else view.by_peer_urls((track.spec.peer_url,))

    def _joiner(self, track: JoinState, view: ClusterView) -> Joiner:
        process = track.runtime.process()
        if process.state == "exited":
            track.starts = track.starts.ended(self.clock.now())
        self._look_at_peer_port(track, view)
        return Joiner(
            name=track.spec.name,
            peer_urls=(track.spec.peer_url,),
            process=_seen_here(process, track),
            exit_note=process.note,
            has_data=track.runtime.has_data(),
            listed_itself_at=track.listed_itself_at,
            fed_by=track.fed_by,
            can_restart=track.runtime.can_restart and self.policy.restart_learner,
            memory=track.memory,
            links_pending=not self.links_settled(track),
            awaited=self._awaited(track, process, view),
            may_start=track.starts.may_start(self.clock.now()),
            proof=track.proof,
            verified=track.verified,
        )

    def _awaited(self, track: JoinState, process: Process, view: ClusterView) -> str:
        """Returns what is waited for until another party's etcd is seen; empty when it was, or when this host runs it."""
        if track.runtime.can_wipe or track.peer_answers or self._has_started(track, view):
            return ""
        if not process.note:
            return "waiting for you to start its etcd on its machine"
        now = self.clock.now()
        if now - track.marks.get("started", now) < _HEARD_SECONDS:
            return f"its start command has returned; waiting for its etcd to listen at {track.spec.peer_url}"
        if now - track.dialled_at >= _DIAL_SECONDS:
            problem = reach(track.spec.peer_url, None)
            track.dialled_at, track.dialled = self.clock.now(), problem.why if problem else ""
        return f"{track.dialled} ({process.note})" if track.dialled else "its etcd listens, and does not answer yet"

    def _has_started(self, track: JoinState, view: ClusterView) -> bool:
        member = self.member(track, view)
        return member is not None and member.started

    def _look_at_peer_port(self, track: JoinState, view: ClusterView) -> None:
        """Asks the peer port, only while the learner is silent: then nothing else shows whether its data is there."""
        member = self.member(track, view)
        if member is None or not member.is_learner or view.answer(member.id) is not None:
            return
        track.received = track.runtime.received_bytes()
        if track.memory.restarted:
            return
        # Where the members are far away, the joiner may be far away too.
        patience = max(_PEER_SECONDS, min(4 * self.access.routes.farthest(), _MOST_PEER_SECONDS))
        listed = self.access.peer_members(track.spec.peer_url, track.spec.peer_tls, timeout=patience)
        track.peer_answers = track.peer_answers or listed is not None
        itself = next((row for row in listed.members if row.id == member.id), None) if listed else None
        if itself is None or not itself.client_urls:
            track.listed_itself_at = None
        elif track.listed_itself_at is None:
            track.listed_itself_at = self.clock.now()
            track.fed_by = replication.fed_by(replication.leader_metrics(self.access, view), member.id)

    def extend_while_moving(self, deadline: Deadline, view: ClusterView) -> None:
        """Extends the deadline on progress, which is what grows on the joiners: steps done, bytes received, applied index; or,
        where their disks cannot be seen, a snapshot that the leader is still sending. Mere change is no progress: lists that
        contradict each other, or an etcd that its supervisor restarts again and again, once extended a join without end."""
        moved = False
        for track in self.tracks.values():
            now = self._progress(track, view)
            moved |= now.passes(track.furthest) or self._is_fed(track, view)
            track.furthest = now.furthest(track.furthest)
        if moved:
            deadline.extend(self.policy.stall_seconds)

    def _progress(self, track: JoinState, view: ClusterView) -> Progress:
        member = self.member(track, view)
        answer = view.answer(member.id) if member else None
        started = bool(member and member.started)
        # A learner that has caught up applies what others and our own proofs write: that is no progress.
        far = member is not None and lag_of(view, member) > NEAR_ENTRIES
        applied = answer.applied_index if answer and far else 0
        # Nor does its database grow by more than our proofs, once it had everything.
        received = 0 if "aligned" in track.marks else track.received or 0
        return Progress(len(track.marks) + started, received, applied)

    def _is_fed(self, track: JoinState, view: ClusterView) -> bool:
        member = self.member(track, view)
        if member is None or not member.is_learner or view.answer(member.id) is not None or track.received is not None:
            return False
        return track.feeding.is_on(self.access, view, member, self.clock.now())

    def diagnose(self) -> Stall | None:
        """Returns what blocks the first joiner that is still a learner; called before anything is rolled back."""
        try:
            view = self.now()
        except QuorateError:
            return None
        for track in self.tracks.values():
            member = self.member(track, view)
            if member is not None and member.is_learner:
                return self._diagnose_learner(track, member, view)
        return self._taken_seats(view)

    def _taken_seats(self, view: ClusterView) -> Stall | None:
        """Returns who has the learner seats that a joiner which is not listed yet waits for."""
        listed = [self.member(track, view) for track in self.tracks.values()]
        others = [one for one in view.learners if one.id not in {row.id for row in listed if row}]
        if None not in listed or not others or len(view.learners) < self.policy.learner_seats:
            return None
        names = ", ".join(f"{one.name or 'an unstarted learner'} ({one.id:x})" for one in others)
        return Stall("seat-taken", f"the learner seat is taken by {names}", freeing(view, others))

    def _diagnose_learner(self, track: JoinState, member: Member, view: ClusterView) -> Stall | None:
        if view.answer(member.id) is None:
            suspect = StalledLearner(track.spec.peer_url, track.spec.peer_tls, view.cluster_id, member.id)
            stall, hint = diagnose(suspect, replication.leader_metrics(self.access, view)), track.runtime.process().note
            if not hint or stall.name != "not-started":
                return stall
            return replace(stall, advice=f"{hint}; then run the same command again")
        where = endpoint_of(self.access, member) or track.spec.client
        return lagging(self.access.scrape(where, of=member.id, timeout=1.0) if where else None)
