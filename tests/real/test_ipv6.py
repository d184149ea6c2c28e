"""A member joins over IPv6 alone: its runtime checks, listens and starts it there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import RunCli

from quorate.deadline import SystemClock
from quorate.host import ports, process
from quorate.host.environment import for_programs
from quorate.member.process import process_of
from quorate.member.spec import EtcdSpec
from real.machines import until

pytestmark = [pytest.mark.real, pytest.mark.skipif(not ports.is_free(0, "::1"), reason="this machine has no ::1")]


@dataclass(frozen=True)
class Pair:
    """An etcd that runs on ::1, and the ports of one that is to join."""

    etcd: str
    folder: Path
    client: str
    new_peer: str
    new_client: str

    def add(self) -> list[str]:
        return [
            "etcd", "add", "b", "--runtime=process", f"--endpoints={self.client}", f"--peer-urls={self.new_peer}",
            f"--client-urls={self.new_client}", f"--data-dir={self.folder}/b", f"--etcd={self.etcd}", "--timeout=15",
            "-o", "json",
        ]  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path, any_etcd: str) -> Iterator[Pair]:
    owner = tmp_path / "owner"
    owner.touch()
    peer, client, new_peer, new_client = (f"http://[::1]:{port}" for port in ports.reserve(4, owner))
    flags = [
        "--name=a", f"--data-dir={tmp_path}/a", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--initial-cluster=a={peer}", "--logger=zap",
    ]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        first = subprocess.Popen([any_etcd, *flags], stdout=log, stderr=log, env=for_programs(os.environ))
    try:
        until(lambda: b"published local member to cluster" in (tmp_path / "log").read_bytes())
        yield Pair(any_etcd, tmp_path, client, new_peer, new_client)
    finally:
        joined = process_of(EtcdSpec("b", Path(any_etcd), tmp_path / "b", "", ""), SystemClock()).daemon.identity()
        if joined is not None:
            process.kill(joined, SystemClock())
        first.kill()
        first.wait()
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        shutil.rmtree(tmp_path / "b", ignore_errors=True)


def test_a_member_joins_on_ipv6(pair: Pair, cli: RunCli) -> None:
    done = cli(*pair.add())
    assert done.returncode == 0, done.stderr
    assert "has not dialled" not in done.stderr
    listed = cli("etcd", "member", "list", f"--endpoints={pair.new_client}", "-w", "json")
    members = json.loads(listed.stdout)["members"]
    assert {row["name"]: row["peerURLs"] for row in members}["b"] == [pair.new_peer]
    assert not any(row.get("isLearner") for row in members)


def test_a_taken_port_of_ipv6_is_named(pair: Pair, cli: RunCli) -> None:
    taken = [argument.replace(pair.new_client, pair.client) for argument in pair.add()]
    done = cli(*taken)
    assert done.returncode == 2 and "cannot listen on" in done.stderr and "[::1]:" in done.stderr
    assert not (pair.folder / "b").exists()
