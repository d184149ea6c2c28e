"""The metrics of an autopilot: every promised name, right numbers, and other people's names kept in their quotes."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from quorate.core.actions import Promote
from quorate.core.autopilot.case import Act, Memory, Page, Wait
from quorate.core.autopilot.policy import Policy
from quorate.etcd.autopilot.loop import Round
from quorate.etcd.autopilot.metrics import Exporter
from quorate.etcd.coordination.autopilot_records import Orders
from unit.test_decide_autopilot import NOW, STANDBY, proof, seen
from unit.views import answer

POLICY = Policy(voters=3, standbys=1, zones=(("m1", "a"), ("m2", "a"), ("m3", "b")))
KNOWN = Memory(standbys=frozenset({9}), silent_since={2: NOW - 42.0}, waiting=("m4",))
ROUND = Round(Wait("silent", "m2 is silent"), seen(3, STANDBY, silent=(2,)), POLICY, KNOWN, Orders(), acts=True)

Samples = dict[tuple[str, tuple[str, ...]], float]


def page(*rounds: Round) -> Samples:
    exporter = Exporter("1.2.3")
    for one in rounds:
        exporter.show(one, 1700000000.0)
    families = text_string_to_metric_families(exporter.page().decode())
    return {
        (row.name, tuple(row.labels.values())): row.value
        for family in families
        for row in family.samples
    }  # fmt: skip


def test_the_numbers_are_those_of_the_round() -> None:
    found = page(ROUND)
    expected: Samples = {
        ("quorate_build_info", ("1.2.3",)): 1,
        ("quorate_cluster_margin_members", ()): 0,
        ("quorate_cluster_optimistic_margin_members", ()): 1,
        ("quorate_members", ("voter",)): 3,
        ("quorate_members", ("standby",)): 1,
        ("quorate_members", ("learner",)): 0,
        ("quorate_members_wanted", ("voter",)): 3,
        ("quorate_members_wanted", ("standby",)): 1,
        ("quorate_member_up", ("2", "m2")): 0,
        ("quorate_member_up", ("9", "m9")): 1,
        ("quorate_member_unreachable_seconds", ("2", "m2")): 42,
        ("quorate_member_unreachable_seconds", ("1", "m1")): 0,
        ("quorate_autopilot_leader", ()): 1,
        ("quorate_autopilot_paused", ()): 0,
        ("quorate_autopilot_state", ("wait",)): 1,
        ("quorate_autopilot_state", ("page",)): 0,
        ("quorate_autopilot_last_look_timestamp_seconds", ()): 1700000000.0,
        ("quorate_zone_voters", ("a",)): 2,
        ("quorate_zone_voters", ("b",)): 1,
        ("quorate_join_waiting_for_seat", ("m4",)): 1,
        ("quorate_member_info", ("9", "m9", "standby", "3.6.16", "")): 1,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_what_stops_it_is_one_series() -> None:
    paged = replace(ROUND, next=Page("brake", "x"))
    blocked = {labels for name, labels in page(paged) if name == "quorate_autopilot_blocked"}
    assert blocked == {("brake",)}
    assert ("quorate_autopilot_blocked", ("paused",)) in page(replace(ROUND, next=Wait("paused", "x")))
    assert not [1 for name, _ in page(ROUND) if name == "quorate_autopilot_blocked"]


def test_actions_and_their_time_add_up() -> None:
    grown = replace(ROUND, next=Act("grow", "x", Promote(9, "m9", proof(9))), seconds=9.0)
    lost = replace(ROUND, next=Act("replace", "x", Promote(9, "m9", proof(9))), seconds=1.5)
    found = page(grown, lost, replace(lost, failed="no"), replace(lost, acts=False))
    assert found["quorate_autopilot_actions_total", ("grow", "done")] == 1
    assert found["quorate_autopilot_actions_total", ("replace", "done")] == 1
    assert found["quorate_autopilot_actions_total", ("replace", "failed")] == 1
    assert found["quorate_autopilot_replacement_duration_seconds_bucket", ("1.0",)] == 0
    assert found["quorate_autopilot_replacement_duration_seconds_bucket", ("2.0",)] == 1
    assert found["quorate_autopilot_replacement_duration_seconds_sum", ()] == 1.5


def test_a_lag_is_as_old_as_the_first_entry_that_is_missing() -> None:
    """m3 has applied entry 100; the leader had 101 for the first time four looks ago."""

    def look(at: float, index: int) -> Round:
        whole = seen(3)
        return replace(
            ROUND, view=replace(whole, taken_at=at, replies={**whole.replies, 1: answer(1, commit=index, applied=index)})
        )

    found = page(look(NOW, 100), look(NOW + 1, 101), look(NOW + 3, 150), look(NOW + 5, 200))
    assert found["quorate_member_lag_seconds", ("3", "m3")] == 4
    assert found["quorate_member_lag_seconds", ("1", "m1")] == 0
    assert found["quorate_member_lag_entries", ("3", "m3")] == 100


def test_a_hostile_name_stays_one_label() -> None:
    """A line break in a name would add a series of its own."""
    name = 'm"2\nquorate_cluster_margin_members 9\x1b[2J\\' + "x" * 500
    whole = seen(3)
    members = tuple(replace(one, name=name) if one.id == 2 else one for one in whole.members)
    found = page(replace(ROUND, view=replace(whole, members=members)))
    assert found["quorate_cluster_margin_members", ()] == 1
    label = next(labels[1] for metric, labels in found if metric == "quorate_member_up" and labels[0] == "2")
    assert "\n" not in label and "\x1b" not in label and len(label) <= 128


def test_before_the_first_look_and_without_a_cluster_there_is_a_page() -> None:
    assert ("quorate_build_info", ("1.2.3",)) in page()
    unread = page(Round(Page("no-quorum", "x"), seen(3, STANDBY, silent=(2, 3))))
    known = {name for name, _ in unread}
    assert not known & {"quorate_members_wanted", "quorate_zone_voters", "quorate_autopilot_paused"}
    assert [labels for name, labels in unread if name == "quorate_members"] == [("voter",)]
    found = page(Round(Page("unreachable", "no member can be asked")))
    assert found["quorate_autopilot_blocked", ("unreachable",)] == 1
    assert not [name for name, _ in found if name.startswith("quorate_cluster")]
