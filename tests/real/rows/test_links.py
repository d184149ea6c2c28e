"""Rows S1, S2, S3, S5: members that answer us and are cut off from the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.rows.harness import Etcd, Lab, Point, endpoints, until
from real.rows.links import cut_peers, join_peers, machines_in

pytestmark = [pytest.mark.real, pytest.mark.chaos, pytest.mark.timeout(240)]
WHERE_THEY_STAND_STILL = 6.0


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Lab]:
    """Three voters and a machine that is to join."""
    with machines_in(tmp_path, "3.6", 4) as lab:
        lab.bootstrap(*lab.etcds[:3])
        yield lab


def cut_off(lab: Lab) -> tuple[Etcd, Etcd, Etcd]:
    """The third voter answers us and does not reach the others; returns all three, the first of them leads."""
    n1, n2, n3 = lab.etcds[:3]
    lab.lead(n1, [n1, n2, n3])
    cut_peers(n3, n1, n2)
    until(lambda: not lab.writes(n3, 0.5), 10, "n3 still writes")
    time.sleep(2.5)
    return n1, n2, n3


@pytest.mark.parametrize("version", ["3.4", "3.5", "3.6", "3.7"])
def test_s2_s5_a_voter_is_neither_stopped_nor_wiped_on_the_list_of_one_that_is_cut_off(tmp_path: Path, version: str) -> None:
    """Interrupted right behind the promotion, while only the one answers whose list is old."""
    with machines_in(tmp_path, version, 4) as lab:
        n1, n2, n3, n4 = lab.etcds
        lab.bootstrap(n1, n2, n3)
        lab.lead(n1, [n1, n2, n3])
        # etcd adds nobody before the links are so old; and 3.4 notices after 4 s that one is silent.
        time.sleep(6)
        tool = lab.add(n4, [n1, n2, n3], points=[Point("before MemberAdd"), Point("after MemberPromote")])
        tool.wait_stopped()
        cut_peers(n3, n1, n2)
        tool.go_on()
        tool.wait_stopped()
        before = n4.pids
        n1.pause()
        n2.pause()
        tool.interrupt()
        tool.go_on()
        time.sleep(WHERE_THEY_STAND_STILL)
        after = n4.pids
        n1.go_on()
        n2.go_on()
        tool.end()
        assert after == before, "the voter was stopped"
        lab.sound(n1, {"n1", "n2", "n3", "n4"})


def test_s3_a_learner_that_is_linked_to_the_leader_only_gets_no_vote(four: Lab) -> None:
    """With it the death of the leader would leave no quorum; without it two of three go on."""
    n1, n2, n3, n4 = four.etcds
    four.lead(n1, [n1, n2, n3])
    cut_peers(n4, n2, n3)
    done = four.add_elsewhere(n4, [n1, n2, n3], "--timeout=15", before=n1.before).end(90)
    assert "learner" not in four.roles(n1).values(), done
    n1.kill()
    until(lambda: four.writes(n2), 15, f"no writes without the leader; {done}")


def test_s1_a_voter_without_a_leader_is_not_counted_as_there(four: Lab) -> None:
    n1, n2, n3 = cut_off(four)
    shown = four.quorate("etcd", "status", endpoints(n1, n2, n3), before=n1.before).end().shown
    assert (shown["margin"]["reachable"], shown["margin"]["margin"]) == (2, 0)


def test_s1_what_would_leave_it_with_one_other_is_refused(four: Lab) -> None:
    n1, n2, n3 = cut_off(four)
    arguments = ("etcd", "remove", "n2", "--accept-reduced-tolerance", "--timeout=10", endpoints(n1, n2, n3))
    for more in (["--dry-run"], []):
        assert four.quorate(*arguments, *more, before=n1.before).end().code == 4
    assert set(four.roles(n1)) == {"n1", "n2", "n3"}
    join_peers(n3, n1, n2)
    four.sound(n1, {"n1", "n2", "n3"})


def test_s1_what_it_lists_does_not_say_that_a_learner_is_gone(four: Lab) -> None:
    """The one that is cut off is the only endpoint, and the new etcd cannot start."""
    n1, _, n3 = cut_off(four)
    done = four.add(four.etcds[3], [n3], "--etcd-arg=no-such-setting=1").end()
    assert done.code != 0
    assert set(four.roles(n1)) == {"n1", "n2", "n3"}, done
