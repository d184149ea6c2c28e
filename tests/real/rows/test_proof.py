"""Rows H1, H2, Q1: what proved a learner aligned is not used after anything that may have taken time."""

from __future__ import annotations

import time

import pytest

from real.rows.harness import EndedError, Lab, Point

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
LONGER_THAN_A_PROOF = 2.5
INTENT = Point("written intent promote")


def pause_and_kill(lab: Lab, point: Point, seconds: float) -> None:
    """The tool stands still at `point`; meanwhile its learner dies."""
    (voter,) = lab.voters("a")
    lab.fill(voter)
    joiner = lab.etcd("d")
    tool = lab.add_elsewhere(joiner, [voter], "--timeout=3", points=[point])
    try:
        tool.wait_stopped()
    except EndedError:
        # A run that needed fewer steps; it is judged like the others.
        lab.sound(voter, {"a"}, {"a", "d"})
        return
    promoted = tool.count("before MemberPromote") > 0
    joiner.kill()
    time.sleep(seconds)
    tool.go_on()
    tool.end()
    if not promoted:
        lab.sound(voter, {"a"}, {"a", "d"})


def test_h2_a_learner_that_died_while_the_tool_stood_still_is_not_promoted(lab: Lab) -> None:
    pause_and_kill(lab, INTENT, LONGER_THAN_A_PROOF)


@pytest.mark.chaos
def test_h2_on_every_version(each_lab: Lab) -> None:
    pause_and_kill(each_lab, INTENT, 20.0)


@pytest.mark.chaos
@pytest.mark.parametrize("number", [*range(1, 9)])
def test_h2_at_each_answer_of_the_learner(each_lab: Lab, number: int) -> None:
    """The last of them is the one before the promotion, whichever that is in this run."""
    pause_and_kill(each_lab, Point("learner Status", number), LONGER_THAN_A_PROOF)


@pytest.mark.chaos
@pytest.mark.parametrize("event", ["after MemberAdd", "written outcome add-learner", "writing intent promote"])
def test_h2_at_the_other_records_and_changes(lab: Lab, event: str) -> None:
    pause_and_kill(lab, Point(event), LONGER_THAN_A_PROOF)


@pytest.mark.chaos
def test_h1_a_learner_that_died_is_not_promoted_by_a_record_written_through_a_hung_leader(lab: Lab) -> None:
    """The first leader hangs from the registration on; the tool goes on with the next one."""
    voters = lab.voters("a", "b", "c")
    joiner = lab.etcd("d")
    # A new etcd asks its peers one after the other, in the order of their URLs: the one that will hang is the last.
    first = max(voters, key=lambda voter: voter.peer_url)
    lab.lead(first, voters)
    others = [voter for voter in voters if voter is not first]
    tool = lab.add_elsewhere(joiner, voters, points=[Point("after MemberAdd"), INTENT])
    tool.wait_stopped()
    first.pause()
    lab.leader(*others)
    tool.go_on()
    tool.wait_stopped()
    joiner.kill()
    tool.go_on()
    tool.end()
    first.go_on()
    lab.sound(others[0], {"a", "b", "c"}, {"a", "b", "c", "d"})


@pytest.mark.chaos
def test_q1_a_leader_that_stands_still_does_not_promote_a_learner_that_died_meanwhile(each_lab: Lab) -> None:
    """It hangs before the tool has sent anything; what is sent before it does is etcd's own window."""
    (voter,) = each_lab.voters("a")
    each_lab.fill(voter)
    joiner = each_lab.etcd("d")
    tool = each_lab.add_elsewhere(joiner, [voter], points=[INTENT])
    tool.wait_stopped()
    voter.pause()
    tool.go_on()
    time.sleep(1.0)
    joiner.kill()
    time.sleep(7.0)
    voter.go_on()
    tool.end()
    each_lab.sound(voter, {"a"}, {"a", "d"})
