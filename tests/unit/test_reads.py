"""How a member list was read, and what that proves; on members that are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from quorate.core.membership import ClusterView, NoResponse
from quorate.core.versions import Version
from quorate.deadline import SystemClock
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import PermissionDenied, Unavailable
from quorate.etcd.observation.look import LookTimeouts, TwoClusters, observe
from quorate.etcd.observation.reads import local_list, quorum_list
from unit.fakes import FakeAccess, Server, channel_to, cluster, row, where

V34, V36 = Version(3, 4, 23), Version(3, 6, 16)
PATIENCE = LookTimeouts(members=0.2, status=2.0)


@contextmanager
def access_to(places: dict[Endpoint, Server]) -> Iterator[FakeAccess]:
    with FakeAccess(places) as access:
        yield access


def look(access: FakeAccess, *seeds: Endpoint, unasked: tuple[int, ...] = ()) -> ClusterView:
    return observe(access, seeds or [where(1)], SystemClock(), patience=PATIENCE, unasked=unasked)


def test_a_list_is_asked_for_with_the_flag() -> None:
    server = Server(1, [row(1)])
    assert quorum_list(channel_to(server), timeout=1, version=V36).how == "flag"
    assert server.calls[0][1].linearizable
    assert not local_list(channel_to(server), timeout=1).linearizable


def test_a_list_of_an_old_member_is_read_behind_a_range() -> None:
    server = Server(1, [row(1)], version="3.4.23")
    assert quorum_list(channel_to(server), timeout=1, version=V34).how == "range"
    assert server.asked == ["Range", "MemberList"]
    assert not server.calls[0][1].serializable


def test_a_list_behind_a_range_that_failed_is_none() -> None:
    with pytest.raises(Unavailable):
        quorum_list(channel_to(Server(1, [row(1)], version="3.4.23", cut=True)), timeout=1, version=V34)


def test_a_list_behind_a_range_of_another_member_is_local() -> None:
    """An address may lead to another member each time."""
    server = Server(1, [row(1)], version="3.4.23")
    server.replies["Range"] = lambda _request: wire.RangeResponse(header=wire.Header(member_id=2))
    assert quorum_list(channel_to(server), timeout=1, version=V34).how == "local"


def test_a_range_that_is_not_permitted_proves_as_much() -> None:
    server = Server(1, [row(1)], version="3.4.23", replies={"Range": PermissionDenied("x")})
    assert quorum_list(channel_to(server), timeout=1, version=V34).how == "range"


# -- a look ------------------------------------------------------------------------------------------------------------


def test_a_look_at_a_healthy_cluster() -> None:
    with access_to(cluster(3)) as access:
        seen = look(access)
    assert seen.linearizable and seen.read_by == frozenset({1, 2, 3}) and seen.leader is not None and seen.leader.id == 1
    assert seen.reachable_voters == 3


def slowly(places: dict[Endpoint, Server], **seconds: float) -> None:
    """Member 1 takes so long for these methods: a fake that answers at once is known before its list is asked for."""
    server = places[where(1)]

    def slow(method: str, wait: float) -> Callable[[Any], Any]:
        def reply(request: Any) -> Any:
            SystemClock().sleep(wait)
            return getattr(server, f"_{method}")(request)

        return reply

    server.replies.update({method: slow(method, wait) for method, wait in seconds.items()})


def test_a_look_asks_a_member_that_ignores_the_flag_again_behind_a_range() -> None:
    places = cluster(1, version="3.4.23")
    slowly(places, Status=0.2)
    with access_to(places) as access:
        assert look(access).linearizable
    assert places[where(1)].asked[-2:] == ["Range", "MemberList"]


def test_a_look_asks_an_old_member_again_whose_status_came_before_its_list() -> None:
    """Beside a newer one whose list counts: nobody would insist."""
    places = cluster(2)
    places[where(1)].version = "3.4.23"
    slowly(places, Status=0.05, MemberList=0.15)
    with access_to(places) as access:
        assert look(access, where(1), where(2)).read_by == frozenset({1, 2})


@pytest.mark.parametrize("seconds", [{"Status": 0.05}, {"Status": 0.03, "MemberList": 0.1}], ids=["list first", "status first"])
def test_a_look_takes_no_list_with_the_flag_from_a_member_that_ignores_it(seconds: dict[str, float]) -> None:
    places = cluster(1, version="3.4.23", cut=True, leader=0)
    slowly(places, **seconds)
    with access_to(places) as access:
        seen = look(access)
    assert not seen.linearizable and seen.read_by == frozenset()


def test_a_look_takes_no_list_with_the_flag_for_that_of_another_member() -> None:
    """Status and list came from two members behind one address: which version gave the list is not known."""
    place = Endpoint("10.0.0.50", 2379)
    server = Server(2, [row(1)])
    server.replies["MemberList"] = lambda _request: wire.MembersResponse(
        header=wire.Header(cluster_id=server.cluster, member_id=1, raft_term=3), members=[row(1)]
    )
    with access_to({place: server}) as access:
        assert not look(access, place).linearizable


def test_a_look_counts_only_voters_that_answered_a_linearizable_read() -> None:
    """Member 3 is cut off and names the leader still."""
    places = cluster(3)
    places[where(3)].cut = True
    with access_to(places) as access:
        seen = look(access)
    assert seen.read_by == frozenset({1, 2}) and not seen.follows(3) and seen.answer(3) is not None


def test_a_look_prefers_the_list_that_was_read_through_the_quorum() -> None:
    places = cluster(3)
    places[where(3)].cut, places[where(3)].members = True, [row(3)]
    with access_to(places) as access:
        seen = look(access, where(3), where(1))
    assert seen.linearizable and len(seen.members) == 3


def test_a_look_refuses_seeds_of_two_clusters() -> None:
    other = Server(7, [row(7)], cluster=5, leader=7)
    with access_to({**cluster(1), where(7): other}) as access, pytest.raises(TwoClusters, match="two clusters"):
        look(access, where(1), where(7))


def test_a_look_refuses_another_cluster_than_at_the_beginning() -> None:
    with access_to(cluster(1)) as access:
        look(access)
        access.places[where(1)].cluster = 5
        with pytest.raises(TwoClusters, match="this run began on 63"):
            look(access)


def test_a_look_drops_another_cluster_at_a_url_that_a_member_advertises() -> None:
    places = cluster(3)
    places[where(2)] = Server(2, [row(2)], cluster=5, leader=2, term=9)
    with access_to(places) as access:
        seen = look(access)
    reply = seen.replies[2]
    assert isinstance(reply, NoResponse) and "another cluster (5)" in reply.reason
    assert seen.read_by == frozenset({1, 3}) and seen.cluster_id == 99
    assert any("advertised by a member" in warning for warning in seen.warnings)


def test_what_another_cluster_answers_for_is_no_way_any_more() -> None:
    """The key of the lock for removals was written into it (J10)."""
    places = cluster(3)
    stranger = places[where(2)] = Server(2, [row(2)], cluster=5, leader=2, term=9)
    with access_to(places) as access:
        look(access)
        assert where(2) not in access.routes.known()
        look(access)
        assert where(2) not in access.routes.known(), "what a member advertises does not make it one"
        stranger.cluster = 99
        look(access)
        assert where(2) in access.routes.known()


@pytest.mark.parametrize("secure", [True, False])
def test_a_member_that_advertises_http_is_not_asked_without_tls(secure: bool) -> None:
    """With https seeds the user and the password went out in the clear (security e4)."""
    places = cluster(2)
    seed = Endpoint("192.0.2.1", 2379, "on" if secure else "off")
    for server in places.values():
        for listed in server.members:
            listed.clientURLs[:] = [f"http://192.0.2.{listed.ID}:2379"]
    first, second = Endpoint("192.0.2.1", 2379, "off"), Endpoint("192.0.2.2", 2379, "off")
    with access_to({seed: places[where(1)], first: places[where(1)], second: places[where(2)]}) as access:
        seen = look(access, seed)
        assert (access.places[second].asked == []) is secure
        assert any("advertises http" in warning for warning in seen.warnings) is secure
        assert not secure or first not in access.routes.known()


def test_a_look_knows_a_member_by_its_id_wherever_it_answers() -> None:
    """Behind an address translation the advertised URL reaches nobody from here."""
    places = cluster(2)
    places[Endpoint("192.0.2.2", 12379)] = places.pop(where(2))
    with access_to(places) as access:
        seen = look(access, where(1), Endpoint("192.0.2.2", 12379))
        assert seen.follows(2) and seen.answer(2) is not None
        again = look(access, where(1))
    assert again.follows(2), "what led to a member once is asked again"


def test_a_look_takes_no_answer_of_another_member_for_that_of_a_member() -> None:
    places = cluster(2)
    places[where(2)] = places[where(1)]
    with access_to(places) as access:
        reply = look(access).replies[2]
    assert isinstance(reply, NoResponse) and "another member (1) answers" in reply.reason


def test_a_look_asks_nothing_of_a_member_that_is_about_to_be_removed() -> None:
    """One that applies its own removal while it is asked for its status panics."""
    places = cluster(3)
    with access_to(places) as access:
        look(access, where(1), where(3))
        before = len(places[where(3)].calls)
        seen = look(access, where(1), where(3), unasked=(3,))
    assert len(places[where(3)].calls) == before and isinstance(seen.replies[3], NoResponse)


def test_a_look_at_members_without_a_quorum_gives_the_copy_of_who_has_applied_most() -> None:
    places = cluster(2, cut=True, leader=0)
    places[where(2)].applied, places[where(2)].members = 200, [row(1), row(2), row(4)]
    with access_to(places) as access:
        seen = look(access, where(1), where(2))
    assert not seen.linearizable and len(seen.members) == 3


def test_a_view_of_a_look_is_as_old_as_its_beginning() -> None:
    places = cluster(1)
    slowly(places, Status=0.3)
    with access_to(places) as access:
        began = SystemClock().now()
        seen = look(access)
    assert seen.taken_at - began < 0.25
