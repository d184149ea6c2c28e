"""`etcd add --runtime`: the new member's etcd on this host, as a process and as a unit of a real systemd, and its undo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import RunCli

from quorate.deadline import SystemClock
from quorate.host import ports, process
from quorate.local import cluster
from quorate.local.home import Home
from quorate.member.process import process_of
from quorate.member.spec import EtcdSpec
from quorate.pki import etcd as pki
from quorate.pki.certificates import LeafSpec, Pair, make_ca, make_leaf
from quorate.pki.store import read_pair, write_pair
from real.machines import flags_of
from real.systemd_lab import Lab, systemd_lab

pytestmark = pytest.mark.real


class Host:
    """What a new host needs: ports, certificates of the cluster's CA, a folder."""

    def __init__(self, home: Home, folder: Path, etcd: str, name: str = "m9") -> None:
        self.home, self.folder, self.etcd, self.name = home, folder, etcd, name
        folder.mkdir()
        self.data = folder / "data"
        self.peer_port, self.client_port = ports.reserve(2, home.layout.lock)
        self.make_certificates()

    def make_certificates(
        self,
        names: tuple[str, ...] = (),
        usages: tuple[str, ...] = ("server", "client"),
        validity: timedelta = timedelta(days=1),
    ) -> None:
        ca = read_pair(self.home.layout.pki / "ca")
        for base in ("server", "peer"):
            spec = LeafSpec(self.name, usages, names or pki.node_names(self.name, ()), validity=validity, kind="ECDSA-P256")  # type: ignore[arg-type]
            write_pair(self.folder / base, make_leaf(spec, ca, now=datetime.now(UTC)))

    def arguments(self, runtime: str) -> list[str]:
        folder, seats = self.folder, self.home.load().max_learners
        return [
            "etcd", "add", self.name, f"--runtime={runtime}", f"--peer-urls=https://127.0.0.1:{self.peer_port}",
            f"--client-urls=https://127.0.0.1:{self.client_port}", f"--data-dir={self.data}", f"--etcd={self.etcd}",
            f"--cert-file={folder}/server.crt", f"--key-file={folder}/server.key",
            f"--peer-cert-file={folder}/peer.crt", f"--peer-key-file={folder}/peer.key",
            *([f"--etcd-arg=max-learners={seats}"] if seats > 1 else []), "--timeout=15", "-o", "json",
            *flags_of(self.home),
        ]  # fmt: skip

    def end_process(self) -> None:
        spec = EtcdSpec(self.name, Path(self.etcd), self.data, "", "")
        identity = process_of(spec, SystemClock()).daemon.identity()
        if identity is not None:
            process.kill(identity, SystemClock())


@pytest.fixture
def host(home: Home, tmp_path: Path, etcd36: str) -> Iterator[Host]:
    cluster.up(home, 1, etcd36)
    new = Host(home, tmp_path / "host", etcd36)
    yield new
    new.end_process()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with systemd_lab(f"quorate-{os.getpid()}") as running:
        yield running


def members(home: Home) -> dict[str, bool]:
    return {member.name: member.is_learner for member in home.look().members}


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    shown: dict[str, dict[str, str]] = json.loads(done.stderr.splitlines()[-1])
    return shown["error"]


# -- a plain process ---------------------------------------------------------------------------------------------------


def test_a_process_on_this_host_joins_and_outlives_the_command(host: Host, cli: RunCli) -> None:
    done = cli(*host.arguments("process"))
    assert done.returncode == 0, done.stderr
    assert "listening for the voters" in done.stderr
    assert members(host.home) == {"m1": False, "m9": False}
    assert (host.folder / "data.quorate" / "output.log").stat().st_mode & 0o777 == 0o600
    again = cli(*host.arguments("process"))
    assert again.returncode == 0, again.stderr


