"""What an instance of the autopilot takes over from the one before, on real etcd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MakeHome

from quorate.core.autopilot.policy import Policy
from quorate.deadline import SystemClock
from quorate.etcd.autopilot.loop import Autopilot
from quorate.etcd.client import kv
from quorate.etcd.cluster import Cluster
from quorate.etcd.coordination import autopilot_records as records
from quorate.etcd.coordination.autopilot_records import Orders
from quorate.etcd.coordination.autopilot_store import AutopilotStore
from quorate.host.standby_program import StandbyProgram
from quorate.local import cluster as local
from quorate.local.home import Home
from real.test_autopilot import FAST, piloted, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@pytest.mark.parametrize("known", [True, False])
def test_losses_that_another_instance_saw_apart_are_not_together(make_home: MakeHome, etcd36: str, known: bool) -> None:
    """Without that, a daemon that was restarted took a voter lost yesterday and one lost now for a fault of the network."""
    home = make_home()
    local.up(home, 5, etcd36)
    policy = replace(FAST, voters=5)
    with piloted(home, policy) as pilot:
        local.kill(home, "m2")
        found = until(pilot, lambda one: one.next.rule == "no-standby" and max(one.silent_seconds().values()) > 2 * FAST.window)
        assert pilot._key is not None
        if known:
            # As it does every fifteen seconds.
            pilot._key.store.say_silent(pilot.observer.silences(found.silent_seconds()))
        else:
            pilot._key.store._ask(lambda channel, seconds: kv.delete(channel, records.SILENT, timeout=seconds))
    local.kill(home, "m3")
    with piloted(home, policy) as after:
        until(after, lambda one: one.next.rule == ("no-standby" if known else "brake"))


@contextmanager
def providing(home: Home, program: Path) -> Iterator[Autopilot]:
    with home.access() as access:
        cluster = Cluster(access, home.seeds(), home.clock, home.report)
        yield Autopilot(cluster, policy=Policy(voters=1, standbys=1), maker=StandbyProgram(program, SystemClock(), 30.0))


def test_a_program_of_an_instance_that_was_killed_is_not_started_twice(
    make_home: MakeHome, etcd36: str, tmp_path: Path
) -> None:
    home, program, began = make_home(), tmp_path / "make", tmp_path / "began"
    local.up(home, 1, etcd36)
    program.write_text(f"#!/bin/sh\necho x >> {began}\nexec sleep 600\n")
    program.chmod(0o700)
    with providing(home, program) as killed, providing(home, program) as second:
        until(killed, lambda one: one.next.rule == "provide")
        assert killed._key is not None and killed.maker is not None
        # Killed, it frees nothing: its key runs out, its program runs on.
        killed._key.leave()
        waits = until(second, lambda one: one.acts)
        assert waits.next.rule == "provide" and "is at work" in waits.next.why
        assert second.round().next == waits.next and began.read_text() == "x\n"
        killed.maker.end()  # type: ignore[attr-defined]
        killed.leave()
        until(second, lambda one: not one.failed and began.read_text() == "x\nx\n")
        second.maker.end()  # type: ignore[union-attr]
        second.leave()


def test_a_key_without_its_lease_is_nobodys(make_home: MakeHome, etcd36: str) -> None:
    """As a copy of it from another cluster, or one put by hand: no instance acted ever again."""
    home = make_home()
    local.up(home, 1, etcd36)
    with piloted(home, replace(FAST, voters=1)) as pilot:
        pilot.round()
        assert pilot._key is not None
        pilot._key.leave()
        store = pilot._key.store
        store._put(records.INSTANCE, records.record(clusterId=f"{store.cluster_id:x}", since=1.0, said={}))
        assert until(pilot, lambda one: one.acts).orders


def test_two_policies_at_once_have_a_number_each(make_home: MakeHome, etcd36: str) -> None:
    """The second one said what it changed of a policy that was no longer there, under the first one's number."""
    home, own, other = make_home(), Policy(voters=3), Policy(voters=5)
    local.up(home, 1, etcd36)
    with home.access() as access:
        store = AutopilotStore(access, home.seeds(), home.clock, home.look().cluster_id)

        def meanwhile(_orders: Orders) -> Policy:
            assert store.set_policy(other, lambda _: own)[0] == 1
            return own

        generation, changed = store.set_policy(own, meanwhile)
        assert (generation, [path for path, _, _ in changed]) == (2, ["voters"])
        found = store.read()
        assert (found.policy, found.generation) == (own, 2)
        assert [entry.fields["generation"] for entry in found.log] == [1, 2]
