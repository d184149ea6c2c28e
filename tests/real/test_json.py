"""Each kind of document of `etcd` and `local`, printed once for a real cluster; the command line of the tests checks each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import schemas
from conftest import RunCli

from quorate.foreign.text import to_paste
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


def test_a_learner_of_another_tool_is_shown_with_what_frees_its_seat(home: Home, etcd36: str, cli: RunCli) -> None:
    """A join that waited for its seat advised a longer --timeout, and 'unlock' that nothing was pending."""
    cluster.up(home, 1, etcd36)
    flags = flags_of(home)
    added = cli("etcd", "member", "add", "m5", "--learner", "--peer-urls=https://127.0.0.1:1", *flags, "-w", "json")
    (row,) = [one for one in json.loads(added.stdout)["members"] if one.get("isLearner")]
    learner = f"{row['ID']:x}"
    shown_flags = to_paste(*sorted(flags))
    adopt = f"'quorate etcd {shown_flags} adopt {learner} NAME' takes it over"
    remove = f"'quorate etcd {shown_flags} remove {learner}' removes it"
    done = cli("etcd", "add", "m6", "--peer-urls=https://127.0.0.1:2", "--timeout=1s", *flags)
    (advice,) = [line for line in done.stderr.splitlines() if line.lstrip().startswith("next:")]
    assert done.returncode != 0 and f"the learner seat is taken by an unstarted learner ({learner})" in done.stderr
    assert adopt in advice and remove in advice and advice.endswith("or allow more time with a longer --timeout")
    shown = cli("etcd", "unlock", *flags)
    assert "no join is waiting" in shown.stdout and adopt in shown.stdout and remove in shown.stdout
    data = cli("etcd", "unlock", *flags, "-o", "json")
    assert schemas.checked(data.stdout) == ["PendingJoins"]
    assert [one["id"] for one in json.loads(data.stdout)["learnersWithoutJoin"]] == [learner]
    second = cli("etcd", "member", "add", "m7", "--learner", "--peer-urls=https://127.0.0.1:3", *flags)
    assert remove in second.stderr.replace("\n", " "), second.stderr
    assert cli("etcd", "adopt", learner, "m5", *flags).returncode == 0
    assert json.loads(cli("etcd", "unlock", *flags, "-o", "json").stdout)["learnersWithoutJoin"] == []
    dead = cli("etcd", "move-leader", learner, *flags)
    assert (
        dead.returncode == 4
        and f"promote it first: quorate etcd {shown_flags} promote {learner}; or name a voter that answers: m1" in dead.stderr
    )
