"""The log of a real join: what was decided, what was sent to whom, how it ended; and no secret of it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli

from quorate.local import cluster
from quorate.local.home import Home
from real.machines import flags_of

pytestmark = pytest.mark.real


def test_the_log_of_a_join_tells_it_in_order(home: Home, etcd36: str, cli: RunCli, tmp_path: Path) -> None:
    log = tmp_path / "log"
    logged = (f"--log-file={log}", "--log-format=json", "-q")
    done = cli("local", "up", "--members=2", f"--dir={home.layout.root}", f"--etcd={etcd36}", *logged)
    assert done.returncode == 0 and done.stderr == ""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    by: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by.setdefault(line["logger"].removeprefix("quorate."), []).append(line)
    assert [line["message"] for line in by["etcd.membership.executor"]] == [
        "intent: add-learner",
        "outcome: add-learner applied",
        "intent: promote",
        "outcome: promote applied",
    ]
    decided = [line["message"] for line in by["etcd.membership.engine"] if line["fields"]["decision"] == "do"]
    assert decided[0] == "decided: AddLearner m2" and "decided: Promote m2" in decided
    calls = [line["fields"] for line in by["etcd.client.channel"]]
    assert {"Status", "MemberList", "MemberAdd", "MemberPromote"} <= {call["method"] for call in calls}
    assert all(set(call) == {"method", "endpoint", "seconds", "code"} for call in calls)
    started = [line["fields"]["program"] for line in by["host.process"]]
    assert started == [etcd36, etcd36]
    assert "waited" in by["deadline"][0]["message"]
    assert any(line["fields"].get("phase") == "promote" for line in by["cli.common.progress"])


def test_a_refused_removal_and_a_moved_leader_are_decisions_too(home: Home, etcd36: str, cli: RunCli, tmp_path: Path) -> None:
    """At level info the log had no line of them: they are judged before the first round of the engine."""
    cluster.up(home, 3, etcd36)
    log = tmp_path / "log"
    logged = (*flags_of(home), f"--log-file={log}", "--log-format=json", "-q")
    follower = next(row.name for row in home.look().voters if row != home.look().leader)
    assert cli("etcd", "remove", "m3", *logged).returncode == 4
    assert cli("etcd", "move-leader", follower, *logged).returncode == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    decided = [line for line in lines if line["logger"] == "quorate.etcd.membership.engine" and line["level"] == "info"]
    assert [line["fields"]["decision"] for line in decided] == ["refuse", "do"]
    assert decided[0]["message"].startswith("decided to refuse: 0 voters could fail then")
    assert "MoveLeader" in decided[1]["message"]


def test_an_add_that_took_too_long_names_the_option(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{held.getsockname()[1]}"
        done = cli("etcd", "add", "m9", f"--peer-urls={url}", "--timeout=1s", *flags_of(home))
    assert done.returncode == 1 and "with a longer --timeout" in done.stderr
    # What each of the last ten seconds left was a line of its own.
    assert done.stderr.count(" s left") <= 1