def test_what_is_wrong_with_the_host_is_said_before_the_first_change(host: Host, cli: RunCli) -> None:
    host.data.mkdir()
    (host.data / "something").touch()
    done = cli(*host.arguments("process"), "--dry-run")
    assert done.returncode == 2
    assert [one["name"] for one in json.loads(done.stdout)["findings"] if one["level"] == "error"] == ["data-dir"]
    refused = cli(*host.arguments("process"))
    assert refused.returncode == 2 and error_of(refused)["state"] == "nothing was changed"
    assert members(host.home) == {"m1": False} and (host.data / "something").exists()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda host: host.make_certificates(names=("elsewhere",)), "lacks the subject alternative name 127.0.0.1"),
        (lambda host: host.make_certificates(usages=("server",)), "may not be used as a client certificate"),
        (lambda host: (host.folder / "peer.key").write_bytes((host.folder / "server.key").read_bytes()), "does not belong to"),
        (lambda host: write_pair(host.folder / "peer", _foreign()), "not signed by the CA"),
        (lambda host: (host.folder / "peer.crt").unlink(), "cannot read"),
        (lambda host: host.make_certificates(validity=timedelta(minutes=-1)), "expired at"),
    ],
    ids=["name", "usage", "key", "ca", "missing", "expired"],
)
def test_certificates_that_would_not_do(host: Host, cli: RunCli, spoil: Callable[[Host], object], why: str) -> None:
    spoil(host)
    done = cli(*host.arguments("process"))
    assert done.returncode in (2, 3) and why in error_of(done)["message"]
    assert members(host.home) == {"m1": False} and not host.data.exists()


def _foreign() -> Pair:
    now = datetime.now(UTC)
    spec = LeafSpec("m9", ("server", "client"), ("127.0.0.1",), kind="ECDSA-P256")
    return make_leaf(spec, make_ca("other", now=now, kind="ECDSA-P256"), now=now)


def test_an_older_etcd_and_a_taken_port_are_refused(host: Host, cli: RunCli) -> None:
    older = host.etcd.replace("etcd-3.6", "etcd-3.5")
    done = cli(*[argument.replace(host.etcd, older) for argument in host.arguments("process")])
    assert done.returncode == 2 and "cannot join a cluster of etcd 3.6" in error_of(done)["message"]
    peer = str(host.home.load().members[0].peer_port)
    taken = [argument.replace(str(host.client_port), peer) for argument in host.arguments("process")]
    assert "cannot listen on" in error_of(cli(*taken))["message"]


def test_voters_that_cannot_dial_in_are_noticed_before_etcd_starts(host: Host, cli: RunCli) -> None:
    """A peer URL that leads somewhere else: nobody ever arrives here, and the learner is taken off again."""
    spec = EtcdSpec("m9", Path(host.etcd), host.data, f"http://127.0.0.1:{host.peer_port}", "http://127.0.0.1:1")
    from quorate.errors import HostError
    from quorate.member.inbound_probe import expect_voters

    with pytest.raises(HostError, match="no voter reached"):
        expect_voters(spec, ["https://127.0.0.1:1"], seconds=0.3)
    # The voter's certificate is of another CA than the one this host trusts: it dials, and is not let in.
    foreign = make_ca("other", now=datetime.now(UTC), kind="ECDSA-P256")
    write_pair(host.folder / "otherca", foreign)
    arguments = [*host.arguments("process"), f"--peer-trusted-ca-file={host.folder}/otherca.crt"]
    done = cli(*arguments)
    assert done.returncode == 2, "the check of the certificates says it first"
    assert members(host.home) == {"m1": False}


@pytest.mark.parametrize("setting", ["wal-dir", "data-dir", "config-file"])
def test_a_log_or_data_elsewhere_is_refused_before_the_join(host: Host, cli: RunCli, setting: str) -> None:
    """Its undo waited for 20 s, and then left the learner listed and running: nothing showed whose data it was."""
    for more in ([], ["--dry-run"]):
        done = cli(*host.arguments("process"), f"--etcd-arg={setting}={host.folder}/elsewhere", *more)
        error = error_of(done)
        assert done.returncode == 2 and f"with --{setting} its log or its data would be elsewhere" in error["message"]
        assert members(host.home) == {"m1": False} and not host.data.exists()


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [("/", 3, "is the root of the file system"), ("n" * 246, 3, "has 246 bytes, and may have 241"), ("n" * 241, 0, "")],
)
def test_a_place_that_cannot_hold_a_member_is_refused_as_what_it_is(
    host: Host, cli: RunCli, name: str, code: int, why: str
) -> None:
    """It was a ValueError of pathlib, and "choose a directory that you can write to"."""
    host.data = host.folder / name
    for more in (["--dry-run"], []):
        done = cli(*host.arguments("process"), *more)
        assert done.returncode == code, done.stderr
        if code:
            error = error_of(done)
            assert why in error["message"] and error["state"] == "nothing was changed"
    if code:
        host.data = host.folder / "data"


