"""The lock of a local cluster's directory, which `down --purge` deletes with the directory."""

from __future__ import annotations

import os

import pytest

from quorate.host import lock
from quorate.local import cluster
from quorate.local.home import Home
from real.rows.harness import Point, Tool, until
from real.rows.local_tools import roles, started

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


def test_an_up_that_waits_for_a_purge_makes_the_cluster_anew(home: Home, etcd36: str, tool_of: list[Tool]) -> None:
    cluster.up(home, 1, etcd36)
    purge = started(tool_of, home, [Point("deleting cluster.json")], "local", "down", "--purge")
    purge.wait_stopped()
    up = started(tool_of, home, [], "local", "up", "--etcd", etcd36)
    until(lambda: "waiting for" in (up.folder / "err").read_text(), what="it does not wait")
    purge.go_on()
    done = purge.end()
    assert done.code == 0, done
    done = up.end()
    assert done.code == 0 and roles(home) == dict.fromkeys(("m1", "m2", "m3"), "voter"), done


def test_one_that_waited_for_a_deleted_lock_does_not_work_beside_the_next_holder(
    home: Home, etcd36: str, tool_of: list[Tool]
) -> None:
    cluster.up(home, 1, etcd36)
    purge = started(tool_of, home, [Point("deleting cluster.json")], "local", "down", "--purge")
    purge.wait_stopped()
    waiting = started(tool_of, home, [], "local", "up", "--members", "1", "--etcd", etcd36)
    until(lambda: "waiting for" in (waiting.folder / "err").read_text(), what="it does not wait")
    waiting.stop()
    purge.go_on()
    assert purge.end().code == 0
    holder = started(tool_of, home, [Point("renaming cluster.json")], "local", "up", "--members", "1", "--etcd", etcd36)
    holder.wait_stopped()
    waiting.go_on()
    until(lambda: f"(pid {holder.process.pid})" in (waiting.folder / "err").read_text(), what="it waits for nobody")
    assert not home.layout.state.exists()
    holder.go_on()
    assert [holder.end().code, waiting.end().code] == [0, 0]
    assert roles(home) == {"m1": "voter"} and lock.was_held(home.layout.lock)


def test_a_pipe_in_the_place_of_the_lock_makes_no_command_wait(home: Home, etcd36: str, tool_of: list[Tool]) -> None:
    home.layout.root.mkdir()
    os.mkfifo(home.layout.lock)
    for verb in ("up", "down"):
        done = started(tool_of, home, [], "local", verb).end(20)
        assert done.code == 3 and "contains 'lock'" in done.err, done
    assert [entry.name for entry in home.layout.root.iterdir()] == ["lock"]
