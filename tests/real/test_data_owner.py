"""Whose data it is, on real etcd: the log says it; a database without a log is nobody's only where it is new."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import engine

from quorate.host import ports
from quorate.host.etcd_data import has_log, has_used_database
from quorate.host.etcd_identity import UNREADABLE, data_owner

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


def run(program: str, data: Path, *more: str, seconds: float = 20) -> None:
    """An etcd that ends by itself, or after so many seconds."""
    peer, client = (f"http://127.0.0.1:{port}" for port in ports.reserve(2, data.parent))
    words = [
        engine(program), f"--data-dir={data}", "--name=a", f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", "--logger=zap",
        f"--initial-cluster=a={peer}" + ("".join(f",b={one}" for one in more if one.startswith("http"))),
        *(word for word in more if word.startswith("--")),
    ]  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as etcd:
        try:
            etcd.wait(seconds)
        except subprocess.TimeoutExpired:
            etcd.kill()


@pytest.mark.parametrize("program", ["etcd-3.4", "etcd-3.5", "etcd-3.6", "etcd-3.7"])
def test_a_member_that_could_not_join_has_left_no_data(tmp_path: Path, program: str) -> None:
    """It has made its database and no log: a join that is rolled back may delete that."""
    data = tmp_path / "data"
    run(program, data, "http://127.0.0.1:1", "--initial-cluster-state=existing")
    assert (data / "member/snap/db").exists()
    assert not has_used_database(data) and not has_log(data) and data_owner(data) is None


@pytest.mark.parametrize("program", ["etcd-3.4", "etcd-3.5", "etcd-3.6", "etcd-3.7"])
def test_a_database_whose_log_is_elsewhere_is_a_members(tmp_path: Path, program: str) -> None:
    data = tmp_path / "data"
    run(program, data, f"--wal-dir={tmp_path}/wal", seconds=2)
    assert has_used_database(data) and has_log(data) and data_owner(data) == UNREADABLE
    (data / "member/snap/db").write_bytes(b"damaged")
    assert data_owner(data) == UNREADABLE


def test_a_database_that_was_made_this_moment_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "member/snap").mkdir(parents=True)
    (tmp_path / "member/snap/db").touch()
    assert data_owner(tmp_path) is None and not has_log(tmp_path)


@pytest.mark.parametrize("program", ["etcd-3.4", "etcd-3.5", "etcd-3.6", "etcd-3.7"])
@pytest.mark.parametrize("gone", ["wal", "snap/db"])
def test_what_a_member_could_not_do_without_is_somebodys(tmp_path: Path, program: str, gone: str) -> None:
    """A part of a real member is no empty directory, and neither is one in which it was moved aside."""
    data = tmp_path / "data"
    run(program, data, seconds=2)
    owner = data_owner(data)
    assert owner not in (None, UNREADABLE)
    (data / "member" / gone).rename(data / "member" / f"{gone}.bak")
    assert data_owner(data) == (UNREADABLE if gone == "wal" else owner)
    (data / "member" / f"{gone}.bak").rename(data / "member" / gone)
    (data / "member").rename(data / "member.saved")
    assert data_owner(data) == UNREADABLE
