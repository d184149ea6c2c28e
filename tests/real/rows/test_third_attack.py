"""What a third attack found: J1 to J3 (replacements), J7 (whose an unanswered add is), J8 (a watch longer than the lock)."""

from __future__ import annotations

import time

import pytest

from real.rows.harness import Lab, Point, endpoints

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
REFUSED, UNKNOWN = 4, 5


@pytest.mark.parametrize("more", [["--dry-run"], []], ids=["dry run", "real run"])
def test_j1_a_voter_takes_nobodys_place(lab: Lab, more: list[str]) -> None:
    """A loop of replacements that forgot to change NEW."""
    a, b, c = members = lab.voters("a", "b", "c")
    lab.lead(a, members)
    done = lab.quorate("etcd", "replace", "c", "b", f"--peer-urls={b.peer_url}", endpoints(*members), *more).end()
    assert done.code == REFUSED and "is a voter already" in done.error["message"], done
    lab.sound(a, {"a", "b", "c"})
    assert c.alive


@pytest.mark.chaos
def test_j2_a_replacement_has_no_standing_consent(lab: Lab) -> None:
    a, _, _ = members = lab.voters("a", "b", "c")
    lab.lead(a, members)
    joiner = lab.etcd("d")
    time.sleep(5.2)
    tool = lab.add(joiner, members, verb="replace c", points=[Point("after MemberPromote")])
    tool.wait_stopped()
    lab.must(a, "member", "remove", lab.id_of(a, "b"))
    tool.go_on()
    done = tool.end(120)
    assert done.code == REFUSED, done
    lab.sound(a, {"a", "c", "d"})


@pytest.mark.chaos
def test_j3_who_is_replaced_leaves_when_the_new_one_serves(lab: Lab) -> None:
    a, _, c = members = lab.voters("a", "b", "c")
    lab.lead(a, members)
    joiner = lab.etcd("d")
    time.sleep(5.2)
    tool = lab.add(joiner, members, verb="replace c", points=[Point("before LeaseRevoke")])
    tool.wait_stopped()
    joiner.kill()
    tool.go_on()
    done = tool.end(150)
    assert done.code == REFUSED and "follows a leader" in done.error["message"], done
    assert lab.roles(a) == dict.fromkeys("abcd", "voter")
    assert c.alive and lab.writes(a)


@pytest.mark.chaos
def test_j7_a_learner_of_a_lost_answer_is_not_called_somebody_elses(lab: Lab) -> None:
    """The leader hung with the add in its socket, and made the member in a second that is nobody's."""
    a, _, _ = members = lab.voters("a", "b", "c")
    lab.lead(a, members)
    joiner = lab.etcd("d")
    tool = lab.add_elsewhere(joiner, members, points=[Point("before MemberAdd")])
    tool.wait_stopped()
    a.pause()
    tool.go_on()
    time.sleep(4.0)
    tool.kill()
    a.go_on()
    done = lab.add_elsewhere(joiner, members, "--start=false").end(120)
    listed = [row for row in lab.members(a) if row.peer_urls == (joiner.peer_url,)]
    if listed:
        assert "was registered by another tool" not in done.err, done
    assert done.code != 0


@pytest.mark.chaos
def test_j8_a_dead_voter_may_be_watched_for_longer_than_the_lock_lives(lab: Lab) -> None:
    a, _, c = members = lab.voters("a", "b", "c")
    lab.lead(a, members)
    c.kill()
    done = lab.quorate("etcd", "remove", "c", endpoints(*members), "--absence=25s", "--timeout=120").end(120)
    assert done.code == 0, done
    lab.sound(a, {"a", "b"})
