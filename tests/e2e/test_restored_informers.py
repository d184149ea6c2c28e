"""API servers and controllers that run on through a restore: what they keep in memory is newer than the store, and must go.

A kube-apiserver answers lists from its memory, and controllers hold copies of their own. Over an older store without a jump of
the revision both stay as they were for ever: the API server asks etcd for its revision, finds its memory newer, and serves it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import BIN

from e2e.kubelab import until
from quorate.host import ports

_TOKEN = "drill"
_ISSUER = "https://drill.invalid"


@dataclass
class Plane:
    """An etcd, a kube-apiserver and a kube-controller-manager on loopback."""

    folder: Path
    ports: tuple[int, ...]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def etcd_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def peer_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}"

    def begin(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen([str(BIN / name), *words], stdout=log, stderr=log, cwd=self.folder)

    def start_etcd(self) -> None:
        client, peer = self.etcd_url, self.peer_url
        self.begin(
            "etcd-3.6",
            f"--data-dir={self.folder / 'etcd'}",
            "--name=m1",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=m1={peer}",
        )

    def start_kubernetes(self) -> None:
        key, public, tokens = self.folder / "sa.key", self.folder / "sa.pub", self.folder / "tokens.csv"
        for words in (("genrsa", "-out", str(key), "2048"), ("rsa", "-in", str(key), "-pubout", "-out", str(public))):
            subprocess.run(["openssl", *words], check=True, capture_output=True)
        tokens.write_text(f"{_TOKEN},admin,admin,system:masters\n")
        self.begin(
            "kube-apiserver",
            f"--etcd-servers={self.etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports[2]}",
            f"--cert-dir={self.folder / 'pki'}",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={key}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=AlwaysAllow",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
        )
        until(lambda: self.kubectl("get", "--raw", "/readyz").stdout == "ok", 90, "the API server answers")
        config = self.folder / "kubeconfig"
        self.kubectl(
            "config", "set-cluster", "drill", f"--server=https://127.0.0.1:{self.ports[2]}", "--insecure-skip-tls-verify"
        )
        self.kubectl("config", "set-credentials", "drill", f"--token={_TOKEN}")
        self.kubectl("config", "set-context", "drill", "--cluster=drill", "--user=drill")
        self.kubectl("config", "use-context", "drill")
        self.begin(
            "kube-controller-manager",
            f"--kubeconfig={config}",
            "--controllers=root-ca-certificate-publisher-controller,namespace-controller",
            "--leader-elect=false",
            f"--root-ca-file={self.folder / 'pki/apiserver.crt'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports[3]}",
            f"--cert-dir={self.folder / 'pki-controllers'}",
        )

    def kubectl(self, *words: str) -> subprocess.CompletedProcess[str]:
        config = self.folder / "kubeconfig"
        flags = (
            [f"--kubeconfig={config}"]
            if config.exists() or words[0] == "config"
            else [f"--server=https://127.0.0.1:{self.ports[2]}", f"--token={_TOKEN}", "--insecure-skip-tls-verify"]
        )
        return subprocess.run(
            [str(BIN / "kubectl"), *flags, *words], capture_output=True, text=True, check=False, timeout=60, cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder)},
        )  # fmt: skip

    def names(self, path: str) -> set[str]:
        """What the API server lists; with resourceVersion=0 from its memory."""
        done = self.kubectl("get", "--raw", path)
        assert done.returncode == 0, done.stderr
        return {row["metadata"]["name"] for row in json.loads(done.stdout)["items"]}

    def is_published(self, namespace: str) -> bool:
        """The controller has seen the namespace, and that its certificate is missing there."""
        return "kube-root-ca.crt" in self.names(f"/api/v1/namespaces/{namespace}/configmaps")

    def end(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def made(self, *words: str) -> None:
        done = self.kubectl(*words)
        assert done.returncode == 0, done.stderr


def quorate(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "quorate", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    plane = Plane(tmp_path, tuple(ports.reserve(4, tmp_path / "etcd")))
    try:
        plane.start_etcd()
        plane.start_kubernetes()
        yield plane
    finally:
        for name in reversed(list(plane.running)):
            plane.end(name)


def restored_by_quorate(plane: Plane, backups: Path) -> None:
    words = ("--data-dir", str(plane.folder / "etcd"), "--name", "m1", "--peer-url", plane.peer_url, "--set-aside")
    quorate("etcd", "restore", str(backups), *words, "--etcd", str(BIN / "etcd-3.6"), "--etcdutl", str(BIN / "etcdutl"))


def restored_without_a_jump(plane: Plane, backups: Path) -> None:
    (plane.folder / "etcd").rename(plane.folder / "etcd.old")
    (file,) = backups.rglob("*.db")
    own = ("--name=m1", f"--initial-cluster=m1={plane.peer_url}", f"--initial-advertise-peer-urls={plane.peer_url}")
    words = ("snapshot", "restore", str(file), f"--data-dir={plane.folder / 'etcd'}", *own, "--initial-cluster-token=new")
    subprocess.run([str(BIN / "etcdutl"), *words], check=True, capture_output=True)


def restored_world(plane: Plane, restore: Callable[[Plane, Path], None]) -> None:
    """Save with `early` there; delete that, add `late` and much else; restore, under components that run on."""
    backups = plane.folder / "backups"
    plane.made("create", "namespace", "early")
    until(lambda: plane.is_published("early"), 60, "the controller runs")
    quorate("etcd", "backup", "save", str(backups), "--endpoints", plane.etcd_url)
    plane.made("create", "namespace", "late")
    until(lambda: plane.is_published("late"), 30, "the controller goes on")
    for number in range(30):
        plane.made("create", "configmap", f"late-{number}", "--from-literal=a=b")
    plane.made("delete", "namespace", "early")
    pids = {name: process.pid for name, process in plane.running.items() if name != "etcd-3.6"}
    plane.end("etcd-3.6")
    restore(plane, backups)
    plane.start_etcd()
    until(lambda: plane.kubectl("get", "--raw", "/readyz").stdout == "ok", 60, "the API server answers")
    assert {name: process.pid for name, process in plane.running.items() if process.poll() is None and name in pids} == pids


@pytest.mark.e2e
@pytest.mark.timeout(240)
def test_api_server_and_controllers_see_the_restored_world_without_a_restart(plane: Plane) -> None:
    restored_world(plane, restored_by_quorate)

    def is_right() -> bool:
        listed = [plane.names(f"/api/v1/namespaces{how}") for how in ("", "?resourceVersion=0")]
        return all("early" in names and "late" not in names for names in listed)

    until(is_right, 30, "both lists are those of the restored store")
    kept = plane.names("/api/v1/namespaces/default/configmaps?resourceVersion=0")
    assert not any(name.startswith("late-") for name in kept), kept
    # Its copies are those of the restored store: it acts on what is new there, and on what was deleted before.
    plane.made("create", "namespace", "after")
    until(lambda: plane.is_published("after"), 30, "the controller sees what is new")
    plane.made("delete", "configmap", "kube-root-ca.crt", "--namespace=early")
    until(lambda: plane.is_published("early"), 30, "the controller has what was deleted before the restore")


@pytest.mark.e2e_long
@pytest.mark.timeout(240)
def test_without_a_jump_of_the_revision_the_old_world_is_served(plane: Plane) -> None:
    """What the test above would find if the revision did not jump."""
    restored_world(plane, restored_without_a_jump)
    time.sleep(10)
    listed = plane.names("/api/v1/namespaces?resourceVersion=0")
    assert "late" in listed and "early" not in listed, listed
