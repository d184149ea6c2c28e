"""Two runs for one data directory, and an undo that was killed: nothing of a voter is deleted."""

from __future__ import annotations

import pytest

from real.rows.harness import Lab, Point

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


def test_the_same_command_waits_for_the_undo_of_the_first(lab: Lab) -> None:
    """A wrong flag, corrected and run again while the first run stood in its undo: that one deleted the data of the voter."""
    a, b = lab.voters("a", "b")
    joiner = lab.etcd("d")
    first = lab.add(joiner, [a, b], "--etcd-arg=no-such-flag=1", points=[Point("after MemberRemove")])
    first.wait_stopped()
    done = lab.add(joiner, [a, b]).end()
    assert done.code == 4 and f"works on the member in {joiner.data}" in done.err, done
    first.go_on()
    assert first.end().code == 1
    done = lab.add(joiner, [a, b]).end()
    assert done.code == 0, done
    lab.sound(a, {"a", "b", "d"})
    assert [path.name for path in joiner.data.parent.iterdir() if path.name.endswith(".lock")] == []


def test_what_an_undo_that_was_killed_has_left_is_not_deleted_by_the_next_run(lab: Lab) -> None:
    """Its learner is off the list, and its data is here. No record tells that from the last copy of what a cluster has
    acknowledged: after a restore of a snapshot, that was deleted."""
    (a,) = lab.voters("a")
    joiner = lab.etcd("d")
    tool = lab.add(joiner, [a], points=[Point("learner Status"), Point("after MemberRemove", act="kill")])
    tool.wait_stopped()
    tool.interrupt()
    tool.go_on()
    assert tool.end().code == 137
    done = lab.add(joiner, [a]).end()
    assert done.code == 2 and "is not empty" in done.err and (joiner.data / "member").is_dir(), done
    assert set(lab.roles(a)) == {"a"}
