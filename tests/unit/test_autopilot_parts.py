"""The parts of the autopilot that need no cluster: its memory, its policy as a document, and its records."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.autopilot.orders import say_shortened
from quorate.cli.autopilot.seen import Seen, by_who_acts, nobody_counts
from quorate.cli.autopilot.shown import _acting
from quorate.config.policy_document import changes, document_of, read_policy, recorded_policy
from quorate.config.problems import InvalidConfig
from quorate.core.absence import MOST_BETWEEN_LOOKS
from quorate.core.autopilot.case import Memory, Page, Rule, Wait
from quorate.core.autopilot.policy import Policy
from quorate.core.autopilot.sight import Sight, Silence, sight_after, with_earlier
from quorate.core.decide_autopilot import decide_autopilot, explained, learners_to_prove
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.errors import ConfigError, Refused
from quorate.etcd.autopilot.last_word import Decided
from quorate.etcd.autopilot.loop import Round, default_policy
from quorate.etcd.client import auth
from quorate.etcd.client.kv import KeyValue
from quorate.etcd.coordination import autopilot_records as records
from quorate.etcd.coordination.autopilot_records import Instance, Order, Orders, orders_of
from quorate.etcd.coordination.this_run import Origin
from unit.test_decide_autopilot import NOW, STANDBY, lost, seen
from unit.views import CLUSTER, member, view

FAST = Policy(after=60.0)


def looks(count: int, *, silent: tuple[int, ...] = (3,), every: float = 1.0, received: float | None = 5.0) -> Sight:
    """The memory after so many looks at three voters, of which the silent ones were heard of so much by the others."""
    sight = Sight()
    for number in range(count):
        heard = {one: ({1: received, 2: received} if received is not None else None) for one in silent}
        sight = sight_after(sight, at(number * every, silent), heard, FAST)
    return sight


def at(moment: float, silent: tuple[int, ...] = ()) -> ClusterView:
    return replace(seen(3, STANDBY, silent=silent), taken_at=moment)


def test_a_voter_is_lost_after_looks_for_the_time_of_the_policy() -> None:
    assert looks(60).absences() == {} and looks(61).silent_since == {3: 0.0}
    proof = looks(61).absences()[3]
    assert proof.seconds >= 60 and proof.looks >= 20, "MOST_BETWEEN_LOOKS makes it at least 24 in a minute"


def test_a_sign_of_life_begins_the_count_anew() -> None:
    sight = looks(61)
    again = sight_after(sight, at(61), {}, FAST)
    assert again.absences() == {} and again.silent_since == {}
    heard = sight_after(sight, at(61, (3,)), {3: {1: 5.0, 2: 6.0}}, FAST)
    assert heard.absences() == {} and heard.silent_since == {}, "another voter hears it: only we do not"


def test_without_the_counters_of_the_others_nothing_is_proved() -> None:
    assert looks(200, received=None).absences() == {} and looks(200, received=None).silent_since == {3: 0.0}


def test_an_observer_that_was_suspended_begins_anew() -> None:
    sight = looks(61)
    after = sight_after(sight, at(61 + MOST_BETWEEN_LOOKS + 1, (3,)), {3: {1: 5.0, 2: 5.0}}, FAST)
    assert after.absences() == {} and after.aligned_since == {9: 61 + MOST_BETWEEN_LOOKS + 1}
    assert after.silent_since == {3: 0.0}, "nobody has received anything from it: it was silent all the time"


def test_a_voter_that_lived_in_a_gap_fell_silent_behind_it() -> None:
    """With another one, perhaps: taken for one that was lost long before, it was replaced, and the brake passed."""
    end = 61 + MOST_BETWEEN_LOOKS + 1
    for received in ({1: 5.0, 2: 6.0}, {1: 0.0, 2: 0.0}, None):
        after = sight_after(looks(61), at(end, (3,)), {3: received}, FAST)
        assert after.silent_since == {3: end}, received
    alone = sight_after(looks(61), at(end, (2, 3)), {3: {1: 5.0}, 2: {1: 9.0}}, FAST)
    assert alone.silent_since == {3: 0.0, 2: end}, "one that counted before is silent now"


def test_a_new_instance_takes_over_only_what_still_holds() -> None:
    own = looks(1)
    known = {3: Silence(300.0, {1: 5.0, 2: 5.0})}
    assert with_earlier(own, known).silent_since == {3: -300.0}
    for other in ({3: Silence(300.0, {1: 4.0, 2: 5.0})}, {3: Silence(300.0, {})}, {}):
        assert with_earlier(own, other).silent_since == {3: 0.0}, other


def test_what_was_decided_is_for_the_voters_of_the_decision() -> None:
    decided = Decided(None, seen(3, STANDBY, silent=(3,)), Orders())  # type: ignore[arg-type]
    decided.refuse_changed(seen(3, STANDBY, silent=(3,)))
    decided.refuse_changed(seen(3, STANDBY, silent=(3, 2)), unasked=(2,))
    for now, why in (
        (seen(3, STANDBY, silent=(2, 3)), "m2 is silent since"),
        (seen(3, STANDBY), "m3 answers again since"),
        (seen(2, STANDBY), "not those any more"),
        (seen(3, member(9), silent=(3,)), "not those any more"),
    ):
        with pytest.raises(Refused, match=why):
            decided.refuse_changed(now)


def test_alignment_ends_with_an_answer_that_is_missing() -> None:
    assert looks(5).aligned_since == {9: 0.0}
    assert sight_after(looks(5), at(5, (9,)), {}, FAST).aligned_since == {}


def test_a_proof_is_made_only_where_it_is_all_that_is_missing() -> None:
    lost_view = seen(3, STANDBY, silent=(2,))
    policy = Policy(standbys=1)
    assert [one.id for one in learners_to_prove(lost_view, policy, lost(2, proofs={}), NOW)] == [9]
    assert list(learners_to_prove(lost_view, policy, lost(2, proofs={}, absences={}), NOW)) == []
    assert list(learners_to_prove(seen(3, STANDBY), policy, Memory(standbys=frozenset({9})), NOW)) == []


def test_each_guard_and_rule_is_explained_by_its_name() -> None:
    names = [name for name, _ in explained(seen(3), Policy(), Memory(), NOW)]
    guards = ["paused", "policy-fight", "no-quorum", "no-list", "stale-look", "alarm", "brake"]
    assert names == [*guards, "replace", "grow", "yield-seat", "spread", "provide", "no-witness"]
    assert set(names) <= set(get_args(Rule))


def test_the_document_names_every_rule() -> None:
    """What a command prints is looked up there."""
    page = (Path(__file__).parents[2] / "docs" / "autopilot.md").read_text()
    assert [rule for rule in get_args(Rule) if f"`{rule}`" not in page] == []


# -- the policy as a document ------------------------------------------------------------------------------------------


@given(
    st.builds(
        Policy,
        voters=st.sampled_from([1, 3, 5, 7]),
        standbys=st.integers(0, 3),
        promote=st.sampled_from(["owned", "any"]),
        aligned_for=st.integers(0, 60).map(float),
        after=st.one_of(st.none(), st.integers(60, 900).map(float)),
        per=st.integers(900, 4000).map(float),
        zones=st.sampled_from([(), (("m1", "a"), ("m2", "b"))]),
    )
)
def test_a_policy_comes_back_from_its_document(policy: Policy) -> None:
    told = read_policy(json.dumps(document_of(policy)).encode(), "policy.yaml").policy
    assert recorded_policy(document_of(policy), "policy") == told
    assert told == (policy if policy.after is not None else replace(policy, per=told.per))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("votrs: 3", r"policy.yaml:1: votrs: there is no such field; did you mean voters\?"),
        ("replaceDead:\n  aftr: 1m", r"policy.yaml:2: replaceDead.aftr: there is no such field; did you mean after\?"),
        ("voters: true", "policy.yaml:1: voters: this must be a whole number"),
        ("voters: '3'", r"this must be a whole number: write it without quotes \(3\)"),
        ("voters: 3\nvoters: 5", "policy.yaml:2: voters: this key appears twice"),
        ("zones: {m1: a, m1: b}", "m1: this key appears twice"),
        ("replaceDead: {after: soon}", "replaceDead.after: 'soon' is not a duration"),
        ("voters: 4", "voters: 4 tolerate no more failures than 3"),
        ("replaceDead: {after: 59s}", "policy.yaml:1: replaceDead.after: 59 s is less than 60 s"),
        ("replaceDead: {after: 2h, budget: {per: 1h}}", "the budget would never end"),
        ("replaceDead: {brake: 1}", "would stop every replacement"),
        ("replaceDead: {budget: {day: 0}}", "to only promote, leave replaceDead out"),
        ("zones: {m1: ''}", "zones.m1: its zone is empty"),
        ("promote: owner", r"policy.yaml:1: promote: 'owner' is none of owned, any; did you mean owned\?"),
        ("- a", "is not one mapping"),
        ("", "is empty"),
    ],
)
def test_a_policy_that_cannot_hold_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        read_policy(text.encode(), "policy.yaml").refuse([])
    assert refused.value.what.startswith("policy.yaml")


def test_all_problems_of_a_policy_are_said_at_once() -> None:
    with pytest.raises(InvalidConfig) as refused:
        read_policy(b"voters: 4\nstandbys: many\nreplaceDead:\n  after: 5s\n  budget: {dya: 1}\nvoters: 5\n", "p.yaml").refuse(
            []
        )
    assert [(one.path, one.line) for one in refused.value.problems] == [
        ("standbys", 2),
        ("replaceDead.after", 4),
        ("replaceDead.budget.dya", 5),
        ("voters", 6),
    ]


def test_what_a_policy_changes_is_named_by_path() -> None:
    new = replace(FAST, standbys=1, zones=(("m1", "a"),))
    assert changes(replace(FAST, after=600.0), new) == (
        ("standbys", "0", "1"),
        ("replaceDead.after", "10m0s", "1m0s"),
        ("zones.m1", "", "a"),
    )
    assert changes(new, new) == ()


def test_durations_are_also_seconds() -> None:
    assert read_policy(b"alignedFor:\nstandbys: 1\nreplaceDead: {after: 2m, brake: }\n", "p").policy == Policy(
        standbys=1, after=120.0
    ), "what is empty has its default: no wait at all was none"
    assert read_policy(b"{alignedFor: 5, replaceDead: {after: 90.5}}", "p").policy.after == 90.5


@pytest.mark.parametrize(("voters", "wanted"), [(1, 1), (2, 3), (3, 3), (4, 5), (5, 5), (7, 7), (9, 7)])
def test_without_a_policy_the_size_is_kept(voters: int, wanted: int) -> None:
    found = default_policy(view(voters), {})
    assert (found.voters, found.standbys) == (wanted, 0) and found.problems() == []


def test_without_a_policy_the_standbys_that_are_there_are_wanted() -> None:
    """Not one whose mark is left, nor a learner of somebody's join, nor a voter that was a standby."""
    before = view(3, member(8, learner=True), STANDBY)
    assert default_policy(before, {STANDBY.id, 0xDEAD, before.voters[0].id}).standbys == 1
    assert default_policy(before, {8: "", STANDBY.id: ""}).standbys == 2
    kept = default_policy(seen(3, STANDBY), {STANDBY.id})
    found = decide_autopilot(seen(3), kept, Memory(), NOW)
    assert found.rule == "too-few-standbys", "it took the place of a lost voter, and another one is wanted"


