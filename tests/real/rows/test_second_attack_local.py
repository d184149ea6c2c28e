"""Rows of the second attack on local clusters: a member is the one whose data lies here, whatever its row says."""

from __future__ import annotations

import pytest

from quorate.errors import QuorateError
from quorate.local import cluster
from quorate.local.home import Home
from real.rows.harness import Point, Tool, until
from real.rows.local_tools import correct_url, ctl, killed_at, must, roles, row_of, runs

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


@pytest.mark.chaos
def test_a1_a_member_whose_peer_url_was_corrected_leaves_the_cluster_before_its_data_goes(home: Home, etcd36: str) -> None:
    """The first one: of those that joined the id is remembered."""
    cluster.up(home, 2, etcd36)
    correct_url(home, "m1")
    cluster.leave(home, "m1", accept_reduced_tolerance=True)
    assert roles(home) == {"m2": "voter"}
    assert not runs(home, "m1") and not home.layout.member("m1").folder.exists()
    assert ctl(home, "put", "a", "b").returncode == 0


def test_a1_the_only_voter_does_not_leave_under_a_corrected_url_either(home: Home, etcd36: str) -> None:
    cluster.up(home, 1, etcd36)
    must(home, "put", "precious", "data")
    correct_url(home, "m1")
    with pytest.raises(QuorateError):
        cluster.leave(home, "m1", accept_reduced_tolerance=True)
    assert runs(home, "m1") and home.load().member("m1").phase != "leaving"
    assert "data" in must(home, "get", "precious")


def test_a1b_a_leave_that_was_cut_off_is_not_finished_by_deleting_who_is_listed(
    home: Home, etcd36: str, tool_of: list[Tool]
) -> None:
    """Its URL was corrected meanwhile; the next `local up` looks whether it left."""
    cluster.up(home, 2, etcd36)
    correct_url(home, "m1")
    killed_at(tool_of, home, "leave", Point("before Status", act="kill"), "m1", "--accept-reduced-tolerance")
    assert home.load().member("m1").phase == "leaving"
    cluster.up(home)
    assert roles(home) == {"m1": "voter", "m2": "voter"}
    assert runs(home, "m1") and home.layout.member("m1").has_data
    assert ctl(home, "put", "a", "b").returncode == 0


def test_d2_a_join_that_was_cut_off_before_somebody_else_promoted_it_comes_up_with_the_others(
    home: Home, etcd36: str, tool_of: list[Tool]
) -> None:
    cluster.up(home, 1, etcd36)
    killed_at(tool_of, home, "join", Point("learner Status", act="kill"))
    until(lambda: ctl(home, "member", "promote", row_of(home, "true")).returncode == 0, 15)
    must(home, "put", "a", "b")
    cluster.down(home)
    cluster.up(home)
    assert roles(home) == {"m1": "voter", "m2": "voter"}
    assert "b" in must(home, "get", "a")
    assert {member.name: member.phase != "joining" for member in home.load().members} == {"m1": True, "m2": True}
