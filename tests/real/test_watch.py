"""`etcd watch` on a real cluster: on terminals of several sizes, and in pipes."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
import yaml
from conftest import RunCli
from schemas import check
from screens import Terminal, terminal

from quorate.local import cluster
from quorate.local.home import Home
from real.machines import flags_of

pytestmark = pytest.mark.real


def shows(screen: Terminal, text: str) -> bool:
    return any(text in line for line in screen.lines)


def test_a_watch_follows_the_cluster_and_its_terminal(home: Home, etcd36: str) -> None:
    cluster.up(home, 3, etcd36)
    with terminal("etcd", "watch", "--interval", "200ms", *flags_of(home), columns=60, rows=12) as screen:
        screen.until(lambda: shows(screen, "1 more may fail") and shows(screen, "m3"))
        assert screen.is_alternate() and screen.colour("1 more") == "green" and shows(screen, "▁")
        cluster.kill(home, "m2")
        screen.until(lambda: shows(screen, "0 more may fail"))
        # The first look behind its end may find a connection that has just broken.
        screen.until(lambda: screen.colour("m2") == "red" and shows(screen, "m2: no answer"))
        screen.resize(40, 10)
        before = len(screen.raw)
        screen.until(lambda: len(screen.raw) > before and "cluster" in screen.lines[0] and len(screen.lines) <= 10)
        assert shows(screen, "0 more may fail") and all(shows(screen, name) for name in ("m1", "m2", "m3"))
        screen.press_ctrl_c()
        assert screen.end() == 130
    assert not screen.is_alternate() and b"rolled back" not in screen.raw and b"rolling back" not in screen.raw
    assert [line for line in screen.lines if line != "^C"] == []


def test_a_watch_that_ends_leaves_its_last_look(home: Home, etcd36: str) -> None:
    cluster.up(home, 1, etcd36)
    with terminal("etcd", "watch", "--count", "2", "--interval", "10ms", *flags_of(home)) as screen:
        assert screen.end() == 0
    assert not screen.is_alternate() and len(screen.lines) == 1 and "m1 leads, 0 more may fail" in screen.lines[0]
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for environment in (plain, {"LC_ALL": "POSIX"}):
        with terminal("etcd", "watch", "--count", "2", *flags_of(home), environment=environment) as screen:
            screen.until(partial(shows, screen, "LAG OVER TIME"))
            assert shows(screen, "  _") and screen.end() == 0 and screen.raw.isascii()
    with terminal("etcd", "watch", "--count", "1", *flags_of(home), environment={"TERM": "dumb"}) as screen:
        assert screen.end() == 0 and b"\x1b" not in screen.raw


def test_a_watch_in_a_pipe_ends_with_its_reader(home: Home, etcd36: str) -> None:
    """`etcd watch | head -1`, and the same of another command."""
    cluster.up(home, 1, etcd36)

    def into_head(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "quorate", "etcd", *arguments, *flags_of(home)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        process.stderr.close()
        return process.wait(30), told

    closed = subprocess.run(
        f"set -o pipefail; {sys.executable} -m quorate etcd status {' '.join(flags_of(home))} | exec true",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert into_head("watch", "--interval", "10ms") == (closed.returncode, closed.stderr)


def test_a_watch_as_yaml_is_a_stream_of_documents(home: Home, etcd36: str, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    done = cli("etcd", "watch", "--count", "3", "--interval", "10ms", "-o", "yaml", *flags_of(home))
    looks = list(yaml.safe_load_all(done.stdout))
    assert [check(look) for look in looks] == ["ClusterLook"] * 3 and done.returncode == 0


def test_a_watch_without_a_quorum_says_so_and_compares_with_nobody(home: Home, etcd36: str, cli: RunCli) -> None:
    """It said "0 behind" of a member without a leader, and drew one look in eight seconds."""
    cluster.up(home, 2, etcd36)
    cluster.kill(home, "m2")
    done = cli("etcd", "watch", "--count", "2", "--interval", "10ms", *flags_of(home))
    looks = [line for line in done.stdout.splitlines() if "no quorum" in line]
    assert done.returncode == 1 and looks
    assert "error: there is no quorum: 1 of 2 voters answer" in done.stderr
    assert f"start the members that are down (m2), then look again: quorate etcd {flags_of(home)[1]}" in done.stderr
    assert all("m1: no leader" in line and "m2: no answer" in line for line in looks if "no member leads" in line)
    assert any("no member leads" in line for line in looks)