# -- records -----------------------------------------------------------------------------------------------------------


def row(key: bytes, value: bytes, lease: int = 0) -> KeyValue:
    return KeyValue(key, value, 1, 1, lease)


def kept(**fields: object) -> bytes:
    return records.record(clusterId=f"{CLUSTER:x}", **fields)


def test_records_are_read_back() -> None:
    policy = Policy(voters=5, standbys=1)
    found = orders_of(
        [
            row(records.POLICY, records.policy_record(policy, 4, CLUSTER, 7.0)),
            row(records.PAUSE, kept(until=50.0, why="disks")),
            row(records.hold_key(3), kept(until=60.0, why="")),
            row(records.standby_key(9), kept(name="s1")),
            row(records.INSTANCE, kept(since=1.0, said={"rule": "nothing"}), lease=77),
            row(records.log_key(2.0), kept(at=2.0, did="replace")),
            row(records.log_key(1.0), kept(at=1.0, did="policy")),
        ],
        CLUSTER,
    )
    assert (found.policy, found.generation, found.troubles) == (policy, 4, ())
    assert found.pause is not None and (found.pause.until, found.pause.why) == (50.0, "disks")
    assert found.holds[3].until == 60.0 and found.standbys == {9: "s1"} and found.replaced() == (2.0,)
    assert [one.did for one in found.log] == ["policy", "replace"]
    assert found.instance is not None and (found.instance.lease, found.instance.said["rule"]) == (77, "nothing")


