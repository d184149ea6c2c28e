"""Records in the cluster: which say something of a member, and which are void; the queue, and the lock for removals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from quorate.core.join_memory import JoinMemory
from quorate.core.membership import Member
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.errors import PermissionDenied
from quorate.etcd.client.kv import KeyValue
from quorate.etcd.coordination.join_record import SeatRequest, describe, memory_for
from quorate.etcd.coordination.learner_seat import learner_seat
from quorate.etcd.coordination.removal_lock import LockLost, RemovalLock
from quorate.etcd.coordination.replacements import Replacements
from quorate.etcd.keys import CHANGE, SEATS, join_key
from unit.fakes import FakeAccess, FakeClock, cluster, where
from unit.views import CLUSTER, member, url

REQUEST = SeatRequest("run-1", "m9", url(9), CLUSTER)
LEARNER = member(9, learner=True)
OURS = JoinMemory(member_id=9, ours=True, listed=True, vote="asked", vote_before="asked")


def record(memory: JoinMemory, request: SeatRequest = REQUEST) -> KeyValue:
    return KeyValue(b"k", describe(request, memory), 1, 1, 0)


def of_version_0_1(**fields: object) -> KeyValue:
    value = {"run": "r", "name": "m9", "peerURL": url(9), "clusterId": f"{CLUSTER:x}", **fields}
    return KeyValue(b"k", json.dumps(value).encode(), 1, 1, 0)


def test_a_record_of_this_member_says_what_was_done_to_it() -> None:
    assert memory_for(record(OURS), REQUEST, LEARNER) == OURS


def test_a_record_of_another_cluster_is_void() -> None:
    """A snapshot that was restored revives records of its past."""
    assert memory_for(record(OURS, replace(REQUEST, cluster_id=5)), REQUEST, LEARNER) is None


def test_a_record_of_another_url_is_void() -> None:
    assert memory_for(record(OURS, replace(REQUEST, peer_url=url(8))), REQUEST, LEARNER) is None


def test_a_record_of_another_member_id_is_void() -> None:
    """At the URL there may be a later learner, somebody else's (fault U3)."""
    assert memory_for(record(OURS), REQUEST, Member(8, "", (url(9),), (), is_learner=True)) is None


def test_a_record_of_the_first_version_says_nothing_of_whose_a_learner_is() -> None:
    memory = memory_for(of_version_0_1(promoting=True, ours=True), REQUEST, LEARNER)
    assert memory is not None and not memory.ours and memory.vote == "asked" and memory.member_id == 9


def test_a_record_of_an_add_without_an_answer_takes_no_other_add_for_ours() -> None:
    memory = memory_for(record(JoinMemory(adding=((1000, 1011),))), REQUEST, LEARNER)
    assert memory is not None and not memory.ours


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b"x" * 100_000, b'{"peerURL": 7}'])
def test_a_record_that_cannot_be_read_says_nothing(value: bytes) -> None:
    assert memory_for(KeyValue(b"k", value, 1, 1, 0), REQUEST, LEARNER) is None


# -- the queue ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def access() -> Iterator[FakeAccess]:
    with FakeAccess(cluster(1)) as found:
        leases = iter(range(100, 200))
        server = found.places[where(1)]
        server.replies["LeaseGrant"] = lambda _request: wire.LeaseGrantResponse(ID=next(leases))
        server.replies["LeaseRevoke"] = lambda _request: wire.LeaseRevokeResponse()
        yield found


def put(access: FakeAccess, key: bytes, value: bytes = b"{}", lease: int = 0, revision: int = 0) -> None:
    access.places[where(1)].keys[key] = wire.KeyValue(key=key, value=value, lease=lease, create_revision=revision)


def test_a_place_without_a_lease_holds_nobody_up(access: FakeAccess) -> None:
    put(access, SEATS + b"older")
    with learner_seat(access, [where(1)], REQUEST, lambda: None, FakeClock(), lambda _event: None) as seat:
        assert not seat.memory.ours
        assert join_key(url(9)) in access.places[where(1)].keys


def test_an_older_place_goes_first(access: FakeAccess) -> None:
    put(access, SEATS + b"older", lease=7)
    clock = FakeClock()

    def gone(_event: object) -> None:
        del access.places[where(1)].keys[SEATS + b"older"]

    with learner_seat(access, [where(1)], REQUEST, lambda: None, clock, gone):
        assert clock.time > 0


def test_without_a_record_a_learner_is_used_and_is_not_ours(access: FakeAccess) -> None:
    with learner_seat(access, [where(1)], REQUEST, lambda: LEARNER, FakeClock(), lambda _event: None) as seat:
        assert (seat.memory.member_id, seat.memory.ours) == (9, False)


def test_a_cluster_that_takes_no_writes_is_joined_without_a_record(access: FakeAccess) -> None:
    access.places[where(1)].replies["LeaseGrant"] = PermissionDenied("x")
    with learner_seat(access, [where(1)], REQUEST, lambda: LEARNER, FakeClock(), lambda _event: None) as seat:
        assert (seat.memory.member_id, seat.memory.ours) == (9, False)


def fail_holding_the_seat(access: FakeAccess, *, undone: bool) -> None:
    with learner_seat(access, [where(1)], REQUEST, lambda: None, FakeClock(), lambda _event: None) as seat:
        seat.undone = undone
        raise ZeroDivisionError


@pytest.mark.parametrize("undone", [False, True])
def test_a_record_stays_when_the_join_fails_and_goes_when_everything_was_undone(access: FakeAccess, undone: bool) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_holding_the_seat(access, undone=undone)
    assert (join_key(url(9)) in access.places[where(1)].keys) is not undone


# -- the lock for removals ---------------------------------------------------------------------------------------------


def test_the_lock_is_held_by_its_lease_and_not_by_its_key(access: FakeAccess) -> None:
    lock = RemovalLock(access, [where(1)], FakeClock(), lease=100)
    put(access, CHANGE, lease=100)
    lock.check()
    put(access, CHANGE, lease=101)
    with pytest.raises(LockLost):
        lock.check()
    del access.places[where(1)].keys[CHANGE]
    with pytest.raises(LockLost):
        lock.check()


def test_the_lock_is_read_through_the_quorum(access: FakeAccess) -> None:
    put(access, CHANGE, lease=100)
    RemovalLock(access, [where(1)], FakeClock(), lease=100).check()
    (request,) = [request for name, request in access.places[where(1)].calls if name == "Range"]
    assert not request.serializable


# -- replacements ------------------------------------------------------------------------------------------------------


def test_a_replacement_is_about_the_member_that_was_named_in_this_cluster(access: FakeAccess) -> None:
    records = Replacements(access, [where(1)], FakeClock(), CLUSTER, url(9))
    assert not records.is_about("m3")
    assert records.began(member(3), "M3", 1) == 1
    assert records.is_about("m3") and records.is_about("3") and not records.is_about("m2") and not records.is_about("")
    assert records.began(member(3), "m3", 2) == 1, "what was recorded before its first change counts"
    assert records.began(member(2), "m2", 2) == 2, "another replacement begins anew"
    assert records.began(member(3), "M3", 1) == 1
    assert not replace(records, cluster_id=5).is_about("m3")
    assert not replace(records, peer_url=url(8)).is_about("m3")
    records.ended()
    assert not records.is_about("m3")
