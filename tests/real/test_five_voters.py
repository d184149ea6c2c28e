"""Five voters, of which one has died: that the others are linked to each other has to be seen too, and that takes time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeHome, RunCli

from quorate.local import cluster as local
from quorate.local.home import Home
from quorate.local.standby import join_as_standby
from real.machines import flags_of
from real.test_autopilot import FAST, piloted, roles, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


@pytest.fixture
def five(make_home: MakeHome, any_etcd: str) -> Home:
    home = make_home()
    local.up(home, 5, any_etcd)
    return home


def test_a_dead_voter_of_five_is_removed(five: Home, cli: RunCli) -> None:
    local.kill(five, "m5")
    done = cli("etcd", "remove", "m5", *flags_of(five), "-o", "json")
    assert done.returncode == 0, done.stderr
    assert set(roles(five)) == {"m1", "m2", "m3", "m4"}


def test_a_dead_voter_of_five_is_replaced_at_the_first_try(five: Home, any_etcd: str) -> None:
    join_as_standby(five, "s1", any_etcd, occupy_the_seat=True)
    with piloted(five, replace(FAST, voters=5)) as pilot:
        assert pilot.round().next.rule == "nothing"
        local.kill(five, "m5")
        done = until(pilot, lambda one: one.next.rule == "replace" and one.acts, 40)
        assert not done.failed
    assert roles(five) == dict.fromkeys(("m1", "m2", "m3", "m4", "s1"), "voter")