def test_entries_of_the_first_version_are_read_as_what_they_were() -> None:
    """It wrote `removed` of what was only begun, and of what failed."""
    gone = {"id": "2", "name": "m2"}
    log = orders_of(
        [
            row(records.log_key(1.0), kept(at=1.0, did="replace", removed=gone, promoted={"id": "9", "name": "s1"})),
            row(records.log_key(2.0), kept(at=2.0, did="failed", removed=gone, error="x")),
            row(records.log_key(3.0), kept(at=3.0, did="done", removed=gone)),
            row(records.log_key(4.0), kept(at=4.0, did="failed", removed=gone, promoting={"id": "9"}, found=None)),
        ],
        CLUSTER,
    )
    words = ("removed", "promoted", "removing", "promoting")
    found = [{word for word in words if word in one.fields} for one in log.log]
    assert found == [{"removing", "promoting"}, {"removing"}, {"removed"}, {"removed", "promoting"}]
    assert log.replaced() == (1.0,), "the budget counts what was begun, whoever wrote it"


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (records.POLICY, b"{", "is not JSON"),
        (records.POLICY, b'{"format": 2}', "a newer version of quorate wrote /quorate/autopilot/policy"),
        (records.PAUSE, b'{"format": 99}', "a newer version"),
        (records.POLICY, kept(policy={"voters": "three"}), "holds no policy"),
        (records.POLICY, kept(policy={"replaceDead": {"after": "x"}}), "is not a duration"),
        (records.HOLDS + b"me", kept(until=1), "names no member"),
    ],
)
def test_a_record_that_cannot_be_used_is_a_trouble(key: bytes, value: bytes, why: str) -> None:
    (trouble,) = orders_of([row(key, value)], CLUSTER).troubles
    assert why in trouble


