"""Each kind of document of `etcd` and `local`, printed once for a real cluster; the command line of the tests checks each."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemas
from conftest import RunCli

from quorate.local import cluster
from quorate.local.home import Home
from real.machines import flags_of

pytestmark = pytest.mark.real


def test_every_document_of_a_cluster_follows_its_schema(home: Home, etcd36: str, cli: RunCli, tmp_path: Path) -> None:
    cluster.up(home, 2, etcd36)
    folder = f"--dir={home.layout.root}"
    flags = flags_of(home)
    url = "https://127.0.0.1:1"
    want = tmp_path / "want.yaml"
    want.write_text(cli("etcd", "members", *flags, "-o", "yaml").stdout)

    def kinds(*words: str) -> list[str]:
        return schemas.checked(cli(*words, "-o", "json").stdout)

    assert kinds("etcd", "members", *flags) == ["MemberList"]
    assert kinds("etcd", "status", "--hash", *flags) == ["ClusterStatus"]
    assert kinds("etcd", "watch", "--count=2", "--interval=10ms", *flags) == ["ClusterLook"] * 2
    assert kinds("etcd", "health", "--write", *flags) == ["HealthReport"]
    assert kinds("etcd", "move-leader", "m2", *flags) == ["MoveLeaderResult"]
    assert kinds("etcd", "remove", "m1", "--dry-run", "--accept-reduced-tolerance", *flags) == ["RemovePlan"]
    assert kinds("etcd", "add", "m7", f"--peer-urls={url}", "--dry-run", *flags) == ["JoinPlan"]
    assert kinds("etcd", "replace", "m1", "m7", f"--peer-urls={url}", "--dry-run", *flags) == ["JoinPlan"]
    assert kinds("etcd", "promote", "m1", *flags) == ["PromotePlan"]
    assert kinds("etcd", "unlock", *flags) == ["PendingJoins"]
    assert kinds("etcd", "plan", f"--want={want}", *flags) == ["Plan"]
    assert kinds("etcd", "plan", f"--want={want}", "--apply", *flags) == ["ConvergeResult"]
    assert kinds("local", "status", folder) == ["LocalStatus"]
    assert kinds("etcd", "add", "m3", folder, "--dry-run") == ["JoinPlan"]
    assert kinds("etcd", "add", "m3", folder) == ["JoinResult"]
    assert kinds("local", "up", folder) == ["LocalUpResult"]
    assert kinds("local", "leave", "m3", folder, "--accept-reduced-tolerance") == ["LeaveResult"]
    assert kinds("local", "join", folder) == ["JoinResult"]
    assert kinds("etcd", "remove", "m1", "--accept-reduced-tolerance", *flags) == ["RemoveResult"]
    assert kinds("etcd", "remove", "m9", *flags) == ["Error"]
    assert kinds("etcd", "members", "--endpoints=127.0.0.1:1", "--command-timeout=1s") == ["Error"]


def test_an_adopted_learner(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    flags = flags_of(home)
    added = cli("etcd", "member", "add", "m5", "--learner", "--peer-urls=https://127.0.0.1:1", *flags)
    assert added.returncode == 0, added.stderr
    learner = "https://127.0.0.1:1"
    assert schemas.checked(cli("etcd", "adopt", learner, "m5", *flags, "-o", "json").stdout) == ["AdoptResult"]
    assert schemas.checked(cli("etcd", "unlock", "m5", *flags, "-o", "json").stdout) == ["PendingJoins"]
