"""Runs other programs to their end, with a time limit, a short environment and bounded output.

A umount of a dead server and a systemctl without a bus wait for ever, in a state that not even SIGKILL ends. We do not wait
for them: after the limit, or when a stop is requested, we kill the program and leave it to the kernel.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from quorate.deadline import Cancel
from quorate.errors import HostError
from quorate.host.environment import for_programs
from quorate.loggers import logger

_LOGGER = logger(__name__)
_SLICE_SECONDS = 0.1
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Finished:
    """The exit code of a program, and the first megabyte of each output."""

    code: int
    out: str
    err: str


def run_visibly(command: Sequence[str], environment: Mapping[str, str], *, seconds: float, cancel: Cancel) -> int:
    """Runs a program of the user, with its output on our stderr. Returns the exit code. Raises as `run`."""
    try:
        child = subprocess.Popen(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=2)
    except (OSError, ValueError) as error:
        raise HostError(f"cannot run {command[0]}: {getattr(error, 'strerror', '') or error}") from error
    # The words of the user's own command may hold a secret.
    return _logged(command[:1], _ended(child, seconds, cancel, command[0]))


@dataclass(frozen=True, slots=True)
class Running:
    """A program that runs beside us, in a process group of its own: what it starts is signalled with it."""

    child: subprocess.Popen[bytes]

    @property
    def code(self) -> int | None:
        """Returns its exit code; None while it runs."""
        return self.child.poll()

    def signal(self, number: signal.Signals) -> None:
        """Signals the group, while the program itself has not ended: afterwards the number may be another group's."""
        if self.code is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)

    def ended_within(self, seconds: float) -> bool:
        """Waits so long; returns whether it has ended."""
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def start_visibly(command: Sequence[str], environment: Mapping[str, str]) -> Running:
    """Starts a program of the user, with its output on our stderr. Raises `HostError`."""
    try:
        child = subprocess.Popen(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)
    except (OSError, ValueError) as error:
        raise HostError(f"cannot run {command[0]}: {getattr(error, 'strerror', '') or error}") from error
    return Running(child)


def run(
    command: Sequence[str], *, seconds: float, cancel: Cancel | None = None, environment: Mapping[str, str] | None = None
) -> Finished:
    """Runs a program and returns how it ended. Raises `HostError` when it cannot be started or does not end within `seconds`,
    and `Interrupted` when a stop is requested."""
    chosen = for_programs(os.environ) if environment is None else dict(environment)
    # Files, not pipes: nothing must be read while it runs, and a grandchild that keeps them open cannot block us.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            child = subprocess.Popen(command, env=chosen, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        except (OSError, ValueError) as error:
            raise HostError(f"cannot run {command[0]}: {getattr(error, 'strerror', '') or error}") from error
        code = _logged(command, _ended(child, seconds, cancel, command[0]))
        return Finished(code, _text(out), _text(err))


def _logged(command: Sequence[str], code: int) -> int:
    words = list(map(str, command))
    _LOGGER.info("ran %s: exit code %d", " ".join(words), code, extra={"fields": {"program": words, "exitCode": code}})
    return code


def _ended(child: subprocess.Popen[bytes], seconds: float, cancel: Cancel | None, name: str) -> int:
    try:
        code = _wait(child, seconds, cancel)
    finally:
        if child.returncode is None:
            child.kill()
            # It may hang in a system call; init reaps it after we exit.
            child.returncode = -9
    if code is None:
        raise HostError(f"{os.path.basename(name)} did not end within {seconds:g} s")  # noqa: PTH119
    return code


def _wait(child: subprocess.Popen[bytes], seconds: float, cancel: Cancel | None) -> int | None:
    end = time.monotonic() + seconds
    ended = os.pidfd_open(child.pid)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        while (left := end - time.monotonic()) > 0:
            if poll.poll(min(left, _SLICE_SECONDS) * 1000):
                return child.wait()
            if cancel is not None:
                cancel.check()
    finally:
        os.close(ended)
    return None


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MOST_BYTES).decode(errors="replace")
