"""Which processes are ours: those of records that we wrote here, and never one that only looks like ours."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.host import proc, process, process_record
from quorate.host.daemon import Daemon
from quorate.member.process import process_of
from quorate.member.spec import EtcdSpec

CLOCK = SystemClock()
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces and changes users: needs root")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    folder = tmp_path / "here"
    folder.mkdir()
    made = Daemon(folder, folder / "process.json", folder / "output")
    yield made
    if made.record.exists():
        made.record.chmod(0o600)
        os.chown(made.record, os.geteuid(), -1)
    made.stop(CLOCK)


def content(daemon: Daemon) -> dict[str, object]:
    read: dict[str, object] = json.loads(daemon.record.read_text())
    return read


def rewrite(daemon: Daemon, **changed: object) -> None:
    daemon.record.write_text(json.dumps({**content(daemon), **changed}))


def forget_identity(daemon: Daemon) -> process.Identity:
    """Leave the record as it is when we are killed between the spawn and the second write; returns who runs."""
    identity = daemon.identity()
    assert identity is not None
    kept = {name: value for name, value in content(daemon).items() if name in ("intent", "folder")}
    daemon.record.write_text(json.dumps(kept))
    return identity


def test_a_process_is_recorded_found_again_and_forgotten(daemon: Daemon) -> None:
    assert daemon.state() == "absent" and daemon.identity() is None
    daemon.start(SLEEP, os.environ)
    identity = daemon.identity()
    assert identity is not None and daemon.state() == "running"
    assert identity.mount_ns == proc.mount_namespace(os.getpid()) and identity.executable == proc.file_id(Path(sys.executable))
    assert daemon.record.stat().st_mode & 0o777 == 0o600
    daemon.start(SLEEP, os.environ)
    assert daemon.identity() == identity, "it is not started twice"
    process.kill(identity, CLOCK)
    assert daemon.state() == "exited" and daemon.identity() is None
    daemon.stop(CLOCK)
    assert daemon.state() == "absent"


KILLED = """
import os, signal, sys
from pathlib import Path
from quorate.host import process_record
from quorate.host.daemon import Daemon
process_record.complete = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
folder = Path(sys.argv[1])
Daemon(folder, folder / "process.json", folder / "output").start(sys.argv[2:], os.environ)
"""


@pytest.mark.parametrize("script", [False, True], ids=["program", "script"])
def test_a_process_whose_identity_was_never_recorded_is_found_by_its_token(daemon: Daemon, script: bool) -> None:
    command = SLEEP
    if script:
        # As a wrapper around etcd: what it executes is not what was started.
        (daemon.folder / "etcd").write_text(f'#!/bin/sh\nexec {sys.executable} -c "import time; time.sleep(60)"\n')
        (daemon.folder / "etcd").chmod(0o755)
        command = [str(daemon.folder / "etcd")]
    done = subprocess.run([sys.executable, "-c", KILLED, str(daemon.folder), *command], check=False)
    assert done.returncode == -signal.SIGKILL and "pid" not in content(daemon)
    found = daemon.identity()
    assert found is not None and daemon.state() == "running"
    daemon.start(command, os.environ)
    assert daemon.identity() == found, "a second one is not started"
    daemon.stop(CLOCK)
    assert not process.is_running(found) and daemon.state() == "absent"


def test_nothing_is_recorded_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    absent = Daemon(tmp_path / "none", tmp_path / "none" / "process.json", tmp_path / "none" / "output")
    assert absent.state() == "absent" and absent.identity() is None
    absent.stop(CLOCK)


def test_a_run_killed_before_it_spawned_anything_left_nothing_that_runs(daemon: Daemon) -> None:
    process_record.begin(daemon.record, sys.executable, os.environ)
    assert daemon.state() == "absent" and daemon.identity() is None


def test_a_start_that_fails_leaves_no_record(daemon: Daemon) -> None:
    for command in (str(daemon.folder / "none"), str(daemon.folder)):
        with pytest.raises(HostError, match="cannot start"):
            daemon.start([command], os.environ)
        assert not daemon.record.exists()


def test_a_new_start_is_not_taken_for_the_one_that_ended(daemon: Daemon) -> None:
    """Killed between spawn and record for the second time: the first one's identity says nothing of the second."""
    daemon.start(["true"], os.environ)
    while daemon.state() != "exited":
        time.sleep(0.01)
    subprocess.run([sys.executable, "-c", KILLED, str(daemon.folder), *SLEEP], check=False)
    assert daemon.state() == "running"


def test_a_process_killed_into_existence_is_waited_for(daemon: Daemon) -> None:
    """Whoever spawned it was killed before `exec` was complete: it is a copy of that one, without a token, for a moment."""
    intent = process_record.begin(daemon.record, sys.executable, os.environ)
    script = "import os, sys, time; time.sleep(0.2); os.execve(sys.argv[1], sys.argv[1:], {sys.argv[-2]: sys.argv[-1]})"
    late = [sys.executable, "-c", script, *SLEEP, process_record.VARIABLE, intent.token]
    with subprocess.Popen(late, start_new_session=True) as running:
        try:
            found = daemon.identity()
            assert found is not None and found.pid == running.pid
        finally:
            running.kill()


