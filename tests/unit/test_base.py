"""The small base: errors, deadlines, secrets, files, the journal."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate import errors, journal
from quorate.deadline import Cancel, Deadline, DeadlineExceeded, SystemClock, wait_until
from quorate.errors import HostError, Interrupted, QuorateError, Unforeseen, foreseen
from quorate.files import make_folder, write_atomic
from quorate.journal import Journal, Record
from quorate.secret import Secret


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def wall(self) -> float:
        return self.now()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_exit_codes_are_stable() -> None:
    kinds = {kind.__name__: kind.exit_code for kind in QuorateError.__subclasses__() if kind.__module__ == errors.__name__}
    assert kinds == {
        "PreflightFailed": 2,
        "ConfigError": 3,
        "Refused": 4,
        "OutcomeUnknown": 5,
        "Interrupted": 130,
        "HostError": 1,
        "JoinFailed": 1,
        "PartlyDone": 1,
        "Unforeseen": 1,
    }


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_a_disk_that_is_full_is_no_fault_of_the_program(number: int) -> None:
    found = foreseen(OSError(number, os.strerror(number), "/a/b"))
    assert isinstance(found, HostError) and found.what == f"{os.strerror(number)} (/a/b)" and found.own_advice
    assert isinstance(foreseen(OSError(errno.EBADF, "x")), Unforeseen)


def test_a_deadline_says_what_it_was_for_and_why() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 2, "the member answers")
    with pytest.raises(DeadlineExceeded, match=r"the member answers: timed out after 2 s: still silent"):
        wait_until(lambda: False, clock=clock, deadline=deadline, every=0.5, why_not=lambda: "still silent")
    assert 2.0 <= clock.time < 2.6


def test_a_deadline_is_extended_and_never_shortened() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 10, "x")
    deadline.extend(1)
    assert deadline.remaining == 10
    clock.time = 9
    deadline.extend(5)
    assert deadline.remaining == 5


def test_a_cancel_interrupts_waits_but_not_a_shielded_undo() -> None:
    cancel = Cancel()
    clock = SystemClock(cancel)
    cancel.request("SIGTERM")
    cancel.request("SIGINT")
    with cancel.shielded():
        clock.sleep(0.001)
    with pytest.raises(Interrupted, match="interrupted by SIGTERM"):
        clock.sleep(60)


@given(st.text(min_size=1) | st.binary(min_size=1))
def test_a_secret_never_shows(value: str | bytes) -> None:
    secret = Secret(value)
    assert repr(secret) == str(secret) == f"{secret}" == "Secret(***)"
    assert secret.reveal() == value and secret == Secret(value)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)


def test_files_have_their_mode_from_the_first_byte_and_replace_symlinks(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_atomic(tmp_path / "key", b"secret", mode=0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    write_atomic(link, b"new", mode=0o644)
    assert target.read_text() == "mine" and not link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "link", "target"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old", mode=0o644)

    def fail(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(HostError, match="No space left"):
        write_atomic(path, b"new", mode=0o644)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"] and path.read_bytes() == b"old"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot create"):
        make_folder(tmp_path / "file" / "below")


SOME = settings(max_examples=20)
"""Each record is synced to disk: a hundred examples took two minutes on a busy machine, which is the limit of a test."""

RECORDS = st.lists(
    st.builds(
        Record, st.text(min_size=1, max_size=5), st.floats(0, 1e9), st.dictionaries(st.sampled_from("abc"), st.text(max_size=9))
    ),
    max_size=8,
)


@SOME
@given(RECORDS)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    for half in (records[: len(records) // 2], records[len(records) // 2 :]):
        book = Journal(path)
        for record in half:
            book.write(record)
        book.close()
    assert journal.read(path) == records


@SOME
@given(RECORDS.filter(bool), st.integers(0, 200), st.data())
def test_a_torn_last_record_is_dropped_and_written_over(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], tear: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    book = Journal(path)
    for record in records:
        book.write(record)
    last = journal.encode(records[-1])
    torn = min(tear, len(last) - 1)
    with path.open("r+b") as file:
        file.seek(book._end - len(last) + torn)
        file.write(data.draw(st.binary(min_size=1, max_size=1).filter(lambda byte: byte != last[torn : torn + 1])))
    book.close()
    assert journal.read(path)[: len(records) - 1] == records[:-1]
    again = Journal(path)
    final = Record("new", 1.0, {})
    again.write(final)
    again.close()
    found = journal.read(path)
    assert found[: len(records) - 1] == records[:-1] and found[-1] == final


def test_an_absent_journal_is_empty_and_a_new_one_is_private_and_has_room(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert journal.read(path) == []
    Journal(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size >= 64 * 1024 and path.stat().st_blocks * 512 >= 64 * 1024


def test_a_full_disk_does_not_stop_a_record_that_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Journal(tmp_path / "journal")
    book.write(Record("intent", 1.0, {}))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "_reserve", full)
    book.write(Record("outcome", 2.0, {}))
    assert [record.kind for record in journal.read(book.path)] == ["intent", "outcome"]
    book.close()


def test_a_journal_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError):
        Journal(tmp_path / "link")