@pytest.mark.parametrize("wrong", [{"brake": 0}, {"brake": -1}, {"after": "1s"}, {"budget": {"per": "0s", "day": 99}}])
def test_a_policy_that_no_file_may_have_is_none_in_a_record_either(wrong: dict[str, object]) -> None:
    """Who may write to etcd need not have asked us: a live voter was removed after 18 s, and `brake: 0` ended the daemon."""
    fields = {"voters": 3, "replaceDead": {"after": "10m", **wrong}}
    value = records.record(policy=fields, clusterId=format_id(CLUSTER), generation=1)
    found = records.orders_of([KeyValue(records.POLICY, value, 1, 1, 0)], CLUSTER)
    assert found.policy is None and "holds no policy" in found.troubles[0]


def test_a_number_that_is_no_float_is_none() -> None:
    value = f'{{"format": 1, "clusterId": "{format_id(CLUSTER)}", "until": {10**400}}}'.encode()
    found = records.orders_of([KeyValue(records.PAUSE, value, 1, 1, 0)], CLUSTER)
    assert found.troubles or (found.pause is not None and found.pause.until == math.inf)


def test_records_of_another_cluster_are_void() -> None:
    """A restored snapshot revives those of its past."""
    value = records.record(clusterId="beef", until=None, why="")
    assert orders_of([row(records.PAUSE, value), row(records.standby_key(9), value)], CLUSTER) == Orders()


@pytest.mark.parametrize("until", [None, "soon", True, math.nan])
def test_an_order_without_an_end_holds_until_it_is_revoked(until: object) -> None:
    value = kept(until=until) if not (isinstance(until, float) and math.isnan(until)) else kept()
    pause = orders_of([row(records.PAUSE, value)], CLUSTER).pause
    assert pause is not None and pause.until == math.inf


