"""Runs other programs to their end: within a time limit, with a short environment, and what they print is bounded.

A umount of a dead server and a systemctl without a bus wait for ever, in a state that not even SIGKILL ends. Nobody waits
for them here: after the limit, or when a stop is requested, the program is killed and left to the kernel.
"""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from quorate.deadline import Cancel
from quorate.errors import HostError
from quorate.host.environment import for_programs

_SLICE_SECONDS = 0.1
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Finished:
    """The exit code, and the first megabyte of each output."""

    code: int
    out: str
    err: str


def run_visibly(command: Sequence[str], environment: Mapping[str, str], *, seconds: float, cancel: Cancel) -> int:
    """Returns the exit code of a program of the user's, whose output goes to our stderr. Raises as `run`."""
    try:
        child = subprocess.Popen(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=2)
    except (OSError, ValueError) as error:
        raise HostError(f"cannot run {command[0]}: {getattr(error, 'strerror', '') or error}") from error
    return _ended(child, seconds, cancel, command[0])


def run(
    command: Sequence[str], *, seconds: float, cancel: Cancel | None = None, environment: Mapping[str, str] | None = None
) -> Finished:
    """Returns how a program ended. Raises `HostError` when it cannot be started or does not end within `seconds`, and
    `Interrupted` when a stop is requested."""
    chosen = for_programs(os.environ) if environment is None else dict(environment)
    # Files and no pipes: nothing is to be read while it runs, and a grandchild that keeps them open holds nobody up.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            child = subprocess.Popen(command, env=chosen, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        except (OSError, ValueError) as error:
            raise HostError(f"cannot run {command[0]}: {getattr(error, 'strerror', '') or error}") from error
        code = _ended(child, seconds, cancel, command[0])
        return Finished(code, _text(out), _text(err))


def _ended(child: subprocess.Popen[bytes], seconds: float, cancel: Cancel | None, name: str) -> int:
    try:
        code = _wait(child, seconds, cancel)
    finally:
        if child.returncode is None:
            child.kill()
            # It may be in a call that never ends; init waits for it when we are gone.
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
