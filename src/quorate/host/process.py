"""Long-running processes by identity, not by pid alone: a pid that was reused is never signalled."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.deadline import Clock, Deadline, wait_until
from quorate.errors import HostError

_STOP_SECONDS = 15.0
_KILL_SECONDS = 10.0
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that existed once: its pid, and when the kernel started it (clock ticks after the boot `boot_id`)."""

    pid: int
    started: int
    boot_id: str


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Identity | None:
    """The identity of a running process; None when there is none, or all of it has ended."""
    started = _start_time(pid)
    return None if started is None else Identity(pid, started, boot_id())


def _start_time(pid: int) -> int | None:
    try:
        # The command name may hold blanks and parentheses: fields are counted behind its last ")".
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" and _threads(pid) <= 1 else int(fields[19])


def _threads(pid: int) -> int:
    """A process whose first thread is a zombie still holds its ports and files while another thread ends."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_running(identity: Identity) -> bool:
    return identity.boot_id == boot_id() and _start_time(identity.pid) == identity.started


def is_stopped(identity: Identity) -> bool:
    """Whether it exists but was paused by SIGSTOP."""
    try:
        state = Path(f"/proc/{identity.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return is_running(identity) and state == "T"


def find_by_arguments(wanted: Sequence[str]) -> Identity | None:
    """A running process that has exactly `wanted` among its arguments, side by side: one whose start was not recorded any
    more. Two of them, so that a command which only names the same directory is never taken for it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and _holds(arguments_of(int(entry.name)), list(wanted)):
            identity = identify(int(entry.name))
            if identity is not None:
                return identity
    return None


def _holds(arguments: list[str], wanted: list[str]) -> bool:
    return any(arguments[at : at + len(wanted)] == wanted for at in range(len(arguments)))


def arguments_of(pid: int) -> list[str]:
    """The command line of a process; empty when it cannot be read."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def send(identity: Identity, number: signal.Signals) -> bool:
    """Signal exactly that process; returns False when it is gone. A descriptor is held across the check, so the pid cannot
    pass to another process in between."""
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
    """SIGTERM, and SIGKILL after `seconds`; returns when the process is gone. Raises `DeadlineExceeded` when it stays."""
    # A paused process would not see SIGTERM.
    if send(identity, signal.SIGTERM) and is_stopped(identity):
        send(identity, signal.SIGCONT)
    if not _gone_within(identity, clock, seconds):
        kill(identity, clock)


def pause(identity: Identity, clock: Clock) -> None:
    """SIGSTOP; returns when no thread of it runs any more: the signal only asks, and on a busy machine a thread may go on for
    a while. Raises `DeadlineExceeded` when one stays."""
    send(identity, signal.SIGSTOP)
    deadline = Deadline(clock, _KILL_SECONDS, f"process {identity.pid} stops after SIGSTOP")
    wait_until(lambda: _all_halted(identity), clock=clock, deadline=deadline, every=_POLL_SECONDS)


def _all_halted(identity: Identity) -> bool:
    return not is_running(identity) or all(state in "TtZX" for state in _thread_states(identity.pid))


def _thread_states(pid: int) -> list[str]:
    found: list[str] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.append(thread.read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            # It has ended since.
            continue
    return found


def kill(identity: Identity, clock: Clock) -> None:
    """SIGKILL; returns when the process is gone, its ports and files with it. Raises `DeadlineExceeded` when it stays."""
    send(identity, signal.SIGKILL)
    deadline = Deadline(clock, _KILL_SECONDS, f"process {identity.pid} ends after SIGKILL")
    wait_until(lambda: not _alive(identity), clock=clock, deadline=deadline, every=_POLL_SECONDS)


def _gone_within(identity: Identity, clock: Clock, seconds: float) -> bool:
    deadline = Deadline(clock, seconds, "the process ends")
    while not deadline.expired:
        if not _alive(identity):
            return True
        clock.sleep(_POLL_SECONDS)
    return False


def _alive(identity: Identity) -> bool:
    _reap(identity.pid)
    return is_running(identity)


def _reap(pid: int) -> int | None:
    """Collect a child of ours that ended; returns its wait status. Processes of earlier runs are not our children."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if ended else None


def spawn(command: Sequence[str], *, output: Path, folder: Path, environment: Mapping[str, str]) -> Identity:
    """Start a process that outlives us: a session of its own, no terminal, no descriptors of ours, output to a file of
    mode 0600. Raises `HostError`."""
    try:
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostError(f"cannot open the log file {output}: {error.strerror}") from error
    try:
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
    # We never wait for it, and say so: it belongs to init when we are gone.
    child.returncode = 0
    return identify(child.pid) or Identity(child.pid, 0, boot_id())
