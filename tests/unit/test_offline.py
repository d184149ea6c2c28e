"""Files of etcd that are wrong on purpose: circles, lengths that lie, logs of two members. None is followed, each is named."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import ConfigError
from quorate.foreign.protobuf import NoMessage, all_numbers, encoded_bytes, encoded_number, fields, numbers_and_bytes
from quorate.host.etcd_identity import UNREADABLE, member_owner
from quorate.offline.bolt import Bolt, Damaged, _fnv1a
from quorate.offline.crc32c import crc32c
from quorate.offline.keys import walk
from quorate.offline.look import look
from quorate.offline.members_seen import Configuration, configurations
from quorate.offline.wal import Entry, read_log

PAGE = 4096
LEAF, BRANCH = 2, 1


def meta(root: int, pages: int, transaction: int = 1, *, page_size: int = PAGE) -> bytes:
    body = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, page_size, 0, root, 0, 2, pages, transaction)
    return struct.pack("<QHHI", 0, 4, 0, 0) + body + struct.pack("<Q", _fnv1a(body))


def leaf(number: int, rows: list[tuple[bytes, bytes, int]]) -> bytes:
    """A leaf page: keys, values, and 1 for a bucket."""
    elements, content = b"", b""
    for position, (key, value, flags) in enumerate(rows):
        offset = 16 * (len(rows) - position) + len(content)
        elements += struct.pack("<IIII", flags, offset, len(key), len(value))
        content += key + value
    return (struct.pack("<QHHI", number, LEAF, len(rows), 0) + elements + content).ljust(PAGE, b"\0")


def branch(number: int, children: list[int]) -> bytes:
    elements = b"".join(struct.pack("<IIQ", 0, 0, child) for child in children)
    return (struct.pack("<QHHI", number, BRANCH, len(children), 0) + elements).ljust(PAGE, b"\0")


def file_of(*pages: bytes, root: int = 2) -> bytes:
    heads = [meta(root, len(pages) + 2, number).ljust(PAGE, b"\0") for number in (1, 2)]
    return b"".join([*heads, *pages])


def bucket(root: int) -> bytes:
    return struct.pack("<QQ", root, 0)


def test_a_bucket_is_read_in_its_order_also_one_that_stands_in_its_row() -> None:
    inline = bucket(0) + leaf(0, [(b"a", b"1", 0)]).rstrip(b"\0")
    found = Bolt(
        "f",
        file_of(
            leaf(2, [(b"k", bucket(3), 1), (b"small", inline, 1), (b"x", b"y", 0)]), leaf(3, [(b"1", b"a", 0), (b"2", b"", 0)])
        ),
    )
    assert [(key, bytes(value)) for key, value in found.bucket(b"k")] == [(b"1", b"a"), (b"2", b"")]
    assert [key for key, _ in found.bucket(b"small")] == [b"a"]
    assert (found.last_key(b"k"), found.last_key(b"small"), found.last_key(b"none")) == (b"2", b"a", None)
    assert found.buckets() == [b"k", b"small"] and list(found.bucket(b"none")) == []


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([branch(2, [3, 3]), leaf(3, [])], "page 3 is there twice"),
        ([branch(2, [3]), branch(3, [2])], "there twice|too deep|flags"),
        ([branch(2, [9])], "there is no page 9"),
        ([branch(2, [1])], "there is no page 1"),
        ([leaf(7, [])], "page 2 is not whole"),
        ([leaf(2, [])[:8] + b"\x20\0\xff\xff" + bytes(PAGE - 12)], "flags 0x20"),
        ([leaf(2, [])[:10] + b"\xff\xff" + bytes(PAGE - 12)], "longer than its page|too short|"),
        ([leaf(2, [(b"k", bucket(2), 1)])], ""),
        ([leaf(2, [(b"k", b"short", 1)])], "too short"),
    ],
)
def test_a_file_that_leads_in_a_circle_or_out_of_itself_is_not_followed(pages: list[bytes], why: str) -> None:
    found = Bolt("f", file_of(*pages))
    if why:
        with pytest.raises(Damaged, match=why):
            list(found.bucket(b"k"))
    else:
        # The bucket is the page that names it: what is in it is a bucket again, and no entry.
        assert list(found.bucket(b"k")) == []


def test_the_newest_head_that_is_whole_counts() -> None:
    pages = [leaf(2, [(b"old", bucket(4), 1)]), leaf(3, [(b"new", bucket(4), 1)]), leaf(4, [])]
    heads = [meta(2, 5, 1).ljust(PAGE, b"\0"), meta(3, 5, 2).ljust(PAGE, b"\0")]
    assert Bolt("f", b"".join([*heads, *pages])).buckets() == [b"new"]
    torn = heads[1][:60] + b"\1" + heads[1][61:]
    assert Bolt("f", b"".join([heads[0], torn, *pages])).buckets() == [b"old"]
    assert Bolt("f", b"".join([bytes(PAGE), heads[1], *pages])).buckets() == [b"new"], (
        "the size of a page is in the second, too"
    )
    with pytest.raises(Damaged, match="neither of its two heads"):
        Bolt("f", b"".join([bytes(PAGE), torn, *pages]))


@given(st.binary(max_size=3 * PAGE))
def test_any_bytes_are_no_error_of_ours(content: bytes) -> None:
    for whole in (content, file_of(content[:PAGE].ljust(PAGE, b"\0"))):
        try:
            walk(Bolt("f", whole))
        except Damaged:
            continue


def test_the_sum_of_a_record_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283
    assert crc32c(memoryview(b"x123456789")[1:]) == 0xE3069283 and crc32c(b"", 7) == 7


_FIELD = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(0, 1 << 63)).map(lambda pair: encoded_number(*pair)),
    st.tuples(st.integers(1, 40), st.binary(max_size=200)).map(lambda pair: encoded_bytes(*pair)),
    st.binary(max_size=12),
)


@given(st.lists(_FIELD, max_size=6).map(b"".join))
def test_the_short_way_through_a_message_reads_what_the_long_one_does(message: bytes) -> None:
    """`numbers_and_bytes` has a loop of its own, for it is asked a hundred thousand times."""
    try:
        found = list(fields(message))
    except NoMessage as error:
        with pytest.raises(NoMessage, match=str(error)):
            numbers_and_bytes(message)
        return
    numbers = {key: value for key, value in found if isinstance(value, int)}
    content = {key: value for key, value in found if not isinstance(value, int)}
    assert numbers_and_bytes(message) == (numbers, content)


# -- the log -----------------------------------------------------------------------------------------------------------


def number(field: int, value: int) -> bytes:
    found = b""
    value = value << 0
    while True:
        byte, value = value & 0x7F, value >> 7
        found += bytes([byte | (0x80 if value else 0)])
        if not value:
            return bytes([field << 3]) + found


def content(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + number(0, len(value))[1:] + value


class Writer:
    """Writes a log as etcd does."""

    def __init__(self) -> None:
        self.crc, self.written = 0, b""

    def add(self, kind: int, data: bytes = b"", crc: int | None = None) -> Writer:
        self.crc = (crc32c(data, self.crc) if kind != 4 else self.crc) if crc is None else crc
        record = number(1, kind) + number(2, self.crc) + (content(3, data) if data else b"")
        padding = -len(record) % 8
        length = len(record) | ((0x80 | padding) << 56 if padding else 0)
        self.written += struct.pack("<Q", length) + record + bytes(padding)
        return self

    def head(self, member: int = 7, cluster: int = 9) -> Writer:
        return self.add(4).add(1, number(1, member) + number(2, cluster))

    def entry(self, index: int, term: int = 1, data: bytes = b"x", kind: int = 0) -> Writer:
        return self.add(2, number(1, kind) + number(2, term) + number(3, index) + content(4, data))

    def state(self, term: int, commit: int) -> Writer:
        return self.add(3, number(1, term) + number(2, 7) + number(3, commit))

    def into(self, folder: Path, sequence: int = 0, index: int = 0) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{sequence:016x}-{index:016x}.wal"
        path.write_bytes(self.written + bytes(4096))
        return path


def test_a_log_goes_on_in_its_files_and_a_new_leader_overrules(tmp_path: Path) -> None:
    first = Writer().head().entry(1).entry(2).entry(3).state(1, 2)
    first.into(tmp_path)
    second = Writer()
    second.crc = first.crc
    second.add(4).add(1, number(1, 7) + number(2, 9)).entry(3, term=2).entry(4, term=2).into(tmp_path, 1, 4)
    found = read_log(tmp_path)
    assert (found.member_id, found.cluster_id, found.last_index, found.last_term, found.commit) == (7, 9, 4, 2, 2)
    assert (found.first_index, found.tail(), found.torn) == (1, 2, "")


def test_a_log_without_one_of_its_files_is_damaged(tmp_path: Path) -> None:
    Writer().head().entry(1).into(tmp_path)
    Writer().head().entry(9).into(tmp_path, 2, 9)
    with pytest.raises(Damaged, match="lacks a file of the log"):
        read_log(tmp_path)


def test_a_log_of_two_members_is_damaged(tmp_path: Path) -> None:
    Writer().head().entry(1).add(1, number(1, 8) + number(2, 9)).into(tmp_path)
    with pytest.raises(Damaged, match="of two members"):
        read_log(tmp_path)


def test_a_record_whose_sum_is_wrong_is_the_torn_end(tmp_path: Path) -> None:
    Writer().head().entry(1).entry(2).add(2, number(2, 1) + number(3, 3), crc=5).into(tmp_path)
    found = read_log(tmp_path)
    assert found.torn == "its last record was written in part" and found.last_index == 2, "it is no entry of the log"
    assert found.end is None, "no sector of it is empty: it was damaged later, and etcd does not start on it"
    cut = Writer().head().entry(1).add(2, number(2, 1) + number(3, 2) + content(4, b"x" * 1500))
    path = cut.into(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[1024:1536] = bytes(512)
    path.write_bytes(whole)
    found = read_log(tmp_path)
    assert found.last_index == 1 and found.end is not None and found.torn
    Writer().head().entry(1).add(2, number(2, 1) + number(3, 2), crc=5).entry(3).into(tmp_path)
    found = read_log(tmp_path)
    assert "sum of a record is wrong, 2 records before the end" in found.torn and (found.last_index, found.end) == (3, None)
    path = Writer().head().entry(1).entry(2).into(tmp_path)
    path.write_bytes(path.read_bytes().rstrip(b"\0")[:-3])
    assert read_log(tmp_path).torn == "its last record is longer than the file"
    Writer().head().entry(3).into(tmp_path, 1, 3)
    with pytest.raises(Damaged, match="and the log goes on in another file"):
        read_log(tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_are_no_message_or_one(message: bytes) -> None:
    try:
        list(fields(message))
        all_numbers(message, 1)
    except NoMessage:
        return


# -- who had a vote ------------------------------------------------------------------------------------------------------


def change(index: int, kind: int, member: int) -> Entry:
    return Entry(index, 1, 1, number(1, index) + number(2, kind) + number(3, member))


def test_every_configuration_of_a_log_is_known() -> None:
    changes = [change(1, 0, 1), change(4, 3, 2), change(6, 0, 2), change(9, 1, 1)]
    found = configurations(Configuration(0, frozenset()), changes)
    assert [(one.index, sorted(one.voters), sorted(one.learners)) for one in found] == [
        *((0, [], []), (1, [1], []), (4, [1], [2]), (6, [1, 2], []), (9, [2], [])),
    ]
    assert configurations(Configuration(6, frozenset({1, 2})), changes)[1:] == found[4:]


@pytest.mark.parametrize("data", [b"\xff", number(2, 9) + number(3, 1), number(2, 0)])
def test_a_change_of_members_that_is_not_understood_is_no_configuration(data: bytes) -> None:
    with pytest.raises(Damaged, match="the change of members in entry 3 cannot be read"):
        configurations(Configuration(0, frozenset()), [Entry(3, 1, 1, data)])


def test_what_is_nothing_of_etcd_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no member"):
        look(tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        look(tmp_path / "none")
    (tmp_path / "f").write_bytes(b"x" * 9000)
    with pytest.raises(ConfigError, match="is no snapshot of etcd"):
        look(tmp_path / "f")
    (tmp_path / "member").mkdir()
    assert len(look(tmp_path).problems) == 2


def test_a_named_pipe_is_no_file_and_nobody_waits_for_its_writer(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match=r"is no snapshot of etcd: cannot read .*: it is not a regular file"):
        look(pipe)
    for folder in ("wal", "snap"):
        (tmp_path / "member" / folder).mkdir(parents=True)
    for name in ("wal/0000000000000000-0000000000000000.wal", "snap/db", "snap/0000000000000001-0000000000000001.snap"):
        os.mkfifo(tmp_path / "member" / name)
    assert len(look(tmp_path).problems) >= 2
    assert member_owner(tmp_path) == UNREADABLE
