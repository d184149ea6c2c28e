"""A machine beside a local cluster whose etcd is started by hand, for commands that must not know how members are run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.host import ports
from quorate.host.environment import for_programs
from quorate.local import cluster
from quorate.local.home import Home


@dataclass
class Machine:
    """A machine that is to join: its ports, and an etcd started by hand with the certificates of the local cluster."""

    home: Home
    folder: Path
    etcd: str
    peer_port: int
    client_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def peer_url(self) -> str:
        return f"https://127.0.0.1:{self.peer_port}"

    def start(self, name: str, rows: object, certificates: Path | None = None, state: str = "existing") -> None:
        pki, ca = certificates or self.home.layout.member("m1").pki, self.home.layout.pki / "ca.crt"
        client = f"https://127.0.0.1:{self.client_port}"
        cluster_rows = ",".join(f"{row}={url}" for row, url in rows)  # type: ignore[attr-defined]
        tls = [
            f"--cert-file={pki}/server.crt", f"--key-file={pki}/server.key", f"--trusted-ca-file={ca}", "--client-cert-auth",
            f"--peer-cert-file={pki}/peer.crt", f"--peer-key-file={pki}/peer.key", f"--peer-trusted-ca-file={ca}",
            "--peer-client-cert-auth",
        ]  # fmt: skip
        flags = [
            f"--name={name}", f"--data-dir={self.folder}/data", f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}", f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}", f"--initial-cluster={cluster_rows}", f"--initial-cluster-state={state}",
            "--logger=zap",
        ]  # fmt: skip
        if self.home.load().max_learners > 1:
            flags.append(f"--max-learners={self.home.load().max_learners}")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen([self.etcd, *flags, *tls], stdout=log, stderr=log, env=for_programs(os.environ))

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def machine(home: Home, tmp_path: Path, any_etcd: str) -> Iterator[Machine]:
    """A cluster of one and a machine beside it."""
    cluster.up(home, 1, any_etcd)
    folder = tmp_path / "machine"
    folder.mkdir()
    peer_port, client_port = ports.reserve(2, home.layout.lock)
    machine = Machine(home, folder, any_etcd, peer_port, client_port)
    yield machine
    machine.end()
    shutil.rmtree(folder)


@pytest.fixture
def target(machine: Machine) -> Iterator[Cluster]:
    with machine.home.access() as access:
        yield Cluster(access, machine.home.seeds(), policy=JoinPolicy(20))


def killed_while_starting(machine: Machine, name: str) -> None:
    """Run 'quorate etcd add' in a process of its own that is killed behind its MemberAdd: by its own start command."""
    command = [sys.executable, "-m", "quorate", "etcd", "add", name, f"--peer-urls={machine.peer_url}"]
    done = subprocess.run(
        [*command, "--start=sh -c 'kill -9 $PPID'", *flags_of(machine.home)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def flags_of(home: Home) -> list[str]:
    pki = home.layout.pki
    endpoints = ",".join(str(seed) for seed in home.seeds())
    return [
        f"--endpoints={endpoints}",
        f"--cacert={pki}/ca.crt",
        f"--cert={pki}/healthcheck-client.crt",
        f"--key={pki}/healthcheck-client.key",
    ]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
