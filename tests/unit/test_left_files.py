"""A writer that is killed leaves its temporary file, maybe with a private key: the next one deletes it, and no other file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.errors import HostError
from quorate.files import create_into, staged, write_atomic
from quorate.tree import NewContent, RealTree

KILLED = """
import os, signal, sys
from pathlib import Path
from quorate.files import write_atomic
os.rename = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
write_atomic(Path(sys.argv[1]), b"a private key", mode=0o600)
"""
LEFT = ".ca.key.quorate-0123abcd"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_writer_left_goes_with_the_next_write_into_its_folder(tmp_path: Path) -> None:
    for name in ("ca.key", "admin.conf"):
        done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], check=False)
        assert done.returncode == -signal.SIGKILL
    (left,) = names(tmp_path)
    assert left.startswith(".admin.conf.quorate-"), "the second has deleted what the first left"
    assert (tmp_path / left).read_bytes() == b"a private key"
    write_atomic(tmp_path / "ca.crt", b"x", mode=0o644)
    assert names(tmp_path) == ["ca.crt"]


@pytest.mark.parametrize("how", ["create", "write", "exchange"])
def test_every_way_to_write_deletes_what_was_left(tmp_path: Path, how: str) -> None:
    (tmp_path / LEFT).write_bytes(b"x")
    tree = RealTree(tmp_path)
    if how == "exchange":
        (tmp_path / "ca.crt").write_bytes(b"old")
        tree.exchange(NewContent("/ca.crt", b"x", 0o600, b"old"))
    else:
        (tree.create if how == "create" else tree.write)("/ca.crt", b"x", mode=0o600)
    assert names(tmp_path) == ["ca.crt"]


def test_what_a_killed_exchange_left_goes_with_its_own_file_alone(tmp_path: Path) -> None:
    """Killed between a key and its certificate: the old key has no other name. A renewal of another pair deleted it."""
    left = ".ca.key.quorate-0123456789ab"
    (tmp_path / left).write_bytes(b"the old key")
    tree = RealTree(tmp_path)
    for name in ("ca.key", "other.key", "other.crt"):
        (tmp_path / name).write_bytes(b"old")
    tree.exchange(NewContent("/other.key", b"x", 0o600, b"old"), NewContent("/other.crt", b"x", 0o600, b"old"))
    tree.write("/more.crt", b"x", mode=0o600)
    assert left in names(tmp_path)
    with pytest.raises(HostError, match="meanwhile"):
        tree.exchange(NewContent("/ca.key", b"x", 0o600, b"not this"))
    assert left in names(tmp_path), "the new one did not get its place"
    tree.exchange(NewContent("/ca.key", b"x", 0o600, b"old"))
    assert left not in names(tmp_path)


def test_the_file_of_a_writer_that_lives_stays(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        with staged(folder, "ca.key", b"theirs", mode=0o600) as put:
            (live,) = names(tmp_path)
            create_into(folder, "ca.key.other", b"ours", mode=0o600)
            assert names(tmp_path) == [live, "ca.key.other"]
            put()
    finally:
        os.close(folder)
    assert names(tmp_path) == ["ca.key", "ca.key.other"] and (tmp_path / "ca.key").read_bytes() == b"theirs"


def test_a_file_that_was_swept_before_it_was_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, swept = os.open, list[str]()

    def opened(path: str | Path, flags: int, *args: int, **more: int) -> int:
        fd = real(path, flags, *args, **more)
        if flags & os.O_EXCL and not swept:
            (name,) = names(tmp_path)
            swept.append(name)
            (tmp_path / name).unlink()
        return fd

    monkeypatch.setattr(os, "open", opened)
    write_atomic(tmp_path / "ca.key", b"x", mode=0o600)
    assert swept and names(tmp_path) == ["ca.key"] and (tmp_path / "ca.key").read_bytes() == b"x"


def test_no_other_file_goes(tmp_path: Path) -> None:
    """A backup with a date has eight hexadecimal digits as well."""
    for name in (".admin.conf.20231126", ".ca.key.quorate-", ".ca.key.quorate-0123abcX", "ca.key.quorate-0123abcd"):
        (tmp_path / name).write_bytes(b"theirs")
    (tmp_path / ".folder.quorate-0123abcd").mkdir()
    (tmp_path / ".link.quorate-0123abcd").symlink_to("ca.key.quorate-0123abcd")
    os.mkfifo(tmp_path / ".pipe.quorate-0123abcd")
    before = names(tmp_path)
    if os.geteuid() == 0:
        (tmp_path / LEFT).write_bytes(b"another user's")
        os.chown(tmp_path / LEFT, 12345, 12345)
        # Where others may write it may be theirs.
        tmp_path.chmod(0o777)
        before = sorted([*before, LEFT])
    write_atomic(tmp_path / "new", b"x", mode=0o600)
    assert names(tmp_path) == [*before, "new"]
