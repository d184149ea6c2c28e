"""Programs on a real terminal: a pty of any size, and a terminal emulator that says what a user would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pyte

SECONDS = 30.0
_NOTHING: Mapping[str, str] = {}


class _Screen(pyte.Screen):
    """pyte knows no alternate screen: what was written before it is kept here, as terminals keep it."""

    main: list[str] | None = None

    def set_mode(self, *modes: int, **kwargs: bool) -> None:
        if 1049 in modes and kwargs.get("private"):
            self.main = list(self.display)
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes: int, **kwargs: bool) -> None:
        if 1049 in modes and kwargs.get("private"):
            self.main = None
            self.erase_in_display(2)
            self.cursor_position(1, 1)
        super().reset_mode(*modes, **kwargs)


@dataclass
class Terminal:
    """A running program, and the screen it writes to. `raw`: every byte it wrote."""

    process: subprocess.Popen[bytes]
    descriptor: int
    screen: _Screen
    stream: pyte.ByteStream
    raw: bytearray = field(default_factory=bytearray)

    @property
    def lines(self) -> list[str]:
        """What is on the screen now, without what ends in blanks."""
        rows = [row.rstrip() for row in self.screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def is_alternate(self) -> bool:
        """Returns whether the program draws on the alternate screen now."""
        return self.screen.main is not None

    def colour(self, word: str) -> str:
        """The colour of the first character of a word on the screen."""
        row, line = next((index, line) for index, line in enumerate(self.screen.display) if word in line)
        return str(self.screen.buffer[row][line.index(word)].fg)

    def read(self) -> bool:
        """Reads what comes within a moment; returns whether the program can still write."""
        ready, _, _ = select.select([self.descriptor], [], [], 0.05)
        if not ready:
            return True
        try:
            got = os.read(self.descriptor, 1 << 16)
        except OSError:
            return False
        self.raw += got
        self.stream.feed(got)
        return bool(got)

    def until(self, seen: Callable[[], bool]) -> None:
        """Reads until the screen is as wanted."""
        end = time.monotonic() + SECONDS
        while not seen():
            assert time.monotonic() < end, "\n".join(self.lines)
            assert self.read() or seen(), "\n".join(self.lines)

    def end(self) -> int:
        """Reads until the program has ended; returns its exit code."""
        end = time.monotonic() + SECONDS
        while self.read():
            assert time.monotonic() < end, "\n".join(self.lines)
        return self.process.wait(SECONDS)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)
        self.process.send_signal(signal.SIGWINCH)

    def press_ctrl_c(self) -> None:
        os.write(self.descriptor, b"\x03")


def terminal(
    *command: str, columns: int = 80, rows: int = 24, environment: Mapping[str, str] = _NOTHING
) -> AbstractContextManager[Terminal]:
    """Runs `quorate COMMAND` on a terminal of its own, and ends it."""
    return started([sys.executable, "-m", "quorate", *command], columns, rows, environment)


@contextmanager
def started(words: list[str], columns: int, rows: int, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Runs a program on a terminal of its own, and ends it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    dropped = ("ETCDCTL_", "QUORATE_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    # In a session of its own: Ctrl-C on its terminal is a signal for the program.
    process = subprocess.Popen(
        ["setsid", "--ctty", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**clean, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment},
    )
    os.close(theirs)
    screen = _Screen(columns, rows)
    try:
        yield Terminal(process, ours, screen, pyte.ByteStream(screen))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