# -- what is not ours --------------------------------------------------------------------------------------------------


@dataclass
class Stranger:
    """A process that another start made look like ours."""

    command: list[str]
    session: bool = True


CHROOT = "import os, sys, time; os.chroot(sys.argv[1]); print('there', flush=True); time.sleep(60)"
TOLD = "import time; print('there', flush=True); time.sleep(60)"
STRANGERS: dict[str, Callable[[Path], Stranger]] = {
    "mount namespace": lambda _: Stranger(["unshare", "-m", sys.executable, "-c", TOLD]),
    "root": lambda folder: Stranger([sys.executable, "-c", CHROOT, str(folder)]),
    "executable": lambda _: Stranger(["/bin/sh", "-c", "echo there; while :; do sleep 0.2; done"]),
    "user": lambda _: Stranger([sys.executable, "-c", f"import os; os.setuid(65534); {TOLD}"]),
    "child of ours": lambda _: Stranger([sys.executable, "-c", TOLD], session=False),
}


def run_stranger(stranger: Stranger, token: str) -> subprocess.Popen[str]:
    environment = {**os.environ, process_record.VARIABLE: token, "PYTHONDONTWRITEBYTECODE": "1"}
    running = subprocess.Popen(
        stranger.command,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=stranger.session,
    )
    assert running.stdout is not None and running.stdout.readline() == "there\n"
    return running


@as_root
@pytest.mark.parametrize("differs", STRANGERS)
def test_a_process_with_our_token_that_differs_is_not_ours(daemon: Daemon, tmp_path: Path, differs: str) -> None:
    intent = process_record.begin(daemon.record, sys.executable, os.environ)
    stranger = STRANGERS[differs](tmp_path)
    running = run_stranger(stranger, intent.token)
    try:
        assert f"{process_record.VARIABLE}={intent.token}".encode() in (proc.environment(running.pid) or b"").split(b"\0")
        assert daemon.identity() is None and daemon.state() == "absent"
        daemon.stop(CLOCK)
        assert running.poll() is None
    finally:
        running.kill()
        running.communicate()


def test_the_same_process_without_any_difference_is_ours(daemon: Daemon) -> None:
    """The other half of the tests above: nothing but the difference keeps those from being found."""
    intent = process_record.begin(daemon.record, sys.executable, os.environ)
    running = run_stranger(Stranger([sys.executable, "-c", TOLD]), intent.token)
    try:
        found = daemon.identity()
        assert found is not None and found.pid == running.pid
    finally:
        running.kill()
        running.communicate()


@as_root
@pytest.mark.parametrize("namespace", [["unshare", "-m"], []], ids=["container", "here"])
def test_an_etcd_of_somebody_else_at_our_path_is_neither_ours_nor_ended(tmp_path: Path, namespace: list[str]) -> None:
    """A container has its own /var/lib/etcd, and its etcd has the very arguments of ours."""
    spec = EtcdSpec("m9", Path(sys.executable), tmp_path / "data", "http://127.0.0.1:1", "http://127.0.0.1:2")
    command = [*namespace, sys.executable, "-c", TOLD, "--name=m9", f"--data-dir={spec.data_dir}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as foreign:
        try:
            assert foreign.stdout is not None and foreign.stdout.readline() == "there\n"
            ours = process_of(spec, CLOCK)
            ours.files.prepare()
            assert ours.process().state == "absent" and ours.daemon.identity() is None
            ours.stop()
            ours.wipe(None)
            assert foreign.poll() is None
        finally:
            foreign.kill()


@as_root
def test_the_same_pid_in_another_container_is_not_ours(daemon: Daemon) -> None:
    """Boot id, pid and start time are as recorded; the record lies on a volume of both containers."""
    with subprocess.Popen(["unshare", "-m", *SLEEP]) as foreign:
        try:
            while proc.executable(foreign.pid) != proc.file_id(Path(sys.executable)):
                time.sleep(0.01)
            theirs = process.identify(foreign.pid)
            assert theirs is not None and process.is_running(theirs)
            ours = replace(theirs, mount_ns=proc.mount_namespace(os.getpid()) or "")
            assert not process.is_running(ours)
            assert process.send(ours, signal.SIGKILL) is False and foreign.poll() is None
        finally:
            foreign.kill()


# -- which records are believed ----------------------------------------------------------------------------------------


def test_a_record_of_version_0_1_is_believed(daemon: Daemon) -> None:
    daemon.start(SLEEP, os.environ)
    found = content(daemon)
    daemon.record.write_text(json.dumps({name: found[name] for name in ("pid", "started", "boot_id")}))
    identity = daemon.identity()
    assert identity is not None and identity.pid == found["pid"] and daemon.state() == "running"


def test_a_copied_folder_owns_no_process(daemon: Daemon, tmp_path: Path) -> None:
    """`quorate local down --dir COPY` must not end the members of the original."""
    daemon.start(SLEEP, os.environ)
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(daemon.folder), str(copy)], check=True)
    copied = replace(daemon, folder=copy, record=copy / "process.json")
    for ask in (copied.identity, copied.state, lambda: copied.stop(CLOCK), lambda: copied.start(SLEEP, os.environ)):
        with pytest.raises(HostError, match="is of another directory, which this is a copy of, and its process"):
            ask()
    assert daemon.state() == "running"
    moved = tmp_path / "moved"
    daemon.folder.rename(moved)
    assert replace(daemon, folder=moved, record=moved / "process.json").state() == "running"
    moved.rename(daemon.folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "{}", '{"pid": 1}', '{"pid": "x"}', '{"pid": -1, "started": 1, "boot_id": "x"}',
     '{"intent": {"token": "x"}}', '{"intent": []}', '{"pid": 99999999999, "started": 1, "boot_id": "x"}', "\udcff"],
)  # fmt: skip
def test_a_record_that_cannot_be_read_does_not_mean_that_nothing_runs(daemon: Daemon, text: str) -> None:
    """A voter that hung counted as dead, and was removed without a watch; `local stop` said that it was stopped."""
    daemon.start(SLEEP, os.environ)
    good = daemon.record.read_text()
    daemon.record.write_bytes(text.encode(errors="surrogateescape"))
    for ask in (daemon.identity, daemon.state, lambda: daemon.stop(CLOCK), lambda: daemon.start(SLEEP, os.environ)):
        with pytest.raises(HostError, match="it is unknown whether the process of this directory runs"):
            ask()
    daemon.record.write_text(good)
    assert daemon.state() == "running"


