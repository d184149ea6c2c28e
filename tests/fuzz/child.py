"""Runs one target on its corpus and on changed inputs, in a process of its own: what it does to time and memory is seen here,
and what ends it ends nobody else.

The input that is being read lies in a file that the parent maps too, so it is known when this process has to be killed.
"""

from __future__ import annotations

import base64
import faulthandler
import hashlib
import json
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import quorate
from fuzz.mutate import mutated
from fuzz.table import ANY, Target
from quorate.errors import QuorateError

SECONDS, MOST_MORE = 2.0, 200 << 20
BOX_BYTES = 1 << 20
_MOST_MEMORY = 3 << 30
_TRACED_EVERY = 12
_MOST_SHRINKS = 400
_SHRINK_SECONDS = 1.0
_SOURCES = str(Path(quorate.__file__).parent)


class TooSlow(BaseException):
    """Raised by the alarm, past every `except Exception`."""


@dataclass(slots=True)
class Seen:
    """What one input did. `kind`: fine, exception, slow or memory; `where`: the place in our source where it came from."""

    kind: str = "fine"
    what: str = ""
    where: str = ""


@dataclass(slots=True)
class Box:
    """The input that is being read, and its number, for the parent."""

    memory: mmap.mmap

    def put(self, number: int, content: bytes) -> None:
        self.memory[16 : 16 + len(content)] = content
        self.memory[:16] = number.to_bytes(8, "little") + len(content).to_bytes(8, "little")

    @classmethod
    def at(cls, path: Path) -> Box:
        with path.open("r+b") as file:
            return cls(mmap.mmap(file.fileno(), BOX_BYTES))

    def get(self) -> tuple[int, bytes]:
        number, size = int.from_bytes(self.memory[:8], "little"), int.from_bytes(self.memory[8:16], "little")
        return number, bytes(self.memory[16 : 16 + size])


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def most_memory() -> int:
    """The most this process ever had, in bytes."""
    # Not ru_maxrss: that begins with the size of the process that forked this one.
    for line in Path("/proc/self/status").read_text().split("\n"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def once(read: Callable[[bytes], None], content: bytes, seconds: float = SECONDS) -> Seen:
    """Reads one input; an alarm ends what Python code can be ended in."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            read(content)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    except QuorateError:
        return Seen()
    except TooSlow as error:
        return Seen("slow", f"more than {seconds:g} s", _place(error))
    except MemoryError as error:
        return Seen("memory", "MemoryError", _place(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Seen("exception", f"{type(error).__name__}: {str(error)[:200]}", _place(error))
    return Seen()


def _place(error: BaseException) -> str:
    """The innermost frame of our source, and the frame where it arose when that is another."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "?"
    ours = next((frame for frame in reversed(frames) if frame.filename.startswith(_SOURCES)), None)
    last = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}"
    if ours is None:
        return last
    place = f"{Path(ours.filename).relative_to(_SOURCES)}:{ours.lineno} {ours.name}"
    return place if ours is frames[-1] else f"{place} ({last})"


@dataclass(slots=True)
class Lines:
    """Lines of our source that were reached."""

    seen: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])

    def during(self, act: Callable[[], Seen]) -> tuple[Seen, bool]:
        """What `act` returns, and whether it reached a new line."""
        before = len(self.seen)
        sys.settrace(self._call)
        try:
            seen = act()
        finally:
            sys.settrace(None)
        return seen, len(self.seen) > before

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(_SOURCES) else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.seen.add((frame.f_code.co_filename[len(_SOURCES) + 1 :], frame.f_lineno))
        return self._line