# -- what its user may do ----------------------------------------------------------------------------------------------

ALL_OURS = auth.Range(b"/quorate/", b"/quorate0")


@pytest.mark.parametrize(
    ("rows", "whole"),
    [
        ([], False),
        ([(b"/quorate/", b"/quorate0")], True),
        ([(b"\0", b"\0")], True),
        ([(b"/", b"0")], True),
        ([(b"/quorate/", b"/quorate/m")], False),
        ([(b"/quorate/m", b"/quorate0"), (b"/quorate/", b"/quorate/n")], True),
        ([(b"/quorate/n", b"/quorate0"), (b"/quorate/", b"/quorate/m")], False),
        ([(b"/quorate/", b"")], False),
        ([(b"/quorate/autopilot/", b"/quorate/autopilot0")], False),
    ],
)
def test_ranges_of_a_user_hold_all_keys_or_not(rows: list[tuple[bytes, bytes]], whole: bool) -> None:
    assert auth.covers(tuple(auth.Range(*row) for row in rows), ALL_OURS) is whole


# -- words for the instance that acts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (NOW - 7.0, "cp1 (pid 5); 7 s ago: quiet"),
        (NOW + 1.0, "cp1 (pid 5); 0 s ago: quiet"),
        (NOW + 90.0, "by the clock of cp1, which is at least 90 s ahead of this host's (compare both: timedatectl)"),
        (NOW - 645.0, "by the clock of cp1, which is at least 600 s behind this host's (compare both: timedatectl)"),
        (10**400, "by the clock of cp1"),
    ],
)
def test_a_clock_of_another_host_is_named_where_it_differs(at: float, words: str) -> None:
    """It said "-90 s ago". The key of an instance is leased: its word cannot be old."""
    instance = Instance(Origin("cp1", 5), 1, NOW, {"at": at, "rule": "quiet", "why": "all is well"})
    assert words in _acting(Seen(Round(Wait("nothing", ""), orders=Orders(instance=instance)), NOW), None)


@pytest.mark.parametrize("key", [records.POLICY, records.PAUSE, records.hold_key(7)])
def test_an_order_that_somebody_wrote_by_hand_is_not_taken_for_none(key: bytes) -> None:
    """A policy of `{"voters": 4}` was not followed, and 'none is set' was all that was said."""
    for value in (b'{"voters": 4}', b"{}"):
        (trouble,) = orders_of([KeyValue(key, value, 5, 5, 0)], CLUSTER).troubles
        assert "names no cluster" in trouble and f"etcdctl del {key.decode()}" in trouble
    of_another = records.record(clusterId=format_id(CLUSTER ^ 1), policy={})
    assert orders_of([KeyValue(key, of_another, 5, 5, 0)], CLUSTER).troubles == (), "as a restored snapshot has it"


def test_a_command_says_of_a_silent_voter_what_the_instance_that_acts_does() -> None:
    silent = Wait("silent", "m2 has been silent for 300 s; that it is lost is not proved by looks from here")
    said = {"decision": "page", "rule": "budget", "why": "a replacement was begun 5 s ago"}
    acting = Instance(Origin(host="h", pid=1), 1, 0.0, said)
    assert by_who_acts(silent, acting, 3.0) == Page("budget", "a replacement was begun 5 s ago")
    assert by_who_acts(silent, acting, 300.0) == silent == by_who_acts(silent, replace(acting, said={}), 3.0)
    assert by_who_acts(Wait("paused", "x"), acting, 3.0) == Wait("paused", "x"), "the orders of now are known here"
    alone = nobody_counts(Round(silent)).next
    assert isinstance(alone, Page) and "no instance acts" in alone.why


def test_an_order_that_shortens_another_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    before = Order(2000.0, "new disk", Origin("h", 1))
    for earlier, until in ((before, 3000.0), (None, 1000.0)):
        say_shortened("held", earlier, until)
    assert capsys.readouterr().out == ""
    say_shortened("held", before, 1000.0)
    assert "it was held until 1970-01-01 00:33:20 UTC (new disk): that is shortened" in capsys.readouterr().out
