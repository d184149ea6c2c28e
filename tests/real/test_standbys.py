"""What the commands for members say of a standby: a learner that waits on purpose, and is nobody's leftover."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import RunCli

from quorate.etcd.client import kv
from quorate.local import cluster
from quorate.local.home import Home
from quorate.local.standby import join_as_standby
from real.machines import flags_of

pytestmark = pytest.mark.real


@pytest.fixture
def spared(home: Home, etcd36: str) -> Home:
    """Three voters and the standby s1."""
    cluster.up(home, 3, etcd36)
    join_as_standby(home, "s1", etcd36)
    return home


def test_the_commands_know_a_standby(spared: Home, cli: RunCli, tmp_path: Path) -> None:
    flags, folder = flags_of(spared), ["--dir", str(spared.layout.root)]

    def etcd(*words: str) -> str:
        done = cli("etcd", *words, *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for shown in (etcd("members"), etcd("status"), *(cli("local", verb, *folder).stdout for verb in ("members", "status"))):
        (row,) = [line for line in shown.splitlines() if " s1 " in line]
        assert "standby" in row and "learner" not in row, shown
    rows = {row["name"]: row for row in json.loads(etcd("members", "-o", "json"))["members"]}
    assert {name: row["isStandby"] for name, row in rows.items()} == {"m1": False, "m2": False, "m3": False, "s1": True}
    assert f"{rows['s1']['id']} is a standby of the autopilot" in etcd("unlock") and "nobody finishes" not in etcd("unlock")
    (row,) = json.loads(etcd("unlock", "-o", "json"))["learnersWithoutJoin"]
    assert row["isStandby"] is True
    for more in ([], ["--dry-run"]):
        refused = cli("etcd", "adopt", "s1", "s1", *more, *flags)
        assert refused.returncode == 4 and "s1 is a standby of the autopilot" in refused.stderr, refused
    assert "would promote s1, a standby of the autopilot, once" in etcd("promote", "s1", "--dry-run")
    planned = etcd("add", "m9", "--peer-urls=https://127.0.0.1:9", "--dry-run")
    assert "a standby of the autopilot" in planned and "unknown join" not in planned and "nobody finishes" not in planned


def test_changes_and_looks_name_a_standby(spared: Home, cli: RunCli) -> None:
    """`local up` called it a learner, and `etcd watch -o json` did not know."""
    flags, folder = flags_of(spared), ["--dir", str(spared.layout.root)]

    def marks(done: subprocess.CompletedProcess[str]) -> dict[str, bool]:
        assert done.returncode == 0, done.stderr
        return {row["name"]: row["isStandby"] for row in json.loads(done.stdout)["members"]}

    (row,) = [line for line in cli("local", "up", *folder).stdout.splitlines() if " s1 " in line]
    assert "standby" in row and "learner" not in row
    assert "s1 (standby): " in cli("etcd", "watch", "--count", "1", *flags).stdout
    known = {"m1": False, "m2": False, "m3": False, "s1": True}
    assert marks(cli("local", "up", *folder, "-o", "json")) == known
    assert marks(cli("etcd", "watch", "--count", "1", "-o", "json", *flags)) == known
    assert marks(cli("etcd", "add", "m9", *folder, "--dry-run", "-o", "json")) == known
    assert marks(cli("etcd", "move-leader", "m2", "-o", "json", *flags)) == known
    assert marks(cli("etcd", "remove", "m3", "--accept-reduced-tolerance", "--dry-run", "-o", "json", *flags)) == known


def test_who_gives_no_url_in_the_shell_of_a_local_cluster_is_led_there(spared: Home, cli: RunCli) -> None:
    lines = cli("local", "env", "--dir", str(spared.layout.root)).stdout.splitlines()
    shell = {name: value for name, _, value in (line.removeprefix("export ").partition("=") for line in lines)}
    for words, meant in (("add m4", "local join m4"), ("replace m1 m4", "etcd replace m1 m4")):
        done = cli("etcd", *words.split(), **shell)
        assert done.returncode == 3 and f"next: quorate {meant} --dir {spared.layout.root}    # " in done.stderr
    told = cli("autopilot", "status", **shell).stdout
    assert f"quorate autopilot run --dir {spared.layout.root}" in told, "the variables name the local cluster as well"
    done = cli("autopilot", "status", "--dir", str(spared.layout.root))
    assert f"to start one: quorate autopilot run --dir {spared.layout.root}" in done.stdout
    assert "--cacert=" in cli("autopilot", "status", *flags_of(spared)).stdout.splitlines()[0]


def test_a_plan_knows_a_standby(spared: Home, cli: RunCli, tmp_path: Path) -> None:
    flags, want = flags_of(spared), tmp_path / "want.yaml"
    present = json.loads(cli("etcd", "members", "-o", "json", *flags).stdout)

    def planned(*rows: dict[str, object]) -> tuple[int, str]:
        want.write_text(json.dumps({**present, "members": rows}))
        done = cli("etcd", "plan", "--want", str(want), *flags)
        return done.returncode, done.stdout + done.stderr

    rows = present["members"]
    voters, (standby,) = [row for row in rows if row["name"] != "s1"], [row for row in rows if row["name"] == "s1"]
    code, said = planned(*rows)
    assert code == 0 and "nothing to do" in said, said
    code, said = planned(*voters)
    assert code == 0 and f"remove s1 ({standby['id']}): a standby of the autopilot that is not wanted" in said, said
    code, said = planned(*voters, {**standby, "isLearner": False})
    assert code == 0 and f"promote s1 ({standby['id']}), a standby of the autopilot, once" in said and "join s1" not in said


def test_where_there_is_no_learner_no_mark_is_read(
    home: Home, etcd36: str, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quorate.etcd.cluster import Cluster

    cluster.up(home, 1, etcd36)

    def read(*_: object, **__: object) -> list[object]:
        raise AssertionError("read")

    with home.access() as access:
        target = Cluster(access, home.seeds())
        view = target.status()
        monkeypatch.setattr(kv, "get_prefix", read)
        assert target.with_standbys(view).standbys == frozenset()