@dataclass(slots=True)
class Fuzzing:
    """A run of one target. What it reads depends on the seed and the corpus alone; only how far it comes depends on time."""

    target: Target
    seed: str
    box: Box
    skipped: frozenset[str] = frozenset()
    executions: int = 0
    lines: Lines = field(default_factory=Lines)
    found: dict[tuple[str, str], tuple[Seen, bytes]] = field(default_factory=dict[tuple[str, str], tuple[Seen, bytes]])

    def replay(self) -> list[bytes]:
        """The corpus, with its lines; the first input once before, for what is imported and cached by it."""
        pool = [content for path in self.target.corpus() if digest(content := path.read_bytes()) not in self.skipped]
        once(self.target.read, pool[0], 30.0)
        for content in pool:
            self._read(content, traced=False)
            self._read(content, traced=True)
        return pool

    def explore(self, pool: list[bytes], end: float) -> None:
        """Changed inputs until `end`; one that reaches a new line is changed further."""
        number = 0
        while time.monotonic() < end:
            number += 1
            content = mutated(pool, self.target.kinds, Random(f"{self.seed}/{self.target.name}/{number}"))
            if digest(content) in self.skipped:
                continue
            if self._read(content, traced=number % _TRACED_EVERY == 0):
                pool.append(content)

    def _read(self, content: bytes, *, traced: bool) -> bool:
        self.box.put(self.executions, content)
        self.executions += 1
        before = most_memory()
        if traced:
            # Tracing makes everything many times slower: its time says nothing.
            seen, new = self.lines.during(lambda: once(self.target.read, content, 60.0))
        else:
            seen, new = once(self.target.read, content), False
        if seen.kind == "fine" and most_memory() - before > MOST_MORE // 2:
            seen = Seen("memory", f"{(most_memory() - before) >> 20} MB more", "")
        if seen.kind != "fine":
            self._keep(seen, content)
        return new

    def _keep(self, seen: Seen, content: bytes) -> None:
        """The smallest input for each place."""
        key = (f"{seen.kind} {seen.what.partition(':')[0]}", seen.where)
        if key not in self.found and seen.kind == "exception":
            content = shrunk(self.target.read, content, seen)
        if key not in self.found or len(content) < len(self.found[key][1]):
            self.found[key] = (seen, content)


def shrunk(read: Callable[[bytes], None], content: bytes, seen: Seen) -> bytes:
    """A smaller input that ends the same way, as far as that is found soon."""
    tries, end = 0, time.monotonic() + _SHRINK_SECONDS
    size = max(len(content) // 2, 1)
    while size and tries < _MOST_SHRINKS and time.monotonic() < end:
        at = 0
        while at < len(content) and tries < _MOST_SHRINKS and time.monotonic() < end:
            smaller = content[:at] + content[at + size :]
            tries += 1
            again = once(read, smaller)
            if (again.kind, again.where) == (seen.kind, seen.where):
                content = smaller
            else:
                at += size
        size //= 2
    return content


def measured(target: Target, content: bytes, box: Box, tries: int = 2) -> dict[str, Any]:
    """One input alone: the least time of some tries, and the memory of the first."""
    pool = target.corpus()
    if pool:
        once(target.read, pool[0].read_bytes(), 30.0)
    before = most_memory()
    wall: list[float] = []
    busy: list[float] = []
    more = 0
    seen = Seen()
    for number in range(tries):
        box.put(number + 1, content)
        began, began_busy = time.monotonic(), time.process_time()
        seen = once(target.read, content, 5.5)
        wall.append(time.monotonic() - began)
        busy.append(time.process_time() - began_busy)
        more = more if number else most_memory() - before
    return {"wall": min(wall), "busy": min(busy), "more": more, "kind": seen.kind, "what": seen.what, "where": seen.where}


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow


def main(words: list[str]) -> None:
    """`TARGET BOX measure`: the input is in the box. `TARGET BOX explore SEED SECONDS [DIGEST...]`: inputs with these digests
    are left out."""
    signal.signal(signal.SIGALRM, _alarm)
    # Where it stands still is asked before it is killed.
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target, box = ANY[words[0]], Box.at(Path(words[1]))
    # What readers print is not ours to answer with.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if words[2] == "measure":
        json.dump(measured(target, box.get()[1], box), answers)
    else:
        fuzzing = Fuzzing(target, words[3], box, frozenset(words[5:]))
        end = time.monotonic() + float(words[4])
        fuzzing.explore(fuzzing.replay(), end)
        rows = [
            {"kind": seen.kind, "what": seen.what, "where": seen.where, "input": base64.b64encode(content).decode()}
            for seen, content in fuzzing.found.values()
        ]
        json.dump({"executions": fuzzing.executions, "lines": sorted(fuzzing.lines.seen), "found": rows}, answers)
    answers.close()


if __name__ == "__main__":
    main(sys.argv[1:])
