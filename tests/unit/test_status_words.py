"""What a status says of members and of the quorum does not contradict itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quorate.cli.common.cluster_output import health_words, print_status, role, verdict_of
from quorate.core.decide_converge import ConvergeGoal, Wanted, decide_converge
from quorate.core.membership import NoResponse, starting_advice
from quorate.etcd.membership.first_step import no_quorum
from unit.views import answer, url, view


def test_a_leader_that_lost_its_quorum_is_not_shown_as_a_healthy_leader() -> None:
    """For up to two election timeouts it reports itself as leader, and nothing else is known of it."""
    alone = replace(view(2, answers={1: answer(1)}), read_by=frozenset[int](), linearizable=False)
    assert alone.leader is not None and alone.reachable_voters == 0
    first, _ = alone.members
    assert role(first, alone) == "voter" and health_words(first, alone) == "answers, but cannot reach a quorum"
    assert "0 follow a leader" in verdict_of(alone).counts and "no quorum" in verdict_of(alone).text


def test_a_leader_that_is_followed_is_one_also_where_it_does_not_answer_us() -> None:
    seen = replace(view(3, answers={2: answer(2), 3: answer(3)}), read_by=frozenset({2, 3}))
    assert [role(member, seen) for member in seen.members] == ["leader", "voter", "voter"]
    assert [health_words(member, seen) for member in seen.members][1:] == ["healthy", "healthy"]


def test_who_is_down_is_named_where_a_quorum_is_missing() -> None:
    seen = replace(view(3, answers={1: answer(1)}), read_by=frozenset[int](), linearizable=False)
    assert no_quorum(seen).advice == "start the members that are down (m2, m3), then run the same command again"
    decision = decide_converge(seen, ConvergeGoal((Wanted("m1", url(1)),)))
    assert getattr(decision, "advice", "") == "start the members that are down (m2, m3) first"
    assert starting_advice(view(3)) == "wait for the election"


def test_why_a_member_does_not_answer_stands_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe each row is one line: one paused member made all of them two hundred columns wide."""
    reason = "cannot connect: the port is open, but etcd does not answer: it may be starting, hang, or have no quorum"
    seen = view(3, answers={1: answer(1), 2: answer(2)})
    print_status(replace(seen, replies={**seen.replies, 3: NoResponse(reason)}))
    table, below = capsys.readouterr().out.split("m3: no answer: ")
    assert below.startswith(reason) and max(map(len, table.splitlines())) < 80 and " no answer" in table
