"""How many voters `local up` brings a cluster to: those it has and the joins of its own directory, whatever else is listed."""

from __future__ import annotations

import shlex

import pytest
from conftest import RunCli

from quorate.local import cluster
from quorate.local.home import Home
from real.rows.harness import Point, Tool
from real.rows.local_tools import killed_at, must, roles

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
NOWHERE = "--peer-urls=https://127.0.0.1:19999"


def voters(home: Home) -> int:
    return list(roles(home).values()).count("voter")


def test_a_learner_of_somebody_else_is_no_voter_that_is_missing(home: Home, etcd36: str) -> None:
    """Every run added a voter."""
    cluster.up(home, 3, etcd36)
    must(home, "member", "add", "zz", "--learner", NOWHERE)
    for _ in range(2):
        grown = cluster.up(home)
        assert grown.joined == () and voters(home) == 3
    cluster.join(home, None)
    assert voters(home) == 4


def test_an_own_join_that_was_cut_off_counts_and_a_learner_of_somebody_else_does_not(
    home: Home, etcd36: str, tool_of: list[Tool]
) -> None:
    cluster.up(home, 1, etcd36)
    killed_at(tool_of, home, "join", Point("after MemberAdd", act="kill"))
    must(home, "member", "add", "zz", "--learner", NOWHERE)
    assert [one.name for one in cluster.up(home).joined] == ["m2"]
    assert voters(home) == 2 and cluster.up(home).joined == ()


def test_the_ways_out_of_a_size_that_is_refused_work(home: Home, etcd36: str, cli: RunCli) -> None:
    """It advised a removal that was refused, because fewer members could have failed afterwards."""
    cluster.up(home, 5, etcd36)
    done = cli("local", "up", "--members", "3", "--dir", str(home.layout.root))
    assert done.returncode == 4
    kept, _, leaves = done.stderr.rsplit("next: ", 1)[1].strip().partition("    # or: ")
    for command in [kept, *leaves.split(" && ")]:
        tried = cli(*shlex.split(command)[1:])
        assert tried.returncode == 0, (command, tried.stderr)
    assert roles(home) == dict.fromkeys(("m1", "m2", "m3"), "voter")
