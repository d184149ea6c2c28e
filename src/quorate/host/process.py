"""Long-running processes by identity, not by pid alone: a reused pid is never signalled."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.deadline import Clock, Deadline, poll, wait_until
from quorate.errors import HostError
from quorate.host import proc
from quorate.loggers import logger

_LOGGER = logger(__name__)
_STOP_SECONDS = 15.0
"""On SIGTERM, etcd transfers its leadership and closes its database; a slow disk needs seconds for that."""
_KILL_SECONDS = 10.0
"""The kernel ends a process at once, except one that waits for a disk that does not answer."""
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of one process: its pid, and when the kernel started it (clock ticks after the boot `boot_id`).

    `mount_ns` and `executable` (DEVICE:INODE) are empty when they may change while it runs, and in records of version 0.1.
    """

    pid: int
    started: int
    boot_id: str
    mount_ns: str = ""
    executable: str = ""


def boot_id() -> str:
    """Returns the kernel's id of the present boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Identity | None:
    """Returns the identity of a running process; None when there is none, or all its threads have ended."""
    started = _start_time(pid)
    if started is None:
        return None
    return Identity(pid, started, boot_id(), proc.mount_namespace(pid) or "", proc.executable(pid) or "")


def without_what_changes(identity: Identity) -> Identity:
    """Returns the identity of a script's process, without the parts that a script may change: `exec` replaces its executable,
    `exec ip netns exec` also its mount namespace. It remains the same process."""
    return replace(identity, mount_ns="", executable="")


def is_script(program: Path) -> bool:
    """Returns whether the kernel starts an interpreter for this file."""
    try:
        with program.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _start_time(pid: int) -> int | None:
    fields = proc.stat_fields(pid)
    if fields is None:
        return None
    # A process whose first thread is a zombie still holds its ports and files while another thread ends.
    return None if fields[0] in "ZX" and proc.threads(pid) <= 1 else int(fields[19])


def is_running(identity: Identity) -> bool:
    """Returns whether exactly this process runs.

    Two containers on one machine share the boot id, and both may have a process 7 that was started in the same hundredth of
    a second. When both mount the folder of a record, only the mount namespace distinguishes the two processes.
    """
    if identity.boot_id != boot_id() or _start_time(identity.pid) != identity.started:
        return False
    seen = (proc.mount_namespace(identity.pid), proc.executable(identity.pid))
    return all(
        not recorded or not now or recorded == now
        for recorded, now in zip((identity.mount_ns, identity.executable), seen, strict=True)
    )


def has_ended(identity: Identity) -> bool:
    """Returns True only where it is certain that exactly this process has ended: in this boot, by a pid of this namespace.
    Another user's process may be hidden in /proc (hidepid), but not from kill(2)."""
    if identity.boot_id != boot_id():
        return False
    try:
        os.kill(identity.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    fields = proc.stat_fields(identity.pid)
    return fields is not None and (int(fields[19]) != identity.started or _start_time(identity.pid) is None)


def is_stopped(identity: Identity) -> bool:
    """Returns whether the process exists but is paused by SIGSTOP."""
    fields = proc.stat_fields(identity.pid)
    return fields is not None and fields[0] == "T" and is_running(identity)


def send(identity: Identity, number: signal.Signals) -> bool:
    """Signals exactly this process; returns False when it is gone. The signal goes through a pidfd that is opened before the
    check, so it cannot reach a process that reused the pid."""
    try:
        fd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_running(identity):
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)


def stop(identity: Identity, clock: Clock, *, seconds: float = _STOP_SECONDS) -> None:
    """Sends SIGTERM, and SIGKILL after `seconds`; returns when the process is gone. Raises `DeadlineExceeded` if it stays."""
    # A paused process would not see SIGTERM.
    if send(identity, signal.SIGTERM) and is_stopped(identity):
        send(identity, signal.SIGCONT)
    if not _gone_within(identity, clock, seconds):
        kill(identity, clock)


def pause(identity: Identity, clock: Clock) -> None:
    """Sends SIGSTOP; returns when no thread runs any more. The signal is only a request: on a busy machine a thread may run on
    for a while. Raises `DeadlineExceeded` if one still runs after 10 s."""
    send(identity, signal.SIGSTOP)
    deadline = Deadline(clock, _KILL_SECONDS, f"process {identity.pid} stops after SIGSTOP")
    wait_until(lambda: _all_halted(identity), clock=clock, deadline=deadline, every=_POLL_SECONDS)


def _all_halted(identity: Identity) -> bool:
    return not is_running(identity) or all(state in "TtZX" for state in proc.thread_states(identity.pid))


def kill(identity: Identity, clock: Clock) -> None:
    """Sends SIGKILL; returns when the process has released its ports and files. Raises `DeadlineExceeded` if it stays."""
    send(identity, signal.SIGKILL)
    deadline = Deadline(clock, _KILL_SECONDS, f"process {identity.pid} ends after SIGKILL")
    wait_until(lambda: not _alive(identity), clock=clock, deadline=deadline, every=_POLL_SECONDS)


def _gone_within(identity: Identity, clock: Clock, seconds: float) -> bool:
    deadline = Deadline(clock, seconds, "the process ends")
    return poll(lambda: not _alive(identity) or None, clock, deadline, every=_POLL_SECONDS) is not None


def _alive(identity: Identity) -> bool:
    _reap(identity.pid)
    return is_running(identity)


def _reap(pid: int) -> int | None:
    """Reaps a child of ours that ended; returns its wait status, else None. Processes of earlier runs are not our children."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if ended else None


def spawn(command: Sequence[str], *, output: Path, folder: Path, environment: Mapping[str, str]) -> Identity:
    """Starts a process that outlives us: in a new session, without a terminal or our descriptors, with output to a file of mode
    0600. Raises `HostError`."""
    try:
        # O_NONBLOCK: opening a pipe in its place would wait for a reader for ever.
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise HostError(f"cannot open the log file {output}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise HostError(f"cannot open the log file {output}: it is not a regular file")
    try:
        os.set_blocking(fd, True)
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        raise HostError(f"cannot start {command[0]}: {error.strerror}") from error
    finally:
        os.close(fd)
    _LOGGER.info("started %s as process %d", command[0], child.pid, extra={"fields": {"program": command[0], "pid": child.pid}})
    # We never wait for the child: init reaps it after we exit. A return code keeps Popen from warning.
    child.returncode = 0
    identity = identify(child.pid) or Identity(child.pid, 0, boot_id())
    return without_what_changes(identity) if is_script(program_file(command[0], environment)) else identity


def program_file(program: str, environment: Mapping[str, str]) -> Path:
    """Returns the file that `spawn` starts for this program."""
    return Path(shutil.which(program, path=environment.get("PATH")) or program)
