"""Rows of the second attack with links cut: what others' silence does not prove, and what a voter's death does not hide."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from real.rows.harness import Lab, endpoints, until
from real.rows.links import cut_from_here, cut_peers, machines_in

pytestmark = [pytest.mark.real, pytest.mark.chaos, pytest.mark.timeout(240)]
VERSIONS = pytest.mark.parametrize("version", ["3.4", "3.6"])


def survives_the_leader(lab: Lab, voters: int) -> None:
    """The leader dies: the others go on, for the joiner got no vote that they would need."""
    n1, n2 = lab.etcds[:2]
    assert len([role for role in lab.roles(n1).values() if role == "voter"]) == voters, "the joiner got its vote"
    n1.kill()
    until(lambda: lab.writes(n2, 2.0), 20, "no writes without the leader")


@VERSIONS
def test_a3_beside_a_dead_voter_a_learner_that_is_linked_to_the_leader_only_gets_no_vote(tmp_path: Path, version: str) -> None:
    """With n5 dead one more of the five may fail; with a vote for the joiner the leader's death would leave no quorum."""
    with machines_in(tmp_path, version, 6) as lab:
        *voters, joiner = lab.etcds
        lab.bootstrap(*voters)
        lab.lead(voters[0], voters)
        time.sleep(6)
        cut_peers(joiner, *voters[1:4])
        voters[4].kill()
        time.sleep(1)
        lab.add_elsewhere(joiner, voters, "--timeout=15", before=lab.beside).end(120)
        survives_the_leader(lab, 5)


LATE = ("3.6", 11.0)


@pytest.mark.parametrize(("version", "behind"), [("3.4", 2.5), ("3.6", 2.5), LATE])
def test_a3_a_hiccup_of_a_voter_does_not_give_a_vote_to_a_learner_that_is_linked_to_the_leader_only(
    tmp_path: Path, version: str, behind: float
) -> None:
    with machines_in(tmp_path, version, 4) as lab:
        n1, n2, n3, joiner = lab.etcds
        lab.bootstrap(n1, n2, n3)
        lab.lead(n1, [n1, n2, n3])
        time.sleep(6)
        cut_peers(joiner, n2, n3)
        tool = lab.add_elsewhere(joiner, [n1, n2, n3], "--timeout=20", before=lab.beside)
        tool.wait_for("learner Status")
        time.sleep(behind)
        n3.pause()
        time.sleep(3)
        n3.go_on()
        tool.end(120)
        survives_the_leader(lab, 3)


@VERSIONS
def test_b1_a_voter_that_only_the_leader_and_we_do_not_reach_is_not_removed_as_dead(tmp_path: Path, version: str) -> None:
    """n5 and the other three would be a quorum without the leader."""
    with machines_in(tmp_path, version, 5) as lab:
        n1, n2, n3, n4, n5 = voters = lab.etcds
        lab.bootstrap(*voters)
        lab.lead(n1, voters)
        time.sleep(6)
        cut_peers(n5, n1)
        cut_from_here(n5)
        time.sleep(8)
        done = lab.quorate("etcd", "remove", "n5", endpoints(n1, n2, n3, n4), before=lab.beside).end(120)
        assert set(lab.roles(n2)) == {"n1", "n2", "n3", "n4", "n5"}, done
        assert done.code != 0, done
