"""What we leave on disk and in etcd has a format number: of a newer one nothing is resumed, removed or written over."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate import journal
from quorate.core.membership import Member
from quorate.errors import HostError, PreflightFailed, Refused
from quorate.etcd.client import kv
from quorate.etcd.client.kv import KeyValue
from quorate.etcd.coordination import learner_seat
from quorate.etcd.coordination.join_record import SeatRequest, describe, memory_for
from quorate.etcd.coordination.replacements import Replacements
from quorate.etcd.keys import join_key, replacement_key
from quorate.foreign.values import is_newer
from quorate.host import process_record
from quorate.journal import Journal, Record
from quorate.phases.base.this_node import HERE
from quorate.phases.node import run_marker
from quorate.tree import RealTree
from unit.fakes import FakeAccess, FakeClock, cluster, where
from unit.views import CLUSTER

URL = "http://127.0.0.1:2380"
REQUEST = SeatRequest("run", "m2", URL, 7)
LEARNER = Member(0xB, "m2", (URL,), (), is_learner=True)


@pytest.mark.parametrize(
    ("fields", "newer"),
    [
        ({}, False),
        ({"format": 1}, False),
        ({"format": 2}, True),
        ({"format": "1"}, True),
        ({"format": True}, True),
        ({"format": -1}, True),
    ],
)
def test_what_counts_as_newer(fields: dict[str, object], newer: bool) -> None:
    assert is_newer(fields, 1) is newer


def row(**changed: object) -> KeyValue:
    written = json.loads(describe(REQUEST)) | {"memberId": "b", "ours": True, "listed": True} | changed
    return KeyValue(b"/quorate/joins/x", json.dumps(written).encode(), 1, 1, 0)


def test_a_record_of_this_format_says_whose_the_learner_is() -> None:
    memory = memory_for(row(), REQUEST, LEARNER)
    assert memory is not None and memory.ours and memory.vote == "none"


def test_a_record_of_a_newer_format_makes_a_learner_nobodys_to_remove() -> None:
    memory = memory_for(row(format=2), REQUEST, LEARNER)
    assert memory is not None and memory.member_id == 0xB and not memory.ours and memory.may_vote
    assert memory_for(row(format=2), REQUEST, None) is None


@pytest.fixture
def access() -> Iterator[FakeAccess]:
    with FakeAccess(cluster(1)) as found:
        yield found


def put(access: FakeAccess, key: bytes, **fields: object) -> bytes:
    value = json.dumps({"format": 2, "run": "theirs", "newField": "precious", **fields}).encode()
    kv.put(access.channel(where(1)), key, value, timeout=1)
    return value


def kept(access: FakeAccess, key: bytes) -> bytes:
    found = kv.get(access.channel(where(1)), key, timeout=1)
    assert found is not None
    return found.value


def test_a_record_of_a_newer_join_is_neither_resumed_nor_written_over_nor_deleted(access: FakeAccess) -> None:
    """The same add, run by an older tool, wrote its own record over it and lost whose learner it was."""
    value = put(access, join_key(URL))
    queue = learner_seat._Queue(access, [where(1)], REQUEST, FakeClock(), lambda _event: None)
    with pytest.raises(Refused, match="a newer version of quorate has recorded a join"):
        learner_seat._take_up(queue, LEARNER)
    learner_seat.forget_record(access, [where(1)], URL, FakeClock())
    assert kept(access, join_key(URL)) == value


def test_a_record_of_a_newer_replacement_ends_this_one(access: FakeAccess) -> None:
    value = put(access, replacement_key(URL))
    records = Replacements(access, [where(1)], FakeClock(), CLUSTER, URL)
    with pytest.raises(Refused, match="a newer version of quorate"):
        records.is_about("m1")
    with pytest.raises(Refused, match="a newer version of quorate"):
        records.began(LEARNER, "m1", 1)
    assert kept(access, replacement_key(URL)) == value


def newer_line() -> bytes:
    body = json.dumps({"format": 2, "kind": "intent", "at": 1.0}).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def test_a_record_of_a_newer_journal_is_not_read_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(newer_line())
    book = Journal(path)
    book.write(Record("intent", 2.0, {"do": "promote"}))
    book.close()
    assert path.read_bytes().startswith(newer_line())
    assert journal.read(path) == [Record("intent", 2.0, {"do": "promote"})]


def test_a_run_that_a_newer_version_began_is_not_resumed(tmp_path: Path) -> None:
    tree = RealTree(tmp_path)
    tree.write(run_marker.PATH, b'{"format": 2, "command": "join"}', mode=0o600)
    with pytest.raises(PreflightFailed, match="newer quorate"):
        run_marker._read(tree, HERE)


def test_a_process_that_a_newer_version_recorded_is_not_called_gone(tmp_path: Path) -> None:
    path = tmp_path / "process.json"
    path.write_text('{"format": 2}')
    path.chmod(0o600)
    with pytest.raises(HostError, match="newer quorate"):
        process_record.read(path)
