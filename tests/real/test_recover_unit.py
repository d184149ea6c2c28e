"""A member whose etcd is a service of a real systemd: held while its data is recovered or fenced, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BIN, kill_everything

from quorate.local import cluster
from quorate.local.home import Home
from real.rows.processes import until
from real.systemd_lab import Lab, systemd_lab
from real.test_runtimes import Host

pytestmark = pytest.mark.real
UNIT = "etcd-m9"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with systemd_lab(f"quorate-unit-{os.getpid()}") as running:
        yield running


@pytest.fixture
def host(home: Home, lab: Lab, tmp_path: Path, etcd36: str) -> Host:
    """The survivor: the second of two members, as a service; the first is lost."""
    cluster.up(home, 1, etcd36)
    new = Host(home, tmp_path / "host", etcd36)
    done = lab.quorate(*new.arguments("systemd"), f"--unit={UNIT}")
    assert done.returncode == 0, done.stderr
    put(home, "before", "kept")
    kill_everything(home)
    return new


def put(home: Home, key: str, value: str) -> None:
    from quorate.etcd.client import kv

    with home.access() as access:
        kv.put(access.channel(home.seeds()[0]), key.encode(), value.encode(), timeout=10)


def words_of(host: Host, *more: str) -> list[str]:
    programs = ("--etcd", host.etcd, "--etcdutl", str(BIN / "etcdutl"))
    return ["etcd", "recover", str(host.data), "--gone", "m1", *programs, "-o", "json", *more]


def served(host: Host, key: str) -> str:
    """Asks the survivor's etcd alone."""
    pki = host.home.layout.pki
    flags = (f"--cacert={pki / 'ca.crt'}", f"--cert={host.folder / 'server.crt'}", f"--key={host.folder / 'server.key'}")
    etcdctl = [str(BIN / "etcdctl"), f"--endpoints=https://127.0.0.1:{host.client_port}", *flags]
    done = subprocess.run([*etcdctl, "get", key, "--print-value-only"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def drop_in(lab: Lab) -> Path:
    return lab.units / f"{UNIT}.service.d" / "quorate-held.conf"


def pid_of(lab: Lab) -> str:
    return lab.property(UNIT, "MainPID")


def test_a_service_is_held_and_started_on_what_was_recovered(host: Host, lab: Lab) -> None:
    pid = pid_of(lab)
    for words, why in (
        (words_of(host), f"add --unit {UNIT} to this command"),
        (words_of(host, "--unit", "nobody"), "knows no service nobody.service"),
        ([one for one in words_of(host, "--unit", UNIT) if one not in ("--gone", "m1")], "nothing is known of m1"),
    ):
        refused = lab.quorate(*words)
        assert refused.returncode in (2, 4) and why in refused.stderr, refused.stderr
        assert "nothing was changed" in refused.stderr
    (lab.units / "other.service").write_text("[Service]\nExecStart=/bin/sleep 1000\n")
    lab.run("systemctl", "start", "other")
    refused = lab.quorate(*words_of(host, "--unit", "other"))
    assert refused.returncode == 4 and "is not one of other.service" in refused.stderr, refused.stderr
    planned = lab.quorate(*words_of(host, "--unit", UNIT, "--dry-run"))
    assert planned.returncode == 0, planned.stderr
    assert pid_of(lab) == pid and not drop_in(lab).exists(), "until here nothing was changed"

    done = lab.quorate(*words_of(host, "--unit", UNIT))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unit"] == f"{UNIT}.service" and not drop_in(lab).parent.exists()
    until(lambda: served(host, "before") == "kept", 30, "the service serves what was recovered")
    assert lab.property("other", "ActiveState") == "active" and lab.property(UNIT, "UnitFileState") == "enabled"


def test_a_run_that_is_killed_leaves_it_held_and_is_resumed(host: Host, lab: Lab) -> None:
    run = subprocess.Popen(
        [*lab.enter, sys.executable, "-m", "quorate", *words_of(host, "--unit", UNIT)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until(lambda: list(host.folder.glob("data.quorate-kept-*")) or run.poll() is not None, 60)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert drop_in(lab).exists() and pid_of(lab) == "0"
    lab.run("systemctl", "start", UNIT)
    assert pid_of(lab) == "0" and not host.data.exists(), "nothing starts on what is half made"
    done = lab.quorate("etcd", "recovery", "resume", str(host.data), *words_of(host)[5:])
    assert done.returncode == 0, done.stderr
    until(lambda: served(host, "before") == "kept", 30, "the service serves what was recovered")
    assert not drop_in(lab).exists()


def test_a_fence_holds_the_service_until_it_is_lifted(host: Host, lab: Lab) -> None:
    done = lab.quorate("etcd", "fence", str(host.data), "--unit", UNIT, "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["unit"] == f"{UNIT}.service", done.stderr
    lab.run("systemctl", "start", UNIT)
    assert pid_of(lab) == "0" and drop_in(lab).exists()
    back = lab.quorate("etcd", "unfence", str(host.data), "--not-recovered")
    assert back.returncode == 0 and f"{UNIT}.service starts again" in back.stdout, back.stderr
    assert not drop_in(lab).exists()
    until(lambda: pid_of(lab) != "0", 20, "the old member runs again")
