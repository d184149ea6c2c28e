"""Rows A1, B1, K1, K1r, K4, L1, R1, R2, Y1: who counts as there, and what may be taken without being asked for."""

from __future__ import annotations

import time

import pytest

from real.rows.harness import Done, Etcd, Lab, Point, endpoints

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
NOWHERE = "http://127.0.0.1:1"
REFUSED = 4


def remove(lab: Lab, name: str, seeds: list[Etcd], *more: str, points: tuple[Point, ...] = ()) -> Done:
    return lab.quorate("etcd", "remove", name, endpoints(*seeds), *more, points=points).end(90)


def hidden(lab: Lab, name: str) -> Etcd:
    """A member that tells the others a client URL where nobody is, and listens all the same."""
    return lab.etcd(name, advertised=NOWHERE)


# -- who counts as there -----------------------------------------------------------------------------------------------


def test_b1_nothing_is_added_where_a_majority_of_the_voters_is_not_seen(lab: Lab) -> None:
    members = [lab.etcd("a"), hidden(lab, "b"), hidden(lab, "c")]
    lab.bootstrap(*members)
    lab.lead(members[0], members)
    joiner = lab.etcd("d")
    tool = lab.add(joiner, members[:1])
    assert tool.end().code != 0
    assert tool.count("before MemberAdd") == 0
    lab.sound(members[0], {"a", "b", "c"})


@pytest.mark.chaos
def test_y1_what_cannot_be_verified_afterwards_is_known_before_the_promotion(lab: Lab) -> None:
    """With all endpoints given the members can be asked there, whatever they advertise."""
    members = [lab.etcd("a"), hidden(lab, "b"), hidden(lab, "c")]
    lab.bootstrap(*members)
    lab.lead(members[0], members)
    joiner = lab.etcd("d")
    done = lab.add(joiner, members).end()
    lab.sound(members[0], {"a", "b", "c", "d"} if done.code == 0 else {"a", "b", "c"})
    assert done.code == 0, done


def test_a1_a_cluster_that_answers_at_the_endpoints_given_is_healthy(lab: Lab) -> None:
    members = [hidden(lab, name) for name in ("a", "b", "c")]
    lab.bootstrap(*members)
    status = lab.quorate("etcd", "status", endpoints(*members)).end()
    assert status.code == 0 and status.shown["margin"]["margin"] == 1
    assert lab.quorate("etcd", "health", endpoints(*members)).end().code == 0


@pytest.mark.chaos
def test_a1_it_is_joined_too(lab: Lab) -> None:
    members = [hidden(lab, name) for name in ("a", "b", "c")]
    lab.bootstrap(*members)
    assert lab.add(lab.etcd("d"), members).end().code == 0
    lab.sound(members[0], {"a", "b", "c", "d"})


def test_a1_a_dry_run_refuses_what_the_removal_would_refuse(lab: Lab) -> None:
    members = [hidden(lab, name) for name in ("a", "b", "c")]
    lab.bootstrap(*members)
    tried = remove(lab, "c", members[:1], "--accept-reduced-tolerance", "--dry-run")
    done = remove(lab, "c", members[:1], "--accept-reduced-tolerance", "--timeout=5")
    assert (tried.code == 0) == (done.code == 0), (tried, done)


# -- what may be taken -------------------------------------------------------------------------------------------------


def test_r2_a_voter_that_stood_still_for_two_seconds_is_not_removed_as_a_dead_one(lab: Lab) -> None:
    members = lab.voters("a", "b", "c")
    a, _, c = members
    lab.lead(a, members)
    c.pause()
    tool = lab.quorate("etcd", "remove", "c", endpoints(*members))
    time.sleep(2.3)
    c.go_on()
    done = tool.end()
    assert done.code == REFUSED and done.error["code"], done
    lab.sound(a, {"a", "b", "c"})


@pytest.mark.chaos
def test_r2_nor_is_it_replaced_as_one(lab: Lab) -> None:
    """The new one never comes: nobody is missing afterwards."""
    members = lab.voters("a", "b", "c")
    a, _, c = members
    lab.lead(a, members)
    c.pause()
    tool = lab.add_elsewhere(lab.etcd("e"), members, "--start=true", "--timeout=8", verb="replace c")
    time.sleep(3.5)
    c.go_on()
    assert tool.end().code != 0
    lab.sound(a, {"a", "b", "c"})


