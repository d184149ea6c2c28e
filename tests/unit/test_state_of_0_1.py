"""What version 0.1 left behind: records in etcd, journals, a local cluster's state file."""

from __future__ import annotations

import json
from pathlib import Path

from quorate import journal
from quorate.core.ids import format_id
from quorate.core.join_memory import JoinMemory, remember
from quorate.core.membership import Member
from quorate.etcd.client.kv import KeyValue
from quorate.etcd.coordination.join_record import SeatRequest, memory_for, who
from quorate.local import state

REQUEST = SeatRequest("run", "m9", "https://10.0.0.9:2380", 0xC1)
LEARNER = Member(0xABC, "", ("https://10.0.0.9:2380",), is_learner=True)


def record(**more: object) -> KeyValue:
    """As 0.1 wrote it: known by its URL, without a member id."""
    fields = {
        "run": "89ab", "name": "m9", "peerURL": "https://10.0.0.9:2380", "clusterId": format_id(0xC1), "host": "h", "pid": 7,
        **more,
    }  # fmt: skip
    return KeyValue(b"/quorate/joins/x", json.dumps(fields).encode(), 1, 1, 0)


def test_a_record_of_0_1_makes_no_learner_ours() -> None:
    """At that URL there may be somebody else's learner by now. It is used and finished, and never removed."""
    memory = memory_for(record(), REQUEST, LEARNER)
    assert memory == JoinMemory(member_id=0xABC, listed=True)


def test_a_record_of_0_1_still_tells_of_a_promotion_and_a_restart() -> None:
    memory = memory_for(record(promoting=True, restarted=True), REQUEST, LEARNER)
    assert memory is not None and memory.vote == "asked" and memory.restarted and not memory.ours


def test_a_place_of_0_1_in_the_queue_is_named() -> None:
    assert who(record()) == "the join of 'm9' from h (pid 7)"


def test_a_journal_of_0_1_is_read_and_changes_no_memory(tmp_path: Path) -> None:
    book = journal.Journal(tmp_path / "journal")
    fields: dict[str, object] = {"do": "add-learner", "name": "m9", "peer_urls": ["https://10.0.0.9:2380"]}
    book.write(journal.Record("intent", 1.0, fields))
    book.write(journal.Record("outcome", 2.0, {**fields, "result": "carried", "member": "abc"}))
    book.close()
    (_, outcome) = journal.read(tmp_path / "journal")
    assert remember(JoinMemory(), outcome.kind, outcome.fields) == JoinMemory()


def test_a_cluster_of_0_1_is_loaded_and_its_cut_off_join_counts_as_one_that_may_have_a_vote(tmp_path: Path) -> None:
    member = {"name": "m2", "peer_port": 15003, "client_port": 15004, "etcd": "/bin/etcd", "phase": "joining"}
    rows = [{**member, "restarted": True, "promotion_unknown": True}]
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps({"format": 1, "token": "t", "max_learners": 1, "cluster_id": 5, "members": rows}))
    saved = state.load(path)
    assert saved is not None
    memory = saved.member("m2").memory
    assert memory.may_vote and memory.restarted and not memory.ours
    learned = saved.member("m2").remembering(JoinMemory(member_id=9, ours=True, vote="given"))
    assert learned.memory.member_id == 9 and learned.memory.vote == "given"
    state.save(path, saved.with_member(learned))
    again = state.load(path)
    assert again is not None and again.member("m2").memory.member_id == 9
