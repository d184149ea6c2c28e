"""Defines when a learner is fully aligned: it has applied, just now, what was just written (decision 2).

etcd's own rule passes a learner at 90 % of the leader's absolute raft index, dead or alive. Ours needs a `Proof`.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUNDS = 2
"""Rounds of a proof. One could be luck of timing: the second write is made after the first was seen on the learner."""

NEAR_ENTRIES = 1000
"""Above this lag, in raft entries, a learner is still catching up: a proof of alignment would fail and only add writes."""

FRESH_SECONDS = 6.0
"""Maximum age, in seconds, of the proof on which a promotion is begun: an older one says nothing about now. Members that are
half a second away need four seconds for one proof. The sent request must meet `SEND_SECONDS`."""

SEND_SECONDS = 0.25
"""Maximum seconds between the learner's last Status and the sent promotion. Nothing in between blocks, so a longer time means
that this machine was suspended, and the learner may have died meanwhile."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof that the learner `member_id`, asked at `at` (`wall` on the wall clock), answered as a learner of `cluster_id` and
    had applied past `target_index`: the commit index of `leader_id` in `term` after a write of ours. `rounds` such rounds
    succeeded in a row. `heard`: whether the leader has received something from the learner since before the last write; None
    where the leader's metrics cannot be read.

    That a learner applies what the leader sends says nothing about the way back: a leader feeds it for seconds without an
    acknowledgement. One voter that did not hear its learner promoted it, and the two had no quorum any more.
    """

    member_id: int
    cluster_id: int
    term: int
    target_index: int
    applied_index: int
    at: float
    rounds: int
    wall: float = 0.0
    leader_id: int = 0
    heard: bool | None = None

    def holds(self, *, member_id: int, cluster_id: int, now: float) -> bool:
        """Returns whether this proof is about that member of that cluster, complete, and still fresh."""
        same = (self.member_id, self.cluster_id) == (member_id, cluster_id)
        return same and self.rounds >= ROUNDS and self.applied_index >= self.target_index and self.age(now) <= FRESH_SECONDS

    def age(self, now: float) -> float:
        return now - self.at


def lag_entries(leader_commit: int, applied: int) -> int:
    """Returns the raft entries the member has still to apply. Never negative: the two numbers were read at different times."""
    return max(0, leader_commit - applied)
