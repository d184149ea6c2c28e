"""Rows C1, C2, E1, G1, P1, P1b, T1, W1: how a command ends when something is gone, or slow, that was there at its beginning."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from real.rows.harness import EndedError, Etcd, Lab, Point, endpoints, until
from real.rows.links import cut_peers, machines_in

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
ANSWERED = "learner Status"
PROMOTED = Point("after MemberPromote")
A_HICCUP = 1.3


def records(lab: Lab, at: Etcd) -> list[str]:
    return lab.must(at, "get", "--prefix", "/quorate/", "--keys-only").split()


def hiccup(etcd: Etcd, seconds: float = A_HICCUP) -> None:
    """It stands still for a moment, seen by those who go on now."""
    etcd.pause()
    threading.Timer(seconds, etcd.go_on).start()


# -- behind the promotion ----------------------------------------------------------------------------------------------


@pytest.mark.chaos
def test_c1_a_join_that_is_finished_ends_well_though_its_first_leader_died(lab: Lab) -> None:
    voters = lab.voters("a", "b", "c")
    first = lab.leader(*voters)
    others = [voter for voter in voters if voter is not first]
    tool = lab.add(lab.etcd("d"), voters, points=[PROMOTED])
    tool.wait_stopped()
    first.kill()
    tool.go_on()
    done = tool.end()
    assert done.code == 0, done
    assert lab.roles(others[0])["d"] == "voter"
    assert [key for key in records(lab, others[0]) if key.startswith("/quorate/joins/")] == []
    first.start()
    lab.sound(others[0], {"a", "b", "c", "d"})


@pytest.mark.chaos
def test_c2_a_voter_that_is_started_again_is_a_success(lab: Lab) -> None:
    """Of two: without it nobody leads, so nobody leads when the command begins."""
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    assert lab.add(joiner, [a]).end().code == 0
    joiner.kill()
    time.sleep(2.5)
    done = lab.add(joiner, [a]).end()
    assert done.code == 0, done
    lab.sound(a, {"a", "d"})


def stand_still_at(lab: Lab, point: Point) -> None:
    """The cluster does, for a moment, when the tool is at `point`: it waits, and ends well."""
    (a,) = lab.voters("a")
    tool = lab.add(lab.etcd("d"), [a], points=[point])
    with suppress(EndedError):
        tool.wait_stopped()
        hiccup(a)
        tool.go_on()
    done = tool.end()
    assert done.code == 0, done
    lab.sound(a, {"a", "d"})
    assert [key for key in records(lab, a) if key.startswith("/quorate/joins/")] == []


def test_p1b_a_moment_of_standing_still_behind_a_finished_join_undoes_nothing(lab: Lab) -> None:
    stand_still_at(lab, Point("before DeleteRange", since=PROMOTED.event))


@pytest.mark.chaos
@pytest.mark.parametrize("number", range(1, 21, 2))
def test_p1b_at_any_call_behind_the_promotion(lab: Lab, number: int) -> None:
    stand_still_at(lab, Point("before *", number, since=PROMOTED.event))


def test_p1_a_moment_of_standing_still_within_the_proof_undoes_nothing(lab: Lab) -> None:
    stand_still_at(lab, Point("before Put", since=ANSWERED))


@pytest.mark.chaos
@pytest.mark.parametrize("number", range(1, 21, 2))
def test_p1_at_any_call_of_the_proof(lab: Lab, number: int) -> None:
    stand_still_at(lab, Point("before *", number, since=ANSWERED))


# -- the one endpoint --------------------------------------------------------------------------------------------------


def test_g1_the_member_that_is_removed_may_be_the_only_endpoint(lab: Lab) -> None:
    voters = lab.voters("a", "b", "c")
    b = voters[1]
    done = lab.quorate("etcd", "remove", "b", "--accept-reduced-tolerance", "--timeout=10", endpoints(b)).end(40)
    assert done.code == 0, done
    assert lab.roles(voters[0]) == {"a": "voter", "c": "voter"}


@pytest.mark.chaos
@pytest.mark.parametrize("ends", ["well", "badly"])
def test_e1_the_only_endpoint_dies(lab: Lab, ends: str) -> None:
    """A follower: the others were named by it. The join is finished, or rolled back when the new etcd cannot start."""
    a, b, c = sorted(lab.voters("a", "b", "c"), key=lambda voter: voter.peer_url)
    lab.lead(a, [a, b, c])
    joiner = lab.etcd("d")
    more = ["--etcd-arg=no-such-setting=1"] if ends == "badly" else []
    tool = lab.add(joiner, [c], *more, points=[Point("after MemberAdd")])
    tool.wait_stopped()
    c.kill()
    tool.go_on()
    done = tool.end()
    assert (done.code == 0) == (ends == "well"), done
    assert "learner" not in lab.roles(a).values() and len(lab.roles(a)) == (4 if ends == "well" else 3)
    c.start()
    lab.sound(a, set(lab.roles(a)))


@pytest.mark.chaos
def test_w1_who_waits_in_the_queue_survives_the_death_of_the_first_leader(lab: Lab) -> None:
    voters = sorted(lab.voters("a", "b", "c"), key=lambda voter: voter.peer_url)
    leader = lab.leader(*voters)
    rest = [voter for voter in voters if voter is not leader]
    gate = lab.folder / "gate"
    first, second = lab.etcd("d"), lab.etcd("e")
    first.program = str(gated(lab, gate))
    holding = lab.add(first, voters, "--no-inbound-probe", "--timeout=40")
    until(lambda: "d" in str(lab.roles(rest[0])) or len(lab.roles(rest[0])) == 4, 20, "d is not registered")
    waiting = lab.add(second, voters, "--timeout=40")
    waiting.wait_for("after LeaseGrant")
    time.sleep(1.0)
    leader.kill()
    time.sleep(4.0)
    assert waiting.process.poll() is None, "it did not wait"
    gate.touch()
    leader.start()
    done = waiting.end(120), holding.end(120)
    assert [one.code for one in done] == [0, 0], done
    lab.sound(rest[0], {"a", "b", "c", "d", "e"})


def gated(lab: Lab, gate: Path) -> Path:
    """An etcd that begins once `gate` is there."""
    script = lab.folder / "etcd-gated"
    lines = ["#!/bin/sh", f'[ "$1" = --version ] && exec {lab.program} --version', f"while [ ! -e {gate} ]; do sleep 0.1; done"]
    script.write_text("\n".join([*lines, f'exec {lab.program} "$@"', ""]))
    script.chmod(0o755)
    return script


# -- what is no progress -----------------------------------------------------------------------------------------------


@pytest.mark.chaos
def test_t1_a_learner_that_comes_and_goes_is_no_progress(tmp_path: Path) -> None:
    """It gets nothing any more, and answers now and then, as one does that is started again and again."""
    with machines_in(tmp_path, "3.6", 2) as lab:
        a, joiner = lab.etcds
        lab.bootstrap(a)
        tool = lab.add_elsewhere(joiner, [a], "--timeout=6", points=[Point(ANSWERED)])
        tool.wait_stopped()
        cut_peers(joiner, a)
        tool.go_on()
        with coming_and_going(joiner):
            done = tool.end(30)
        assert done.code != 0 and lab.roles(a) == {"n1": "voter"}, done


@contextmanager
def coming_and_going(etcd: Etcd, seconds: float = 0.8) -> Iterator[None]:
    over = threading.Event()

    def flap() -> None:
        while not over.wait(seconds):
            etcd.pause()
            over.wait(seconds)
            etcd.go_on()

    thread = threading.Thread(target=flap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
