"""Rows X1, X1r, U1, U2, U2p, U3: what is rolled back is what this run registered, on a list that can be believed."""

from __future__ import annotations

import time

import pytest

from real.rows.harness import Etcd, Lab, Point, Tool, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
ANSWERS = Point("learner Status")
PROMOTED = Point("after MemberPromote")


def interrupted(tool: Tool) -> None:
    """It goes on from its point with a request to stop."""
    tool.interrupt()
    tool.go_on()


def is_whole(lab: Lab, at: Etcd, joiner: Etcd) -> None:
    """Whatever the tool left: a listed joiner has its process and its data, and there is a quorum."""
    if joiner.name in lab.roles(at):
        assert joiner.alive
    until(lambda: lab.writes(at), 12, "writes are not accepted")


def test_x1_a_voter_is_not_wiped_on_the_list_of_another_cluster(lab: Lab) -> None:
    (a,), (other,) = lab.voters("a"), lab.voters("x")
    joiner = lab.etcd("d")
    other.pause()
    tool = lab.add(joiner, [a, other], points=[PROMOTED])
    tool.wait_stopped()
    a.pause()
    other.go_on()
    interrupted(tool)
    time.sleep(3)
    a.go_on()
    tool.end()
    lab.sound(a, {"a", "d"})
    lab.sound(other, {"x"})


@pytest.mark.chaos
@pytest.mark.parametrize("verb", ["add", "remove", "replace"])
def test_x1_endpoints_of_two_clusters_are_refused(lab: Lab, verb: str) -> None:
    """Whichever answers first: neither is changed."""
    first, second = lab.voters("a", "b", "c"), lab.voters("x", "y", "z")
    joiner = lab.etcd("d")
    seeds = [first[0], second[0]]
    if verb == "remove":
        tool = lab.quorate("etcd", "remove", first[2].name, "--accept-reduced-tolerance", "--endpoints", _both(seeds))
    else:
        tool = lab.add(joiner, seeds, verb=verb if verb == "add" else f"replace {first[2].name}")
    done = tool.end()
    assert done.code != 0 and done.error, done
    lab.sound(first[0], {"a", "b", "c"})
    lab.sound(second[0], {"x", "y", "z"})
    assert not joiner.pids


def _both(seeds: list[Etcd]) -> str:
    return ",".join(seed.client_url for seed in seeds)


@pytest.mark.parametrize("number", [1, *(pytest.param(number, marks=pytest.mark.chaos) for number in (2, 3, 4))])
def test_x1r_a_member_is_not_called_removed_on_the_list_of_another_cluster(lab: Lab, number: int) -> None:
    first, (other,) = lab.voters("a", "f"), lab.voters("x")
    other.pause()
    arguments = ("etcd", "remove", "f", "--accept-reduced-tolerance", "--timeout=8")
    points = [Point("after MemberList", number)]
    tool = lab.quorate(*arguments, "--endpoints", _both([first[0], other]), points=points)
    tool.wait_stopped()
    for member in first:
        member.pause()
    other.go_on()
    tool.go_on()
    time.sleep(3)
    for member in first:
        member.go_on()
    done = tool.end()
    listed = "f" in lab.roles(first[0])
    assert listed == (done.code != 0), done
    lab.sound(other, {"x"})


def test_u2_a_learner_whose_peer_url_was_corrected_and_that_was_promoted_by_hand_stays(lab: Lab) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    tool = lab.add(joiner, [a], points=[ANSWERS])
    tool.wait_stopped()
    number = lab.id_of(a, "d")
    lab.must(a, "member", "update", number, f"--peer-urls={joiner.peer_url.replace('127.0.0.1', 'localhost')}")
    lab.must(a, "member", "promote", number)
    tool.go_on()
    tool.end()
    assert lab.roles(a) == {"a": "voter", "d": "voter"}
    is_whole(lab, a, joiner)


def test_u2p_a_learner_whose_peer_url_was_corrected_is_not_wiped_while_it_is_listed(lab: Lab) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    tool = lab.add(joiner, [a], points=[ANSWERS])
    tool.wait_stopped()
    number = lab.id_of(a, "d")
    lab.must(a, "member", "update", number, f"--peer-urls={joiner.peer_url.replace('127.0.0.1', 'localhost')}")
    interrupted(tool)
    assert tool.end().code != 0
    assert lab.roles(a) == {"a": "voter"} or joiner.alive, "it is listed, and its data is gone"


def test_u1_the_learner_that_an_operator_registered_in_its_place_stays(lab: Lab) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    tool = lab.add(joiner, [a], points=[ANSWERS])
    tool.wait_stopped()
    theirs = _registered_anew(lab, a, joiner)
    interrupted(tool)
    assert tool.end().code != 0
    assert theirs in [row.id for row in lab.members(a)]


def _registered_anew(lab: Lab, a: Etcd, joiner: Etcd) -> str:
    """The operator removes the member at this peer URL and registers his own there; returns the id of his."""
    lab.must(a, "member", "remove", lab.id_of(a, joiner.peer_url))
    # The id is made of peer URL and second.
    time.sleep(1.1)
    lab.must(a, "member", "add", joiner.name, "--learner", f"--peer-urls={joiner.peer_url}")
    return lab.id_of(a, joiner.peer_url)


@pytest.mark.parametrize("paused", [True, False], ids=["while the tool is paused", "while it waits"])
def test_u1_what_an_operator_removed_is_not_added_again(lab: Lab, paused: bool) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    tool = lab.add(joiner, [a], points=[ANSWERS])
    tool.wait_stopped()
    number = lab.id_of(a, "d")
    if not paused:
        # A learner that hangs stays one: the tool waits for it.
        joiner.pause()
        tool.go_on()
        time.sleep(1.0)
    lab.must(a, "member", "remove", number)
    tool.go_on()
    if not paused:
        time.sleep(0.5)
        joiner.go_on()
    done = tool.end()
    assert tool.count("before MemberAdd") == 1
    assert done.code != 0 and lab.roles(a) == {"a": "voter"}, done


@pytest.mark.chaos
def test_u3_the_record_of_a_killed_run_makes_nobody_elses_learner_ours(lab: Lab) -> None:
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    lab.add_elsewhere(joiner, [a], points=[Point("after MemberAdd", act="kill")]).end()
    # Within three seconds nobody could tell: etcd makes the id of the URL and the second.
    time.sleep(3.0)
    theirs = _registered_anew(lab, a, joiner)
    done = lab.add_elsewhere(joiner, [a], "--start=false").end()
    assert done.code != 0 and theirs in [row.id for row in lab.members(a)], done
