"""Runs a member's join in its turn: waits for the one learner seat, holds it, and keeps the record of the join meanwhile."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

from quorate.core.join_memory import JoinMemory, merged
from quorate.core.membership import ClusterView
from quorate.core.outcome import Undone
from quorate.deadline import SystemClock
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.coordination.join_record import SeatRequest
from quorate.etcd.coordination.learner_seat import learner_seat
from quorate.etcd.membership.first_step import listed_at
from quorate.etcd.membership.join import Join
from quorate.etcd.membership.join_state import JoinResult, Remember
from quorate.etcd.membership.runtime import JoinSpec
from quorate.report import Report

JoinOf: TypeAlias = Callable[[JoinSpec, Remember, Callable[[], None]], Join]
"""Makes the join from its spec with the memory of an earlier run, the function that stores its memory, and the one that keeps
the seat."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. `seconds`: how long the first in the queue may keep the others waiting. `look_seconds`: how long to wait for a
    list that can be read through the quorum. `ends_as`: as in `JoinPolicy`."""

    access: Access
    seeds: Sequence[Endpoint]
    clock: SystemClock
    report: Report
    look: Callable[[], ClusterView]
    seconds: float
    look_seconds: float
    ends_as: Literal["voter", "standby"]

    def run(
        self,
        spec: JoinSpec,
        cluster_id: int,
        remember: Remember,
        join_of: JoinOf,
    ) -> JoinResult:
        """Runs the join that `join_of` makes. Raises what that join raises, and `Refused` when the queue does not move."""
        request = SeatRequest(secrets.token_hex(8), spec.name, spec.peer_url, cluster_id, self.ends_as)
        listed = partial(listed_at, self.look, spec.peer_url, self.clock, self.look_seconds)
        with learner_seat(self.access, self.seeds, request, listed, self.clock, self.report, self.seconds) as seat:

            def store(name: str, memory: JoinMemory) -> None:
                remember(name, memory)
                seat.remember(memory)

            join = join_of(replace(spec, memory=merged(spec.memory, seat.memory)), store, seat.keep)
            try:
                return join.run()[0]
            finally:
                seat.undone = bool(join.ends) and all(isinstance(end, Undone) for end in join.ends)
