"""The log of a real join: what was decided, what was sent to whom, how it ended; and no secret of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli

from quorate.local.home import Home

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
