"""Rows OW1 to OW7: data that is lost in one direction only, while connections stay."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from real.rows.harness import Etcd, Lab, Point, endpoints, until
from real.rows.links import machines_in, mute, mute_clients

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

_LOST_FOR = 6.0
"""Longer than any sample of the counters counts."""


def run(lab: Lab, *arguments: str) -> tuple[int, str]:
    done = lab.quorate("etcd", *arguments, endpoints(*lab.etcds), before=lab.beside).end(120)
    return done.code, str(done)


def learner_of(lab: Lab, voters: list[Etcd], joiner: Etcd) -> str:
    """A learner that has everything; its id."""
    rows = [(one.name, one.peer_url) for one in (*voters, joiner)]
    lab.must(voters[0], "member", "add", joiner.name, "--learner", f"--peer-urls={joiner.peer_url}")
    joiner.start(rows)
    until(lambda: joiner.name in lab.roles(voters[0]), 30, "the learner does not start")
    return lab.id_of(voters[0], joiner.peer_url)


@pytest.mark.parametrize(("version", "count"), [("3.5", 1), ("3.6", 2), ("3.7", 1)])
def test_a_learner_that_the_leader_does_not_hear_gets_no_vote(version: str, count: int, tmp_path: Path) -> None:
    """OW1. It applies all that the leader sends, and etcd's own check passes: one voter and it had no quorum any more."""
    with machines_in(tmp_path, version, count + 1) as lab:
        voters, joiner = lab.etcds[:count], lab.etcds[-1]
        lab.bootstrap(*voters)
        lab.lead(voters[0], voters)
        # etcd compares indices by a tenth: a short log hides what it does not see.
        for _ in range(150):
            lab.must(voters[0], "put", "k", "v")
        member = learner_of(lab, voters, joiner)
        mute(joiner, voters[0])
        time.sleep(_LOST_FOR)
        done = lab.quorate("etcd", "promote", member, "--timeout=10", endpoints(*voters), before=lab.beside).end(90)
        assert done.code != 0, str(done)
        assert lab.roles(voters[0])[joiner.name] == "learner" and lab.writes(voters[0])


def test_a_living_voter_that_only_the_leader_does_not_hear_is_not_dead(tmp_path: Path) -> None:
    """OW4. It hears the leader, so it does not campaign; the others hear its link heartbeats alone."""
    with machines_in(tmp_path, "3.6", 5) as lab:
        n1, *_, n5 = lab.etcds
        lab.bootstrap(*lab.etcds)
        lab.lead(n1, lab.etcds)
        mute(n5, n1)
        mute_clients(n5, lab)
        time.sleep(_LOST_FOR)
        code, shown = run(lab, "remove", "n5")
        assert code == 4 and "1 voter could fail then, instead of 2" in shown, shown
        assert "n5" in lab.roles(n1)


@pytest.mark.parametrize("pauses", [False, True], ids=["before", "while the tool stands still"])
def test_a_cut_between_followers_counts_before_a_removal_as_after_it(pauses: bool, tmp_path: Path) -> None:
    """OW5, OW7. What n2 sends does not reach n3: without n4 and the leader these two are no quorum."""
    with machines_in(tmp_path, "3.6", 4) as lab:
        n1, n2, n3, n4 = lab.etcds
        lab.bootstrap(*lab.etcds)
        lab.lead(n1, lab.etcds)
        if not pauses:
            mute(n2, n3)
            time.sleep(_LOST_FOR)
        points = [Point("writing intent remove")] if pauses else []
        tool = lab.quorate("etcd", "remove", "n4", endpoints(*lab.etcds), points=points, before=lab.beside)
        if pauses:
            tool.wait_stopped()
            mute(n2, n3)
            time.sleep(3)
            tool.go_on()
        done = tool.end(120)
        assert done.code == 4 and "0 voters could fail then, instead of 1" in str(done), str(done)
        assert set(lab.roles(n1)) == {"n1", "n2", "n3", n4.name}
        n1.kill()
        until(lambda: any(lab.writes(one, 2.0) for one in (n2, n3, n4)), 30, "three of four are no quorum")


def test_the_heir_of_nobody_is_one_that_only_the_leader_hears(tmp_path: Path) -> None:
    """OW6. It hears everybody, which made it the best heir; no follower hears it."""
    with machines_in(tmp_path, "3.7", 4) as lab:
        n1, n2, n3, n4 = lab.etcds
        lab.bootstrap(*lab.etcds)
        lab.lead(n1, lab.etcds)
        mute(n2, n3, n4)
        time.sleep(_LOST_FOR)
        code, shown = run(lab, "move-leader", "n2")
        assert code == 4 and "is not known to work" in shown, shown
        assert lab.leader(n1) is n1 and lab.writes(n1)
