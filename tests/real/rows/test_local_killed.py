"""`local up` and `local down --purge` killed inside a write or a deletion: the same command resumes, and nothing stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import RunCli

from quorate.local import cluster
from quorate.local.home import Home
from real.rows.harness import Point, Tool
from real.rows.local_tools import killed, roles

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
WRITES = [("wanted.json", 1), ("cluster.json", 1), ("ca.key", 1), ("ca.crt", 1), ("peer.crt", 1), ("cluster.json", 2)]


def killed_up(tools: list[Tool], home: Home, etcd: str, name: str, number: int) -> None:
    point = Point(f"renaming {name}", number, act="kill")
    killed(tools, home, point, "local", "up", "--members", "1", "--etcd", etcd)
    # The file that was not renamed is there, in this folder or in one of a member.
    assert [path for path in home.layout.root.rglob(f".{name}.*") if path.is_file()]


@pytest.mark.parametrize(("name", "number"), WRITES)
def test_an_up_that_was_killed_resumes(home: Home, etcd36: str, tool_of: list[Tool], name: str, number: int) -> None:
    killed_up(tool_of, home, etcd36, name, number)
    cluster.up(home, 1, etcd36)
    assert roles(home) == {"m1": "voter"}


@pytest.mark.parametrize(("name", "number"), WRITES)
def test_a_purge_deletes_what_a_killed_up_has_left(
    home: Home, etcd36: str, tool_of: list[Tool], cli: RunCli, name: str, number: int
) -> None:
    killed_up(tool_of, home, etcd36, name, number)
    done = cli("local", "down", "--purge", "--dir", str(home.layout.root))
    assert done.returncode == 0 and f"deleted: {home.layout.root}\n" in done.stdout, done
    assert not home.layout.root.exists()


@pytest.mark.parametrize("name", ["members", "pki", "wanted.json", "cluster.json", "lock"])
def test_a_purge_that_was_killed_resumes(home: Home, etcd36: str, tool_of: list[Tool], name: str) -> None:
    cluster.up(home, 1, etcd36)
    killed(tool_of, home, Point(f"deleting {name}", act="kill"), "local", "down", "--purge")
    cluster.down(home, purge=True)
    assert not home.layout.root.exists()


def test_what_was_kept_is_not_called_deleted(home: Home, etcd36: str, cli: RunCli, tmp_path: Path) -> None:
    """A file of the user's, which looks nearly like one of ours, and a symlink to the directory."""
    cluster.up(home, 1, etcd36)
    theirs = home.layout.root / ".cluster.json.backup"
    theirs.write_text("theirs")
    link = tmp_path / "link"
    link.symlink_to(home.layout.root)
    done = cli("local", "down", "--purge", "--dir", str(link))
    assert done.returncode == 0 and f"deleted: the cluster in {link}\n" in done.stdout, done
    assert "is a symlink" in done.stderr and os.listdir(home.layout.root) == [theirs.name]
