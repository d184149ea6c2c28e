"""Single steps of a removal on members that are made up: what is asked, when it is sent, and what is said of its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from quorate.core.absence import Absence
from quorate.core.actions import Remove
from quorate.core.decide_remove import RemoveGoal
from quorate.core.invariants import Limits, UnsafeStep
from quorate.core.outcome import RemovalUnknown, Removed, Unchanged
from quorate.errors import Refused, having_done
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.errors import AnswerLost, MemberNotFound, NoSpace, ServerTimedOut, Unavailable
from quorate.etcd.coordination.removal_lock import LockLost, RemovalLock
from quorate.etcd.membership.executor import Note
from quorate.etcd.membership.leadership import LeaderStays
from quorate.etcd.membership.removal_judge import Allowed, RemovePolicy
from quorate.etcd.membership.remove import Removal, _Rounds
from unit.fakes import FakeAccess, FakeClock, Server, cluster, where
from unit.views import CLUSTER, answer, view

LIMITS = Limits(CLUSTER)


class FakeLock:
    """A lock that was lost, or was not."""

    def __init__(self, *, lost: bool) -> None:
        self.lost = lost

    def check(self) -> None:
        if self.lost:
            raise LockLost("the lock for removals was lost")

    keep = check


def ignore(_kind: str, _fields: dict[str, object]) -> None:
    """For what is not looked at here."""


NO_CONSENT = RemovePolicy()


@dataclass
class Leaving:
    """The removal of m2 from a cluster of two."""

    access: FakeAccess
    removal: Removal

    @property
    def leader(self) -> Server:
        return self.access.places[where(1)]

    def remove(self, *, lost: bool = False) -> None:
        lock = cast("RemovalLock", FakeLock(lost=lost))
        rounds = _Rounds(
            self.access,
            FakeClock(),
            ignore,
            self.removal._judge,
            lock,
            Allowed(LIMITS, self.removal.goal),
            self.removal._progress,
        )
        rounds.perform(Remove(2, named=True), view(2))

    def of(self, goal: RemoveGoal, note: Note = ignore, policy: RemovePolicy = NO_CONSENT) -> Removal:
        self.removal = Removal(self.access, FakeClock(), [where(1)], goal, lambda _event: None, note, policy)
        return self.removal


@pytest.fixture
def leaving() -> Iterator[Leaving]:
    with FakeAccess(cluster(2)) as access:
        removal = Removal(access, FakeClock(), [where(1)], RemoveGoal(2, "m2"), lambda _event: None, ignore, NO_CONSENT)
        yield Leaving(access, removal)


def test_a_removal_that_lost_its_lock_is_not_sent(leaving: Leaving) -> None:
    """Two removals side by side ended at two voters (fault L1)."""
    with pytest.raises(LockLost):
        leaving.remove(lost=True)
    assert "MemberRemove" not in leaving.leader.asked
    assert leaving.removal._outcome() == Unchanged("m2", 2)


def test_a_removal_asks_nothing_of_the_member_from_then_on(leaving: Leaving) -> None:
    leaving.access.routes.answered(where(2), 2, "3.6.16", is_learner=False, seconds=0.0)
    leaving.remove()
    assert "MemberRemove" in leaving.leader.asked and leaving.access.places[where(2)].asked == []


def test_a_removal_without_an_answer_may_still_arrive(leaving: Leaving) -> None:
    leaving.leader.replies["MemberRemove"] = AnswerLost("x")
    leaving.remove()
    assert leaving.removal._outcome() == RemovalUnknown("m2", 2)
    leaving.leader.members.pop()
    assert leaving.removal._outcome() == Removed("m2", 2)
    leaving.leader.cut = True
    assert leaving.removal._outcome() == RemovalUnknown("m2", 2)


def test_a_lost_answer_is_not_called_a_refusal(leaving: Leaving) -> None:
    said: list[str] = []
    leaving.removal.report = lambda event: said.append(getattr(event, "text", ""))
    leaving.leader.replies["MemberRemove"] = AnswerLost("no answer in time")
    leaving.remove()
    assert said[-1] == "the answer of etcd was lost: looking whether it was removed"
    leaving.leader.replies["MemberRemove"] = Unavailable("no leader")
    leaving.remove()
    assert said[-1] == "etcd refuses for now: no leader"


def test_a_removal_that_was_refused_changed_nothing(leaving: Leaving) -> None:
    leaving.leader.replies["MemberRemove"] = Unavailable("x")
    leaving.remove()
    assert leaving.removal._outcome() == Unchanged("m2", 2)
    leaving.leader.replies["MemberRemove"] = MemberNotFound("x")
    leaving.remove()


def test_a_removal_is_not_allowed_on_a_local_list_or_without_a_quorum(leaving: Leaving) -> None:
    """Where all answer and follow a leader it said that there is no quorum: the leader itself did not answer."""
    for seen, why in (
        (replace(view(2), linearizable=False), "no quorum could be proved: 2 of 2"),
        (view(2, answers={1: answer(1)}), "there is no quorum: 1 of 2"),
    ):
        with pytest.raises(Refused, match=why) as refused:
            leaving.removal._judge._check(seen, LIMITS, RemoveGoal(2, "m2"))
        # As the second half of a replacement: the state said "nothing was changed", of a member that had joined.
        later = having_done(refused.value, "new has joined")
        assert later.state.endswith("new has joined") and "nothing was changed" not in later.state


# -- after a try -------------------------------------------------------------------------------------------------------


def reach(removal: Removal, goal: RemoveGoal) -> None:
    removal._reach_goal(cast("RemovalLock", FakeLock(lost=False)), Allowed(LIMITS, goal))


def test_a_removal_that_was_not_applied_asks_the_member_again(leaving: Leaving) -> None:
    leaving.access.routes.answered(where(2), 2, "3.6.16", is_learner=False, seconds=0.0)
    asked: list[int] = []

    def remove(_request: object) -> Any:
        asked.append(leaving.access.places[where(2)].asked.count("Status"))
        if len(asked) == 1:
            raise Unavailable("etcdserver: not yet")
        return leaving.leader._MemberRemove(None)  # type: ignore[arg-type]

    leaving.leader.replies["MemberRemove"] = remove
    reach(leaving.removal, leaving.removal.goal)
    assert asked == [1, 3], "once before the first try; for the new proof and the new decision before the second"


def test_a_removal_that_was_not_applied_proves_anew_that_the_member_is_dead(leaving: Leaving) -> None:
    """It came back while etcd refused: without it the cluster could lose fewer."""
    access = leaving.access
    access.places = cluster(3)
    back = access.places.pop(where(3))

    def remove(_request: object) -> Any:
        access.places[where(3)] = back
        raise Unavailable("etcdserver: not yet")

    leaving.leader.replies["MemberRemove"] = remove
    leaving.of(RemoveGoal(3, "m3"))
    with pytest.raises(Refused, match="0 voters could fail then, instead of 1"):
        reach(leaving.removal, RemoveGoal(3, "m3", Absence(3, "ended")))
    assert leaving.leader.asked.count("MemberRemove") == 1


def test_what_answers_again_at_the_last_look_is_not_removed_as_dead(leaving: Leaving) -> None:
    access = leaving.access
    access.places = cluster(3)
    back = access.places.pop(where(3))

    def note(_kind: str, _fields: object) -> None:
        access.places[where(3)] = back

    leaving.of(RemoveGoal(3, "m3"), note)
    with pytest.raises(UnsafeStep, match="0 voters could fail then, instead of 1"):
        reach(leaving.removal, RemoveGoal(3, "m3", Absence(3, "ended")))
    assert "MemberRemove" not in leaving.leader.asked
    assert leaving.removal._outcome() == Unchanged(leaving.removal.goal.name, 3), "nothing was sent: that is known"


def test_what_the_others_hear_again_is_not_removed_as_dead(leaving: Leaving) -> None:
    """It does not serve clients yet. None of these members has a page to say that it heard nothing."""
    leaving.access.places = cluster(3)
    leaving.access.places.pop(where(3))
    leaving.of(RemoveGoal(3, "m3"))
    with pytest.raises(Refused, match="0 voters could fail then, instead of 1"):
        reach(leaving.removal, RemoveGoal(3, "m3", Absence(3, "silent", 10.0, 21)))
    assert "MemberRemove" not in leaving.leader.asked


def test_a_removal_that_was_applied_is_the_end(leaving: Leaving) -> None:
    """Nothing that is seen later turns it into a failure."""
    leader = leaving.leader

    def remove(_request: object) -> Any:
        leaving.access.places.clear()
        return leader._MemberRemove(None)  # type: ignore[arg-type]

    leader.replies["MemberRemove"] = remove
    reach(leaving.removal, leaving.removal.goal)
    assert leaving.removal._outcome() == Removed("m2", 2)


@pytest.mark.parametrize(
    ("lease", "proof", "consent", "allowed"),
    [(0, False, False, False), (7, False, False, True), (0, True, False, True), (0, False, True, True)],
)
def test_without_the_lock_no_live_voter_is_removed(
    leaving: Leaving, lease: int, proof: bool, consent: bool, allowed: bool
) -> None:
    """Two removals, each judged by the same margin at the same time, left two of four voters (J6)."""
    lock = cast("RemovalLock", SimpleNamespace(lease=lease))
    goal = RemoveGoal(2, "m2", Absence(2, "ended") if proof else None)
    removal = leaving.of(leaving.removal.goal, policy=RemovePolicy(accept_reduced_tolerance=consent))
    with nullcontext() if allowed else pytest.raises(Refused, match="lock for removals could not be taken"):
        removal._judge.refuse_alone(lock, goal)


def test_a_removal_without_the_lock_ends_before_anything_is_sent(leaving: Leaving) -> None:
    """A cluster out of space gives no lease."""
    for server in leaving.access.places.values():
        server.replies["LeaseGrant"] = NoSpace("etcdserver: mvcc: database space exceeded")
    with pytest.raises(Refused, match="lock for removals could not be taken"):
        leaving.removal.run()
    assert "MemberRemove" not in leaving.leader.asked


# -- the leader ----------------------------------------------------------------------------------------------------------


def leader_of_four(leaving: Leaving, answers: list[Any]) -> list[int]:
    """The removal of m1, which leads m2, m3 and m4; returns whom it asks to lead. Each transfer ends as the next of `answers`
    says: an error, or the number of who leads then."""
    leaving.access.places = cluster(4)
    asked: list[int] = []

    def move(request: Any) -> Any:
        asked.append(request.targetID)
        ends = answers.pop(0)
        if isinstance(ends, Exception):
            raise ends
        for server in leaving.access.places.values():
            server.leader = ends
        return wire.HeaderResponse()

    leaving.leader.replies["MoveLeader"] = move
    leaving.of(RemoveGoal(1, "m1"), policy=RemovePolicy(accept_reduced_tolerance=True))
    return asked


CONSENT = Limits(CLUSTER, accept_reduced_tolerance=True)


def reach_with_consent(removal: Removal) -> None:
    removal._reach_goal(cast("RemovalLock", FakeLock(lost=False)), Allowed(CONSENT, removal.goal))


def test_a_transfer_that_failed_is_tried_once_more_with_another_voter_and_then_reported(leaving: Leaving) -> None:
    """36 transfers in a minute, and no write for 51 of its seconds."""
    asked = leader_of_four(leaving, [ServerTimedOut("took too long"), AnswerLost("no answer in time")])
    with pytest.raises(LeaderStays, match=r"away from m1 \(m2: took too long; m3: no answer in time\)") as raised:
        reach_with_consent(leaving.removal)
    assert asked == [2, 3] and "m1 leads" in raised.value.state
    assert all("MemberRemove" not in server.asked for server in leaving.access.places.values())


def test_a_leader_that_leads_again_after_two_transfers_is_not_removed(leaving: Leaving) -> None:
    asked = leader_of_four(leaving, [1, 1])
    with pytest.raises(LeaderStays, match="it led, and does not lead any more"):
        reach_with_consent(leaving.removal)
    assert asked == [2, 3]


def test_a_leader_is_removed_through_its_heir(leaving: Leaving) -> None:
    asked = leader_of_four(leaving, [ServerTimedOut("took too long"), 3])
    reach_with_consent(leaving.removal)
    assert asked == [2, 3] and "MemberRemove" in leaving.access.places[where(3)].asked
