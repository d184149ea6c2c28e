"""When a learner is fully aligned: not by a ratio of indexes, but by having applied, just now, what was just written.

etcd's own rule passes a learner at 90 % of the leader's absolute raft index, dead or alive. Ours needs a `Proof`.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUNDS = 2
"""One round could be luck of timing: the second write is made after the first was seen on the learner."""

FRESH_SECONDS = 6.0
"""A proof older than this says nothing about now; members that are half a second away need four seconds for one. It decides
whether to begin a promotion; what is sent needs `SEND_SECONDS`."""

SEND_SECONDS = 0.25
"""Between the learner's last Status and the promotion that is sent there may be no more than this. Nothing that blocks is done
in between, so more means that the machine stood still, and the learner may have died meanwhile."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The learner `member_id` was asked at `at` (and at `wall` on the wall clock), and answered as a learner of `cluster_id`,
    having applied past `target_index`: the commit index of `leader_id` in `term` after a write of ours. `rounds` such rounds
    succeeded in a row."""

    member_id: int
    cluster_id: int
    term: int
    target_index: int
    applied_index: int
    at: float
    rounds: int
    wall: float = 0.0
    leader_id: int = 0

    def holds(self, *, member_id: int, cluster_id: int, now: float) -> bool:
        """Whether this proof is about that member of that cluster, complete, and still fresh."""
        same = (self.member_id, self.cluster_id) == (member_id, cluster_id)
        return same and self.rounds >= ROUNDS and self.applied_index >= self.target_index and self.age(now) <= FRESH_SECONDS

    def age(self, now: float) -> float:
        return now - self.at


def lag_entries(leader_commit: int, applied: int) -> int:
    """Raft entries the member has still to apply; never negative, for the two numbers were read at different times."""
    return max(0, leader_commit - applied)
