"""What proves that a learner is aligned, and that a new voter serves; and what proves neither."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from quorate.core.catch_up import ROUNDS, Proof
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.errors import NoSpace, ServerTimedOut, Unavailable
from quorate.etcd.observation.catch_up_proof import Candidate, prove, serves_as_voter
from unit.fakes import FakeAccess, FakeClock, Server, channel_to, cluster, row, where
from unit.views import CLUSTER, answer, member, view

LEARNER = member(9, learner=True)


def candidate(leader: Server, own: Server) -> Candidate:
    return Candidate(LEARNER, CLUSTER, channel_to(leader), channel_to(own), patience=0.5)


def proof_of(leader: Server, own: Server) -> Proof | None:
    return prove(candidate(leader, own), FakeClock())


def learner(**fields: Any) -> Server:
    return Server(9, learner=True, **fields)


def test_a_learner_is_proved_by_two_writes_that_it_applies() -> None:
    leader, own = Server(1), learner()
    proof = proof_of(leader, own)
    assert proof is not None and proof.holds(member_id=9, cluster_id=CLUSTER, now=0.0)
    assert (proof.rounds, proof.term, proof.leader_id, proof.wall) == (ROUNDS, 3, 1, 1_000_000.0)
    assert leader.asked == ["Put", "Status"] * ROUNDS


@pytest.mark.parametrize(
    "own",
    [
        learner(applied=99),
        learner(cluster=5),
        Server(8, learner=True),
        Server(9, learner=False),
        learner(replies={"Status": Unavailable("x")}),
    ],
    ids=["behind", "of another cluster", "another member", "a voter by now", "silent"],
)
def test_a_learner_is_not_proved_by(own: Server) -> None:
    assert proof_of(Server(1), own) is None


def test_a_write_in_another_term_proves_nothing() -> None:
    leader = Server(1)
    leader.replies["Put"] = lambda _request: wire.PutResponse(header=wire.Header(raft_term=2))
    assert proof_of(leader, learner()) is None


def test_a_leader_that_leads_no_more_proves_nothing() -> None:
    assert proof_of(Server(1, leader=2), learner()) is None


@pytest.mark.parametrize("error", [ServerTimedOut("x"), Unavailable("x")])
def test_a_leader_that_hesitates_is_asked_again_later(error: ServerTimedOut | Unavailable) -> None:
    """A join of many gigabytes was undone for 1.3 s of a slow leader."""
    assert proof_of(Server(1, replies={"Put": error}), learner()) is None


def test_a_final_error_is_told() -> None:
    with pytest.raises(NoSpace):
        proof_of(Server(1, replies={"Put": NoSpace("x")}), learner())


def test_a_proof_is_as_old_as_the_question() -> None:
    clock, own = FakeClock(), learner()

    def slow(request: wire.Empty) -> wire.StatusResponse:
        clock.pass_time(0.2)
        return own._Status(request)

    own.replies["Status"] = slow
    proof = prove(candidate(Server(1), own), clock, rounds=1)
    assert proof is not None and (proof.at, clock.time) == (0.0, 0.2)


# -- a new voter -------------------------------------------------------------------------------------------------------


@pytest.fixture
def access() -> Iterator[FakeAccess]:
    """Members 1 and 2, and 9 that was promoted just now."""
    with FakeAccess(cluster(2)) as found:
        rows = [row(1), row(2), row(9)]
        found.places[where(9)] = Server(9)
        for server in found.places.values():
            server.members = list(rows)
        yield found


def serves(access: FakeAccess, own: Server) -> bool:
    seen = view(2, member(9), answers={1: answer(1), 2: answer(2), 9: answer(9)})
    return serves_as_voter(access, seen, member(9), channel_to(own), timeout=0.5)


def test_a_voter_serves_that_says_so_reads_and_is_counted_by_a_majority(access: FakeAccess) -> None:
    assert serves(access, access.places[where(9)])


def test_a_voter_does_not_serve_that_calls_itself_a_learner_or_somebody_else(access: FakeAccess) -> None:
    own = access.places[where(9)]
    own.learner = True
    assert not serves(access, own)
    own.learner, own.number = False, 8
    assert not serves(access, own)


def test_a_voter_does_not_serve_that_reads_nothing_through_the_quorum(access: FakeAccess) -> None:
    own = access.places[where(9)]
    own.replies["Range"] = Unavailable("etcdserver: no leader")
    assert not serves(access, own)


def test_a_voter_does_not_serve_that_most_others_list_as_a_learner(access: FakeAccess) -> None:
    """A 3.5 that never wrote the promotion down would."""
    for number in (1, 2):
        access.places[where(number)].members[2] = row(9, learner=True)
    assert not serves(access, access.places[where(9)])
    access.places[where(1)].members[2] = row(9)
    assert serves(access, access.places[where(9)])
