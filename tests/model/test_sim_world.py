"""The simulated etcd against what real ones were seen to do: lists, Status, links, leases, late requests, verdicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from model.sim import pages, rules
from model.sim.access import SimAccess, SimChannel
from model.sim.explore import VERSIONS
from model.sim.faults import add_at_our_url, operate, promote_ours, remove_ours
from model.sim.futures import SimFuture, as_completed
from model.sim.margin import real_margin
from model.sim.scene import Scene, scene
from quorate.core.membership import MemberStatus
from quorate.etcd.client import kv, lease, maintenance, rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import (
    AnswerLost,
    EtcdError,
    LeaseNotFound,
    MemberExists,
    MemberNotFound,
    NoAnswer,
    RpcOnLearner,
    TooManyLearners,
    UnhealthyCluster,
    Unreachable,
)


def channel(one: Scene, name: str) -> SimChannel:
    return SimChannel(Endpoint.parse(one.cluster.machines[name].client_addresses[0]), one.world)


def status(one: Scene, name: str) -> MemberStatus:
    return maintenance.status(channel(one, name), timeout=0.1)


def listed(one: Scene, name: str, *, linearizable: bool = True) -> wire.MembersResponse:
    return ask_list(channel(one, name), timeout=1.0, linearizable=linearizable)


def ask_list(where: Channel, *, timeout: float, linearizable: bool) -> wire.MembersResponse:
    return where.call(rpc.MEMBER_LIST, wire.MemberListRequest(linearizable=linearizable), timeout)


def add_learner(where: Channel, urls: list[str]) -> int:
    return where.call(rpc.MEMBER_ADD, wire.MemberAddRequest(peerURLs=urls, isLearner=True), 1.0).member.ID


def promote(where: Channel, member_id: int, timeout: float = 1.0) -> None:
    where.call(rpc.MEMBER_PROMOTE, wire.MemberPromoteRequest(ID=member_id), timeout)


def remove(where: Channel, member_id: int) -> None:
    where.call(rpc.MEMBER_REMOVE, wire.MemberRemoveRequest(ID=member_id), 1.0)


def cut_off(one: Scene, name: str) -> None:
    machines = one.cluster.machines
    one.cluster.cut(machines[name], [other for other in machines.values() if other.name != name])


def with_learner(version: str = "3.6.16", voters: int = 3) -> Scene:
    """A cluster whose learner `new` runs and has all data."""
    one = scene(voters=voters, version=version)
    rules.add(one.cluster, (one.peer_url,), learner=True)
    one.cluster.start(one.joiner)
    one.world.clock.move(1.0)
    return one


def raised(ask: Callable[[], object]) -> type[EtcdError]:
    with pytest.raises(EtcdError) as caught:
        ask()
    return type(caught.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cut_voter_tells_its_old_list_and_only_from_35_on_it_can_be_asked_not_to(version: str) -> None:
    one = scene(version=version)
    cut_off(one, "n3")
    rules.add(one.cluster, (one.peer_url,), learner=True)
    assert len(listed(one, "n1").members) == 4
    assert len(listed(one, "n3", linearizable=False).members) == 3
    if version.startswith("3.4"):
        assert len(listed(one, "n3").members) == 3
    else:
        assert raised(lambda: listed(one, "n3")) is NoAnswer


def test_on_34_a_linearizable_read_makes_the_list_behind_it_new() -> None:
    one = scene(version="3.4.23")
    one.cluster.machines["n3"].lag = 0.5
    rules.add(one.cluster, (one.peer_url,), learner=True)
    assert len(listed(one, "n3").members) == 3
    kv.get(channel(one, "n3"), b"x", timeout=2.0)
    assert len(listed(one, "n3").members) == 4


@pytest.mark.parametrize("version", VERSIONS)
def test_a_learner_answers_only_status_and_local_reads(version: str) -> None:
    one = with_learner(version)
    own = channel(one, "new")
    assert status(one, "new").is_learner
    assert kv.get(own, b"x", timeout=1.0, serializable=True) is None
    for ask in (
        lambda: listed(one, "new"),
        lambda: kv.get(own, b"x", timeout=1.0),
        lambda: kv.put(own, b"x", b"", timeout=1.0),
        lambda: lease.grant(own, 5, timeout=1.0),
    ):
        assert raised(ask) is RpcOnLearner
    assert pages.peer_members(one.world, one.peer_url, 1.0) is not None


def test_who_is_cut_off_names_its_old_leader_a_voter_for_a_while_a_learner_for_ever() -> None:
    one = with_learner()
    leader = status(one, "n1").leader
    cut_off(one, "n3")
    cut_off(one, "new")
    one.world.clock.move(1.0)
    assert status(one, "n3").leader == leader
    one.world.clock.move(1.0)
    assert status(one, "n3").leader == 0
    assert status(one, "n3").errors == ("etcdserver: no leader",)
    one.world.clock.move(60.0)
    assert status(one, "new").leader == leader


def test_a_leader_that_is_cut_off_gives_way_and_follows_when_it_is_back() -> None:
    one = scene()
    cut_off(one, "n1")
    assert status(one, "n1").leader == status(one, "n1").member_id
    one.world.clock.move(2.5)
    assert status(one, "n1").leader == 0
    new = status(one, "n2")
    assert new.leader != status(one, "n1").member_id
    assert new.raft_term == 3
    one.cluster.heal()
    one.world.clock.move(0.1)
    assert status(one, "n1").leader == new.leader


def test_a_leader_that_stood_still_names_itself_for_a_moment() -> None:
    one = scene()
    own = status(one, "n1").member_id
    one.cluster.pause(one.cluster.machines["n1"], 6.0)
    assert raised(lambda: status(one, "n1")) is NoAnswer
    one.world.clock.move(5.91)
    assert status(one, "n1").leader == own
    one.world.clock.move(0.1)
    assert status(one, "n1").leader != own


def test_what_waits_in_a_stopped_leader_is_carried_out_later_or_not() -> None:
    for late, there in ((0, True), (1, False)):
        one = scene(choose=lambda what, _many, late=late: late if what == "late" else 0)  # type: ignore[misc]
        one.cluster.pause(one.cluster.machines["n1"], 3.0)
        assert raised(partial(kv.put, channel(one, "n1"), b"k", b"v", timeout=1.0)) is AnswerLost
        one.world.clock.move(10.0)
        assert (kv.get(channel(one, "n2"), b"k", timeout=1.0) is not None) is there


def test_a_late_promotion_is_carried_out_by_another_leader() -> None:
    one = with_learner()
    one.cluster.pause(one.cluster.machines["n1"], 5.0)
    ask = partial(promote, channel(one, "n1"), one.joiner.member_id, timeout=0.3)
    assert raised(ask) is AnswerLost
    assert not one.cluster.is_voter(one.joiner)
    one.world.clock.move(8.0)
    assert one.cluster.is_voter(one.joiner)
    assert one.cluster.leader is not one.cluster.machines["n1"]


def test_verdicts_on_members() -> None:
    one = with_learner()
    leader, url = channel(one, "n1"), "http://other:2380"
    assert raised(lambda: add_learner(leader, [url])) is TooManyLearners
    assert raised(lambda: add_learner(leader, [one.peer_url])) is MemberExists
    assert raised(lambda: remove(leader, 1)) is MemberNotFound
    one.cluster.kill(one.cluster.machines["n3"])
    assert raised(lambda: remove(leader, one.cluster.machines["n2"].member_id)) is UnhealthyCluster
    one.cluster.kill(one.joiner)
    # A learner that was aligned when it died is promoted all the same.
    promote(leader, one.joiner.member_id)
    assert real_margin(one.cluster) == -1


def test_an_id_never_comes_back_and_the_same_second_makes_the_same_id() -> None:
    one = scene()
    leader = channel(one, "n1")
    first = add_learner(leader, [one.peer_url])
    remove(leader, first)
    assert raised(lambda: add_learner(leader, [one.peer_url])) is MemberNotFound
    one.world.clock.move(1.0)
    assert add_learner(leader, [one.peer_url]) != first


def test_a_removed_member_ends_by_itself() -> None:
    one = scene()
    remove(channel(one, "n1"), one.cluster.machines["n3"].member_id)
    one.world.clock.move(1.0)
    assert raised(lambda: status(one, "n3")) is Unreachable


def test_leases_end_in_time_and_their_keys_with_them() -> None:
    one = scene()
    where = channel(one, "n1")
    held = lease.grant(where, 10, timeout=1.0)
    assert kv.create(where, b"k", b"v", timeout=1.0, lease=held)
    assert not kv.create(where, b"k", b"w", timeout=1.0)
    one.world.clock.move(8.0)
    assert lease.keep_alive(where, held, timeout=1.0) == 10
    one.world.clock.move(8.0)
    assert kv.get(where, b"k", timeout=1.0) is not None
    one.world.clock.move(3.0)
    assert kv.get(where, b"k", timeout=1.0) is None
    with pytest.raises(LeaseNotFound):
        lease.keep_alive(where, held, timeout=1.0)


@pytest.mark.parametrize(("version", "unit"), [("3.4.23", 30), ("3.5.35", 30), ("3.6.16", 20), ("3.7.3", 2)])
def test_link_heartbeats_count_the_links_that_live(version: str, unit: int) -> None:
    """In 5.0 s a well-linked member of four receives 3 x 2 x 3 beats, one less link is 6 beats fewer."""
    one = with_learner(version)
    counts: list[float] = []
    for _ in range(3):
        pages.page_of(one.world, one.cluster.machines["n3"])
        counts.append(one.cluster.machines["n3"].received["0"])
        if len(counts) == 2:
            one.cluster.cut(one.joiner, [one.cluster.machines["n3"]])
        one.world.clock.move(5.0)
    grown = [after - before for before, after in pairwise(counts)]
    assert grown == [18 * unit, 12 * unit]
    leader = f"{one.cluster.machines['n1'].member_id:x}"
    assert f'From="{leader}"' in pages.page_of(one.world, one.cluster.machines["n3"])


def test_side_by_side_the_first_answer_comes_first_and_costs_only_its_own_time() -> None:
    one = scene()
    machines, began = one.cluster.machines, one.world.clock.now()
    one.cluster.pause(machines["n1"], 60.0)
    machines["n2"].delay = 0.05

    def ask(where: Channel) -> wire.MembersResponse:
        return ask_list(where, timeout=1.5, linearizable=False)

    access = SimAccess(one.world)
    asked = access.ask_all(ask, [Endpoint.parse(f"n{number}:2379") for number in (1, 2, 3)])
    came: list[float] = []
    for future in as_completed([one for one in asked if isinstance(one, SimFuture)]):
        assert future.exception() is None or isinstance(future.exception(), NoAnswer)
        came.append(round(one.world.clock.now() - began, 3))
    assert came == [0.001, 0.1, 1.5]


def test_the_margin_is_that_of_the_links() -> None:
    one = scene()
    machines = one.cluster.machines
    assert real_margin(one.cluster) == 1
    one.cluster.cut(machines["n2"], [machines["n3"]])
    assert real_margin(one.cluster) == 0
    one.cluster.cut(machines["n1"], [machines["n2"], machines["n3"]])
    assert real_margin(one.cluster) == -1


def test_what_an_operator_does_to_our_learner() -> None:
    one = with_learner()
    operate(one, remove_ours)
    one.world.clock.move(1.1)
    operate(one, add_at_our_url)
    assert len(one.cluster.state.learners) == 1
    one.joiner.forget()
    one.joiner.condition = "absent"
    one.cluster.start(one.joiner)
    one.world.clock.move(1.0)
    operate(one, promote_ours)
    assert one.cluster.is_voter(one.joiner)
    assert one.operator_acted


def test_a_lost_publish_is_mended_by_one_restart() -> None:
    one = scene(loses_publish=True)
    assert one.run().ok
    assert one.joiner.starts == 2
    one.verdict("a lost publish")
