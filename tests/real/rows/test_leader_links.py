"""Row L2: a leader is removed, or moves, only where the others are known to be linked without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from real.rows.harness import Etcd, Lab, endpoints
from real.rows.links import cut_peers, machines_in

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


def term(lab: Lab, at: Etcd) -> int:
    status = json.loads(lab.ctl(at, "endpoint", "status", "-w", "json").stdout)[0]["Status"]
    return int(status["raftTerm"])


def run(lab: Lab, *arguments: str) -> tuple[int, str]:
    done = lab.quorate("etcd", *arguments, endpoints(*lab.etcds), before=lab.etcds[0].before).end(90)
    return done.code, str(done)


def test_the_leader_of_a_star_stays_where_it_is(tmp_path: Path) -> None:
    """Each follower reaches the leader alone: none of them could lead. Two tries a second ended most writes for a minute."""
    with machines_in(tmp_path, "3.6", 4) as lab:
        n1, n2, n3, n4 = lab.etcds
        lab.bootstrap(n1, n2, n3, n4)
        lab.lead(n1, lab.etcds)
        cut_peers(n2, n3, n4)
        cut_peers(n3, n4)
        before = term(lab, n1)
        for command in (("remove", "n1", "--dry-run"), ("remove", "n1", "--accept-reduced-tolerance")):
            code, shown = run(lab, *command)
            assert code == 4 and "n2-n3" in shown, (command, shown)
        code, shown = run(lab, "move-leader", "n2")
        assert code == 4 and "n3" in shown, shown
        assert term(lab, n1) == before, "leadership was moved, or was to be"
        assert lab.leader(n1) is n1 and lab.writes(n1)


def test_the_leader_of_linked_voters_leaves_after_one_transfer(tmp_path: Path) -> None:
    """One pair of followers is cut: the voter that reaches both leads next."""
    with machines_in(tmp_path, "3.6", 4) as lab:
        n1, n2, n3, n4 = lab.etcds
        lab.bootstrap(n1, n2, n3, n4)
        lab.lead(n1, lab.etcds)
        cut_peers(n2, n3)
        before = term(lab, n1)
        code, shown = run(lab, "remove", "n1")
        assert code == 4 and "0 voters could fail then, instead of 1" in shown, shown
        assert term(lab, n1) == before
        code, shown = run(lab, "remove", "n1", "--accept-reduced-tolerance")
        assert code == 0, shown
        assert lab.leader(n2, n3, n4) is n4 and set(lab.roles(n4)) == {"n2", "n3", "n4"}
