"""A dry run of a reset asks the cluster, and refuses what the real run refuses before its first change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.cli.main import run_with
from quorate.local import cluster
from quorate.local.home import Home
from quorate.local.layout import Layout

pytestmark = pytest.mark.real

MANIFEST = """
spec:
  containers:
  - command: [etcd, --name=m1, "--data-dir=/var/lib/etcd{below}", "--initial-advertise-peer-urls={peer}",
      "--listen-client-urls={client}", "--initial-cluster=m1={peer}"]
    volumeMounts: [{{mountPath: /var/lib/etcd, name: {volume}}}]
  volumes: [{{name: data, hostPath: {{path: /cluster/members/m1/data}}}}]
"""


class Node:
    """A node below a folder whose etcd is the member m1 of a local cluster in that folder."""

    def __init__(self, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.capsys = home, capsys
        self.root = home.layout.root.parent
        self.manifest = self.root / "etc" / "kubernetes" / "manifests" / "etcd.yaml"
        self.pki = home.layout.pki
        self.manifest.parent.mkdir(parents=True)
        self.write()

    def write(self, *, volume: str = "data", below: str = "") -> None:
        m1 = next(row for row in self.home.load().members if row.name == "m1")
        self.manifest.write_text(MANIFEST.format(peer=m1.peer_url, client=m1.client_url, volume=volume, below=below))

    def reset(self, *flags: str) -> tuple[int, str, str]:
        """Returns the exit code, the line that names the error, and stdout."""
        words = ["reset", "--rootfs", str(self.root), "--cert-dir=/cluster/pki", "--force", "--ignore-preflight-errors=all"]
        code = run_with([*words, *flags])
        said = self.capsys.readouterr()
        return code, next((line for line in said.err.splitlines() if line.startswith("error:")), ""), said.out


@pytest.fixture
def node(tmp_path: Path, make_home: Callable[[], Home], etcd36: str, capsys: pytest.CaptureFixture[str]) -> Node:
    home = make_home()
    assert home.layout == Layout(tmp_path / "cluster")
    cluster.up(home, 3, etcd36)
    capsys.readouterr()
    return Node(home, capsys)


def test_a_dry_run_of_reset_refuses_what_the_real_run_refuses(node: Node) -> None:
    """It said rc 0 and "Would remove" where the real run ended with 4."""
    key, ca = node.pki / "healthcheck-client.key", node.pki / "ca.crt"
    was = key.read_bytes(), ca.read_bytes()

    def without_key() -> None:
        node.write()
        key.unlink()

    def with_junk() -> None:
        key.write_bytes(was[0])
        ca.write_text("junk")

    def with_two_of_three() -> None:
        ca.write_bytes(was[1])
        cluster.kill(node.home, "m2")

    cases: list[tuple[str, Callable[[], None]]] = [
        ("does not show where its data is", lambda: node.write(volume="another")),
        ("not an absolute path", lambda: node.write(below="/../../../../../etc")),
        ("healthcheck-client.key", without_key),
        ("holds no CERTIFICATE", with_junk),
        ("fewer than their quorum", with_two_of_three),
        ("connection refused", lambda: cluster.kill(node.home, "m1")),
    ]
    for why, change in cases:
        change()
        before = sorted(node.root.rglob("*"))
        planned = node.reset("--dry-run")
        assert sorted(node.root.rglob("*")) == before, why
        real = node.reset()
        assert planned[:2] == real[:2] and planned[0] == 4 and why in planned[1], (planned, real)
        assert sorted(node.root.rglob("*")) == before, why


def test_a_dry_run_of_reset_asks_the_cluster_and_changes_nothing(node: Node) -> None:
    before = sorted(node.root.rglob("*"))
    code, error, out = node.reset("--dry-run")
    assert (code, error) == (0, "")
    assert f"Would remove etcd member m1 ({node.home.look().by_name('m1').id:x})" in out  # type: ignore[union-attr]
    assert "Would delete contents of stateful directories: [/cluster/members/m1/data]" in out
    assert sorted(node.root.rglob("*")) == before
    assert len(node.home.look().members) == 3
