"""What shows a local cluster: its place in the list, its status without a quorum, its logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import RunCli
from schemas import checked
from screens import terminal

from quorate.local import cluster
from quorate.local.home import Home
from real.machines import flags_of

pytestmark = pytest.mark.real


def test_clusters_are_listed_until_they_are_deleted(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 2, etcd36)
    root = str(home.layout.root)

    def row() -> list[dict[str, object]]:
        done = cli("local", "list", "-o", "json")
        assert checked(done.stdout) == ["LocalClusterList"] and done.returncode == 0
        return [one for one in json.loads(done.stdout)["clusters"] if one["dir"] == root]

    cluster.kill(home, "m2")
    (shown,) = row()
    processes = shown["processes"]
    assert isinstance(processes, dict) and processes["m1"].startswith("running") and processes["m2"] == "stopped"
    (line,) = [line for line in cli("local", "ls").stdout.splitlines() if line.startswith(f"{root} ")]
    assert line.split()[1:] == ["m1,m2", "1"]
    saved = home.layout.state.read_bytes()
    home.layout.state.write_text("{}")
    (shown,) = row()
    assert "problem" in shown
    home.layout.state.write_bytes(saved)
    cluster.down(home, purge=True)
    assert row() == []


def test_a_status_without_a_quorum_is_a_failure(home: Home, etcd36: str, cli: RunCli) -> None:
    """As `etcd status`: a monitor reads the exit code."""
    cluster.up(home, 2, etcd36)
    folder = f"--dir={home.layout.root}"
    assert cli("local", "status", folder).returncode == 0
    cluster.kill(home, "m2")
    done = cli("local", "status", folder)
    assert done.returncode == 1 and "no quorum" in done.stdout
    assert cli("local", "status", folder, "-o", "json").returncode == 1


def test_what_is_pending_is_not_known_without_a_quorum(home: Home, etcd36: str, cli: RunCli) -> None:
    """It said "no answer in time", after the longest wait of all commands."""
    cluster.up(home, 2, etcd36)
    cluster.kill(home, "m2")
    pki, seed = home.layout.pki, home.seeds()[0]
    flags = [f"--endpoints={seed}", f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt"]
    flags.append(f"--key={pki}/healthcheck-client.key")
    for words in (["unlock"], ["unlock", "m2"], ["adopt", "m2", "m2"]):
        done = cli("etcd", *words, *flags)
        assert done.returncode == 4 and "there is no quorum: 1 of 2 voters answer" in done.stderr
        assert "still waiting" in done.stderr
    assert "still waiting, 2 s: " in cli("etcd", "members", *flags).stderr


def test_a_local_cluster_is_named_where_nothing_answers(home: Home, etcd36: str, cli: RunCli) -> None:
    """Who forgot `eval "$(quorate local env)"` was told to check the endpoint."""
    own = f'eval "$(quorate local env --dir {home.layout.root})"'
    listing = "quorate local list    # local clusters run"
    assert own not in cli("etcd", "members").stderr
    cluster.up(home, 1, etcd36)
    for words in (["members"], ["status"], ["member", "list"], ["remove", "m1"]):
        done = cli("etcd", *words)
        assert done.returncode == 1 and (own in done.stderr or listing in done.stderr)
    for named in ({"ETCDCTL_ENDPOINTS": "127.0.0.1:1"}, {"ETCDCTL_CACERT": str(home.layout.pki / "ca.crt")}):
        said = cli("etcd", "members", **named).stderr
        assert own not in said and listing not in said
    cluster.kill(home, "m1")
    assert own not in cli("etcd", "members").stderr


def test_a_list_that_is_not_agreed_on_says_so_in_every_format(home: Home, etcd36: str, cli: RunCli, tmp_path: Path) -> None:
    """The documents could not be told from the list of a whole cluster, and the exit code was 0."""
    cluster.up(home, 2, etcd36)
    flags, want = flags_of(home), tmp_path / "want.yaml"
    listed = cli("etcd", "members", *flags, "-o", "json")
    assert listed.returncode == 0 and json.loads(listed.stdout)["linearizable"] is True
    cluster.kill(home, "m2")
    for words in (["etcd", "members", *flags], ["local", "members", f"--dir={home.layout.root}"]):
        for form in ("table", "simple", "json", "yaml"):
            done = cli(*words, "-o", form)
            assert done.returncode == 1 and done.stderr.count("one member's own copy") == 1
            assert "m2" in done.stdout and ("linearizable" in done.stdout) is (form in ("json", "yaml"))
    want.write_text(done.stdout)
    assert "linearizable: false" in done.stdout
    for words in (["plan", f"--want={want}"], ["plan", f"--want={want}", "--apply"]):
        done = cli("etcd", *words, *flags)
        assert done.returncode == 3 and "one member's own copy" in done.stderr
    for words in (["promote", "m1"], ["promote", "m1", "--dry-run"]):
        done = cli("etcd", *words, *flags)
        assert done.returncode == 4 and "there is no quorum" in done.stderr


def test_logs_of_all_members_are_followed(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 2, etcd36)
    folder = f"--dir={home.layout.root}"
    last = cli("local", "logs", "-n", "2", folder).stdout.splitlines()
    assert [line.split()[0] for line in last] == ["m1", "m1", "m2", "m2"]
    assert last[0].removeprefix("m1  ") in (home.layout.member("m1").log).read_text()
    assert cli("local", "logs", "m9", folder).returncode == 3
    with terminal("local", "logs", "--follow", "-n", "1", folder, columns=300, rows=60) as screen:
        screen.until(lambda: any(line.startswith("m2  ") for line in screen.lines))
        with home.layout.member("m2").log.open("a") as log:
            log.write("a line of this test\n")
        screen.until(lambda: any("m2  a line of this test" in line for line in screen.lines))
        screen.press_ctrl_c()
        assert screen.end() == 130
    assert b"rolling back" not in screen.raw