def test_a_read_only_file_system_is_named_before_anything_is_tried(host: Host, cli: RunCli, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(disk)], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    host.data = disk / "etcd/data"
    try:
        for more in (["--dry-run"], []):
            done = cli(*host.arguments("process"), *more)
            error = error_of(done)
            assert done.returncode == 2 and "mounted read-only" in error["message"]
            assert error["state"] == "nothing was changed"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_start_that_fails_is_undone_on_this_host_too(host: Host, cli: RunCli) -> None:
    done = cli(*host.arguments("process"), "--etcd-arg=no-such-setting=1")
    assert done.returncode == 1
    assert "rolled back" in error_of(done)["state"] and "flag provided but not defined" in error_of(done)["message"]
    assert members(host.home) == {"m1": False}
    assert not host.data.exists() and not (host.folder / "data.quorate").exists()


@pytest.mark.parametrize(("at", "etcd_too"), [(" start ", False), (" catch-up ", True)], ids=["alone", "with its etcd"])
def test_a_killed_join_is_continued_on_this_host(host: Host, cli: RunCli, at: str, etcd_too: bool) -> None:
    """An etcd that ended before this run, as one that found no network, is started once more."""
    command = subprocess.Popen(
        [sys.executable, "-m", "quorate", *host.arguments("process")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert command.stderr is not None
    for line in command.stderr:
        if at in line:
            break
    command.send_signal(signal.SIGKILL)
    command.communicate()
    if etcd_too:
        os.kill(json.loads((host.folder / "data.quorate" / "process.json").read_text())["pid"], signal.SIGKILL)
    done = cli(*host.arguments("process"))
    assert done.returncode == 0, done.stderr
    assert members(host.home) == {"m1": False, "m9": False}


# -- systemd -----------------------------------------------------------------------------------------------------------


def test_a_unit_of_a_real_systemd_joins(host: Host, lab: Lab) -> None:
    done = lab.quorate(*host.arguments("systemd"), "--unit=etcd-m9")
    assert done.returncode == 0, done.stderr
    assert members(host.home) == {"m1": False, "m9": False}
    assert lab.property("etcd-m9", "ActiveState") == "active"
    assert lab.property("etcd-m9", "UnitFileState") == "enabled"
    assert (host.folder / "data.quorate" / "etcd.env").stat().st_mode & 0o777 == 0o600
    lab.run("systemctl", "kill", "--signal=KILL", "etcd-m9")
    again = lab.quorate(*host.arguments("systemd"), "--unit=etcd-m9")
    assert again.returncode == 0, again.stderr


def test_a_unit_that_cannot_start_leaves_nothing_behind(host: Host, lab: Lab) -> None:
    done = lab.quorate(*host.arguments("systemd"), "--unit=etcd-m9", "--etcd-arg=max-learners=x")
    assert done.returncode == 1, done.stdout
    assert "rolled back" in error_of(done)["state"]
    assert members(host.home) == {"m1": False}
    assert not host.data.exists() and not (host.folder / "data.quorate").exists()
    assert list(lab.units.glob("**/etcd-m9*")) == []
    assert lab.property("etcd-m9", "LoadState") == "not-found"


def test_a_unit_of_somebody_else_is_left_alone(host: Host, lab: Lab) -> None:
    foreign = lab.units / "etcd.service"
    foreign.write_text("[Service]\nExecStart=/bin/sleep 1000\n")
    done = lab.quorate(*host.arguments("systemd"))
    assert done.returncode == 2 and "was not written for this member" in error_of(done)["message"]
    assert foreign.read_text() == "[Service]\nExecStart=/bin/sleep 1000\n"
    assert members(host.home) == {"m1": False}


def test_a_machine_without_systemd_says_so(host: Host, cli: RunCli) -> None:
    done = cli(*host.arguments("systemd"))
    assert done.returncode == 1 and "systemd does not run on this machine" in error_of(done)["message"]
    assert members(host.home) == {"m1": False}
