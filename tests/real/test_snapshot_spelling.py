"""`quorate etcd snapshot`: etcdctl's spelling, with our checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import schemas
from conftest import MakeHome, RunCli, engine

from quorate.local import cluster as local
from quorate.local.home import Home
from real.machines import flags_of

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


@pytest.fixture
def one(make_home: MakeHome, etcd36: str) -> Home:
    home = make_home()
    local.up(home, 1, etcd36)
    return home


def test_a_file_is_saved_looked_at_and_restored(
    one: Home, cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, made = tmp_path / "my backup.db", tmp_path / "made"
    monkeypatch.setenv("PATH", str(Path(engine("etcdutl")).parent), prepend=":")
    saved = cli("etcd", "snapshot", "save", str(file), *flags_of(one), "-w", "json")
    assert saved.returncode == 0, saved.stderr
    schemas.checked(saved.stdout)
    assert file.stat().st_mode & 0o777 == 0o600 and json.loads(saved.stdout)["bytes"] == file.stat().st_size
    again = cli("etcd", "snapshot", "save", str(file), *flags_of(one))
    assert again.returncode == 3 and "is there already" in again.stderr
    assert cli("etcd", "snapshot", "status", str(file)).returncode == 0
    words = ("etcd", "snapshot", "restore", str(file), "--data-dir", str(made), "--name", "m1")
    rows = "m1=http://a:2380,m2=http://b:2380"
    for flags, why in (
        (("--initial-cluster", rows), "one is restored"),
        (("--initial-cluster-token", "t"), "taken over by members of the old one"),
        (("--skip-hash-check",), "wrong values"),
        (("--wal-dir", "w"), "at once with the data"),
    ):
        refused = cli(*words, *flags)
        assert refused.returncode == 4 and why in refused.stderr, refused.stderr
    assert not made.exists()
    done = cli(*words, "--initial-cluster", "m1=http://localhost:2380", "--mark-compacted", "--bump-revision", "5")
    assert done.returncode == 0, done.stderr
    assert (made / "member" / "snap" / "db").is_file()


@pytest.mark.parametrize("cut", [31, 32, -32, 1], ids=["a part of the digest", "the digest", "more behind it", "a byte"])
def test_a_damaged_file_is_no_snapshot(one: Home, cli: RunCli, tmp_path: Path, cut: int) -> None:
    """Without its digest it was called good, and no restore took it."""
    file = tmp_path / "x.db"
    assert cli("etcd", "snapshot", "save", str(file), *flags_of(one)).returncode == 0
    content = bytearray(file.read_bytes())
    if cut == 1:
        content[-1] ^= 1
    else:
        content = content[:-cut] if cut > 0 else content + bytes(-cut)
    file.write_bytes(content)
    done = cli("etcd", "snapshot", "status", str(file))
    assert done.returncode == 1 and "problem: " in done.stdout, done.stdout