def twofold(lab: Lab, name: str) -> Etcd:
    """A member whose first client URL is closed to us; the second one serves."""
    member = lab.etcd(name)
    member.advertised = f"{NOWHERE},{member.client_url}"
    return member


def test_r1_a_voter_whose_first_client_url_is_closed_is_not_removed_as_a_dead_one(lab: Lab) -> None:
    members = [lab.etcd("a"), lab.etcd("b"), twofold(lab, "c")]
    lab.bootstrap(*members)
    for more in (("--dry-run",), ()):
        assert remove(lab, "c", members[:2], *more).code == REFUSED
    lab.sound(members[0], {"a", "b", "c"})


@pytest.mark.chaos
def test_r1_nor_is_it_replaced_as_one(lab: Lab) -> None:
    members = [lab.etcd("a"), lab.etcd("b"), twofold(lab, "c")]
    lab.bootstrap(*members)
    tool = lab.add_elsewhere(lab.etcd("e"), members[:2], "--start=true", "--timeout=8", verb="replace c")
    assert tool.end().code != 0
    lab.sound(members[0], {"a", "b", "c"})


@pytest.mark.chaos
@pytest.mark.timeout(260)
def test_l1_two_removals_side_by_side_take_no_more_than_each_alone_would(lab: Lab) -> None:
    """The first stands still at its intent for longer than any lock lasts."""
    members = lab.voters("a", "b", "c", "d")
    _, b, c, _ = members
    lab.lead(b, members)
    first = lab.quorate("etcd", "remove", "a", endpoints(b, c), points=[Point("written intent remove")])
    first.wait_stopped()
    second = lab.quorate("etcd", "remove", "c", endpoints(b, c)).end(150)
    first.go_on()
    ended = first.end(100)
    left = lab.roles(b)
    assert len(left) >= 3, left
    assert ("a" in left) == (ended.code != 0) and ("c" in left) == (second.code != 0), (left, ended, second)


def while_another_hangs(lab: Lab, point: Point, *, settled: float) -> None:
    """b hangs while the tool stands still at `point` of removing c: with c gone there would be no quorum."""
    members = lab.voters("a", "b", "c")
    a, b, _ = members
    lab.lead(a, members)
    time.sleep(settled)
    arguments = ("etcd", "remove", "c", "--accept-reduced-tolerance", "--timeout=6", endpoints(*members))
    tool = lab.quorate(*arguments, points=[point])
    tool.wait_stopped()
    b.pause()
    time.sleep(2.5)
    tool.go_on()
    done = tool.end(90)
    assert lab.writes(a), done
    b.go_on()
    lab.sound(a, {"a", "b", "c"}, {"a", "b"})


@pytest.mark.chaos
def test_k1_a_removal_is_judged_anew_after_a_pause(lab: Lab) -> None:
    while_another_hangs(lab, Point("written intent remove"), settled=6.0)


@pytest.mark.chaos
def test_k4_a_removal_that_etcd_put_off_is_judged_anew(lab: Lab) -> None:
    """The member that leaves is not taken for dead meanwhile: a margin that is negative already is not one to keep."""
    while_another_hangs(lab, Point("failed MemberRemove"), settled=0.0)


# -- what is replaced --------------------------------------------------------------------------------------------------


def test_k1r_an_old_member_that_is_none_is_said_before_anything_is_done(lab: Lab) -> None:
    members = lab.voters("a", "b")
    tool = lab.add(lab.etcd("e"), members, verb="replace bb")
    assert tool.end().code != 0
    assert tool.count("before MemberAdd") == 0
    lab.sound(members[0], {"a", "b"})


def test_k1r_so_is_one_that_names_two(lab: Lab) -> None:
    members = lab.voters("a")
    second = lab.etcd("a")
    lab.must(members[0], "member", "add", "a", "--learner", f"--peer-urls={second.peer_url}")
    second.start([("first", members[0].peer_url), ("a", second.peer_url)])
    lab.must(members[0], "member", "promote", lab.id_of(members[0], second.peer_url))
    tool = lab.add(lab.etcd("e"), members, verb="replace a")
    assert tool.end().code == 3
    assert tool.count("before MemberAdd") == 0
    assert [row.name for row in lab.members(members[0])] == ["a", "a"]
