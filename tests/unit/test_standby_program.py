"""The operator's program that makes standbys: what it is told, when it is asked again, and how it is ended."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from quorate.deadline import Deadline, SystemClock, wait_until
from quorate.errors import ConfigError, HostError
from quorate.host import proc
from quorate.host.standby_program import StandbyProgram


class Clock(SystemClock):
    """The system's clock, moved on by hand."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


def program(folder: Path, text: str) -> Path:
    path = folder / "new-standby"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def ended(made: StandbyProgram) -> None:
    assert made._running is not None and made._running.ended_within(10)


def test_it_gets_words_and_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCDCTL_PASSWORD", "hunter2")
    made = StandbyProgram(program(tmp_path, f"env > {tmp_path}/env; echo hello"), Clock())
    assert made.state(is_missing=True) == "ready"
    made.start({"QUORATE_WHY": "0 of 1 standbys\nare there"})
    ended(made)
    assert made.state(is_missing=True) == "at work", "its work is seen by the next looks"
    said = (tmp_path / "env").read_text()
    assert "QUORATE_WHY=0 of 1" in said and "hunter2" not in said


def test_a_failure_is_followed_by_a_pause_that_grows(tmp_path: Path) -> None:
    clock = Clock()
    made = StandbyProgram(program(tmp_path, "exit 3"), clock)
    pauses = []
    for _ in range(4):
        made.start({})
        ended(made)
        assert made.state(is_missing=True) == "failed"
        began = clock.ahead
        while made.state(is_missing=True) == "failed":
            clock.ahead += 60
        pauses.append(clock.ahead - began)
    assert pauses == [300, 600, 1200, 2400]


def test_after_a_success_the_next_looks_see_what_it_made(tmp_path: Path) -> None:
    clock = Clock()
    made = StandbyProgram(program(tmp_path, "exit 0"), clock)
    made.start({})
    ended(made)
    assert made.state(is_missing=True) == "at work"
    clock.ahead += 61
    assert made.state(is_missing=False) == "ready"


def test_one_that_ends_well_and_makes_nothing_has_failed(tmp_path: Path) -> None:
    """It ordered a machine, and was started once a minute as long as that was not there."""
    clock = Clock()
    made = StandbyProgram(program(tmp_path, "exit 0"), clock)
    made.start({})
    ended(made)
    assert made.state(is_missing=True) == "at work"
    clock.ahead += 61
    assert made.state(is_missing=True) == "failed" and made.why == "it ended with 0, and no standby came within 60 s"
    clock.ahead += 301
    assert made.state(is_missing=True) == "ready"


def test_one_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    clock = Clock()
    script = f"trap '' TERM; sleep 300 & echo $! > {tmp_path}/child; wait"
    made = StandbyProgram(program(tmp_path, script), clock, seconds=5)
    made.start({})
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
        time.sleep(0.01)
    child = int((tmp_path / "child").read_text())
    clock.ahead += 6
    assert made.state(is_missing=True) == "at work"
    clock.ahead += 11
    assert made.state(is_missing=True) == "at work"
    ended(made)
    assert made.state(is_missing=True) == "failed"
    # A process that is killed ends when the kernel gets to it.
    real = SystemClock()
    wait_until(lambda: _has_ended(child), clock=real, deadline=Deadline(real, 10, "the child's end"), every=0.01)


def _has_ended(pid: int) -> bool:
    fields = proc.stat_fields(pid)
    return fields is None or fields[0] in "ZX"


def test_it_ends_with_the_daemon(tmp_path: Path) -> None:
    script = f"trap 'echo undone > {tmp_path}/undone; exit 1' TERM; touch {tmp_path}/up; while :; do sleep 0.1; done"
    made = StandbyProgram(program(tmp_path, script), Clock())
    made.start({})
    while not (tmp_path / "up").exists():
        time.sleep(0.01)
    made.end()
    assert (tmp_path / "undone").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_that_another_user_may_change_is_not_run(tmp_path: Path) -> None:
    path = program(tmp_path, f"touch {tmp_path}/ran")
    made = StandbyProgram(path, Clock())
    os.chown(path, 65534, 65534)
    with pytest.raises(HostError, match="is not run"):
        made.start({})
    with pytest.raises(HostError, match="is not run"):
        StandbyProgram(path, Clock())
    assert not (tmp_path / "ran").exists()


def test_what_is_no_program_is_refused_at_the_start(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("x")
    for path in (plain, tmp_path / "missing", tmp_path, Path("relative")):
        with pytest.raises(ConfigError, match="no program that can be run"):
            StandbyProgram(path, Clock())