@as_root
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_record_that_others_can_write_is_not_believed(daemon: Daemon, mode: int) -> None:
    daemon.start(SLEEP, os.environ)
    os.chown(daemon.record, -1, 65534)
    daemon.record.chmod(mode)
    for look in (daemon.identity, daemon.state, lambda: daemon.stop(CLOCK), lambda: daemon.start(SLEEP, os.environ)):
        with pytest.raises(HostError, match="is not trusted"):
            look()


@as_root
def test_root_does_not_believe_a_record_of_another_user(daemon: Daemon) -> None:
    daemon.start(SLEEP, os.environ)
    os.chown(daemon.record, 65534, -1)
    with pytest.raises(HostError, match="user 65534 owns it"):
        daemon.stop(CLOCK)


def test_a_symlink_is_no_record(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start(SLEEP, os.environ)
    elsewhere = tmp_path / "elsewhere"
    daemon.record.rename(elsewhere)
    daemon.record.symlink_to(elsewhere)
    with pytest.raises(HostError, match="symlink"):
        daemon.identity()
    daemon.record.unlink()
    elsewhere.rename(daemon.record)


@pytest.mark.parametrize("changed", [{"boot_id": "another"}, {"started": 1}, {"executable": "1:1"}, {"mount_ns": "mnt:[1]"}])
def test_a_record_of_another_process_names_none_that_runs(daemon: Daemon, changed: dict[str, object]) -> None:
    daemon.start(SLEEP, os.environ)
    kept = content(daemon)
    rewrite(daemon, **changed)
    assert daemon.state() == "exited" and daemon.identity() is None
    rewrite(daemon, **kept)
    assert daemon.state() == "running"


def test_a_token_of_an_earlier_boot_finds_nothing(daemon: Daemon) -> None:
    daemon.start(SLEEP, os.environ)
    kept = content(daemon)
    assert forget_identity(daemon) == daemon.identity()
    intent = kept["intent"]
    assert isinstance(intent, dict)
    rewrite(daemon, intent={**intent, "boot_id": "another"})
    assert daemon.identity() is None
    daemon.record.write_text(json.dumps(kept))


# -- /proc -------------------------------------------------------------------------------------------------------------


def test_everything_in_proc_may_have_vanished() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    seen = [proc.stat_fields, proc.age, proc.environment, proc.mount_namespace, proc.executable, proc.root, proc.real_uid]
    assert [look(gone.pid) for look in seen] == [None] * len(seen)
    assert proc.threads(gone.pid) == 0 and proc.thread_states(gone.pid) == []
    assert process.identify(gone.pid) is None


def test_a_zombie_does_not_run() -> None:
    with subprocess.Popen(["true"]) as ended:
        while (fields := proc.stat_fields(ended.pid)) is None or fields[0] != "Z":
            time.sleep(0.01)
        assert process.identify(ended.pid) is None


def test_running_out_of_files_is_not_an_absent_process(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.start(SLEEP, os.environ)

    def fail(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    unreadable = type("Unreadable", (), {"read_text": fail})()
    with monkeypatch.context() as patched:
        patched.setattr(proc, "Path", lambda _: unreadable)
        with pytest.raises(HostError, match="cannot read /proc"):
            daemon.state()
    assert daemon.state() == "running"
