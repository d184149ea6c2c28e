"""What proves that a learner is aligned, and that a new voter serves; and what proves neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quorate.core.catch_up import ROUNDS, Proof
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.errors import NoSpace, ServerTimedOut, Unavailable
from quorate.etcd.client.metrics import Metrics, parse
from quorate.etcd.observation.catch_up_proof import Candidate, NotProved, prove, serves_as_voter
from unit.fakes import FakeAccess, FakeClock, Server, channel_to, cluster, row, where
from unit.views import CLUSTER, answer, member, view

LEARNER = member(9, learner=True)


Page = Callable[[], Metrics | None]


def pages(*counts: float | None, leads: str = "1") -> Page:
    """The leader's pages, one after the other: how many bytes it has received from the learner, and whether it leads; the last
    one stays."""
    left, led = list(counts), list(leads)

    def page() -> Metrics | None:
        count = left.pop(0) if len(left) > 1 else left[0]
        leads = led.pop(0) if len(led) > 1 else led[0]
        named = f'etcd_network_peer_received_bytes_total{{From="9"}} {count}\n'
        return None if count is None else parse(f"etcd_server_is_leader {leads}\n{named}")

    return page


def candidate(leader: Server, own: Server, page: Page | None = None) -> Candidate:
    return Candidate(LEARNER, CLUSTER, channel_to(leader), channel_to(own), page or pages(1, 2), patience=0.5)


def proof_of(leader: Server, own: Server, page: Page | None = None) -> Proof | None:
    found = prove(candidate(leader, own, page), FakeClock())
    return found if isinstance(found, Proof) else None


def learner(**fields: Any) -> Server:
    return Server(9, learner=True, **fields)


def test_a_learner_is_proved_by_two_writes_that_it_applies() -> None:
    leader, own = Server(1), learner()
    proof = proof_of(leader, own)
    assert proof is not None and proof.holds(member_id=9, cluster_id=CLUSTER, now=0.0)
    assert (proof.rounds, proof.term, proof.leader_id, proof.wall) == (ROUNDS, 3, 1, 1_000_000.0)
    assert leader.asked == ["Put", "Status"] * ROUNDS and proof.heard is True


def test_a_learner_that_the_leader_does_not_hear_is_not_proved() -> None:
    """It applied all that the leader sent: one voter promoted it, and the two had no quorum any more."""
    found = prove(candidate(Server(1), learner(), pages(7)), FakeClock())
    assert isinstance(found, NotProved) and "the leader receives nothing from it" in found.why


def test_a_learner_is_heard_a_moment_later() -> None:
    proof = proof_of(Server(1), learner(), pages(7, 7, 7, 8))
    assert proof is not None and proof.heard is True


@pytest.mark.parametrize("page", [pages(None), pages(7, None), pages(7, 8, leads="01"), pages(7, 8, leads="10")])
def test_without_the_leaders_own_page_nothing_is_known_of_the_way_back(page: Page) -> None:
    proof = proof_of(Server(1), learner(), page)
    assert proof is not None and proof.heard is None


def test_a_learner_that_died_while_the_page_was_read_is_not_proved() -> None:
    own = learner()

    def page() -> Metrics | None:
        dies = len(own.asked) >= ROUNDS
        if dies:
            own.replies["Status"] = Unavailable("x")
        return pages(8 if dies else 7)()

    assert proof_of(Server(1), own, page) is None


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


def _applies(*indexes: int) -> Server:
    """A learner that has applied these indexes at its first, second and further answers; the last stays."""
    own, left = learner(), list(indexes)

    def status(request: wire.Empty) -> wire.StatusResponse:
        own.applied = left.pop(0) if len(left) > 1 else left[0]
        return own._Status(request)

    own.replies["Status"] = status
    return own


def test_a_learner_that_applies_a_moment_later_is_proved() -> None:
    assert proof_of(Server(1), _applies(99, 99, 99, 100)) is not None


def test_a_learner_whose_data_went_back_while_the_page_was_read_is_not_proved() -> None:
    assert proof_of(Server(1), _applies(*[100] * ROUNDS, 40)) is None


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
    assert isinstance(proof, Proof) and (proof.at, clock.time) == (0.2, 0.4), "the last question, after what the leader hears"


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
