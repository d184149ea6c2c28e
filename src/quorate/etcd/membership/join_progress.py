"""Reports of a running join: which step, how far, how fast, and what etcd's refusals mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from quorate.core.actions import (
    Action,
    AddLearner,
    AddVoter,
    Decision,
    Do,
    MembershipChange,
    Promote,
    ProveAlignment,
    RestartLearner,
    StartMember,
    VerifyVoter,
    Wait,
)
from quorate.core.membership import ClusterView, Member, lag_of
from quorate.deadline import Clock
from quorate.etcd.client.errors import EtcdError, NotEnoughStarted, TooManyLearners, UnhealthyCluster
from quorate.etcd.membership.join_state import JoinState
from quorate.report import Event, Phase, Report

_WORDS: dict[type, tuple[Phase, str]] = {
    AddLearner: ("add", "adding it as a learner: it gets the data and has no vote"),
    AddVoter: ("add", "adding it as a VOTER at once: writes may stop until it runs and has the data"),
    StartMember: ("start", "starting its etcd"),
    RestartLearner: ("restart", "it has the data but its publish was lost: restarting this learner once"),
    ProveAlignment: ("catch-up", "it answers: checking that it applies what is written now"),
    Promote: ("promote", "fully aligned: giving it a vote"),
    VerifyVoter: ("verify", "asking the members themselves whether it is a voter and serves"),
}
"""Phase and text, for people, of each action of a join."""

_REFUSALS: dict[type[EtcdError], str] = {
    UnhealthyCluster: "enough voters must have been connected for 5 s",
    TooManyLearners: "another learner has the seat",
    NotEnoughStarted: "a member that was added before has not started yet",
}
"""The meaning of etcd's refusals, in plain words."""


@dataclass(slots=True)
class JoinProgressReporter:
    """Reports each decision once, and again when its numbers change."""

    report: Report
    tracks: Mapping[str, JoinState]
    clock: Clock
    _told: str = ""
    _refused: tuple[Action, str] | None = field(default=None)

    def decision(self, decision: Decision, view: ClusterView, left: float) -> None:
        """Reports a decision. `left`: seconds until the join gives up, shown while it waits for an etcd to start."""
        event = self._event(decision, view)
        if event is not None and isinstance(decision, Wait) and decision.phase == "start":
            event = replace(event, seconds_left=math.ceil(left) if left < 10 else math.ceil(left / 10) * 10)
        # A refused request is sent again and again; it was reported once.
        again = isinstance(decision, Do) and self._refused is not None and decision.action == self._refused[0]
        if event is None or again:
            return
        said = f"{event.phase} {event.member} {event.text} {event.lag_entries} {event.received_bytes} {event.seconds_left}"
        if said != self._told:
            self._told = said
            self.report(event)

    def waiting(self, action: Action, why: str) -> None:
        """Reports once that an invariant forbids the step now; it may allow it in a moment."""
        if (action, why) != self._refused:
            self._refused = (action, why)
            self.report(Event(_WORDS[type(action)][0], getattr(action, "name", ""), f"not yet: {why}"))

    def refusal(self, action: MembershipChange, error: EtcdError) -> None:
        if (action, error.text) != self._refused:
            self._refused = (action, error.text)
            why = _REFUSALS.get(type(error), error.text)
            self.report(Event(_WORDS[type(action)][0], getattr(action, "name", ""), f"etcd refuses for now: {why}"))

    def _event(self, decision: Decision, view: ClusterView) -> Event | None:
        match decision:
            case Wait(phase=phase, member=name, why=why):
                return self._progress(phase, name, why, view)
            case Do(action=action):
                phase, text = self._words(action)
                return self._progress(phase, getattr(action, "name", ""), text, view)
            case _:
                return None

    def _words(self, action: Action) -> tuple[Phase, str]:
        if isinstance(action, StartMember) and not self.tracks[action.name].runtime.can_wipe:
            return "start", "it is registered: its etcd can start now"
        return _WORDS[type(action)]

    def _progress(self, phase: Phase, name: str, text: str, view: ClusterView) -> Event:
        track = self.tracks.get(name)
        member = _member(track, view) if track else None
        leader = view.answer(view.leader.id) if view.leader else None
        if track is None or member is None or leader is None:
            return Event(phase, name, text)
        answer = view.answer(member.id)
        if answer is None:
            return self._transfer(phase, name, text, track, leader.db_size)
        seconds = track.lag.seconds(self.clock.now(), leader.raft_index, answer.applied_index)
        return Event(phase, name, text, lag_of(view, member), round(seconds, 1), answer.db_size, leader.db_size)

    def _transfer(self, phase: Phase, name: str, text: str, track: JoinState, total: int) -> Event:
        """Returns the event of a silent learner: only the received part of the snapshot is known."""
        if track.received is None:
            return Event(phase, name, text)
        rate = track.rate.per_second(self.clock.now(), track.received)
        left = max(total - track.received, 0)
        return Event(
            phase,
            name,
            text,
            received_bytes=track.received,
            total_bytes=total,
            bytes_per_second=round(rate),
            eta_seconds=round(left / rate, 1) if rate else None,
        )


def _member(track: JoinState, view: ClusterView) -> Member | None:
    known = track.memory.member_id
    return view.by_id(known) if known else view.by_peer_urls((track.spec.peer_url,))
