"""A mark in a log tells the log that went on from one that was put in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from member_data import append_state, write_log

from quorate.host.etcd_identity import DataIdentity
from quorate.offline.log_mark import end_of, ends_at, goes_on, mark_in

OWNER = DataIdentity(0xA, 0xC)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = write_log(tmp_path, OWNER)
    for commit in (3, 4):
        append_state(path, commit)
    return path


def test_what_is_written_behind_it_changes_nothing_of_a_mark_and_all_of_an_end(log: Path) -> None:
    mark, end = mark_in(log.parent), end_of(log.parent)
    assert mark is not None and end is not None and ends_at(log.parent, end) and goes_on(log.parent, end)
    append_state(log, 5)
    assert goes_on(log.parent, mark) and goes_on(log.parent, end) and not ends_at(log.parent, end)


def test_the_last_record_may_be_lost_in_a_power_cut(log: Path) -> None:
    """etcd does not sync one that says only what is committed."""
    mark = mark_in(log.parent)
    assert mark is not None
    content = log.read_bytes()
    log.write_bytes(content[: mark.offset] + bytes(len(content) - mark.offset))
    assert goes_on(log.parent, mark) and ends_at(log.parent, mark)


def test_another_log_in_its_place_has_no_such_mark(log: Path) -> None:
    mark, end = mark_in(log.parent), end_of(log.parent)
    assert mark is not None and end is not None
    again = write_log(log.parents[2], OWNER)
    for commit in (2, 7):
        append_state(again, commit)
    assert not goes_on(log.parent, mark) and not ends_at(log.parent, end)
    log.unlink()
    assert not goes_on(log.parent, mark) and not ends_at(log.parent, end) and mark_in(log.parent) is None
