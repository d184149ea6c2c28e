"""Starts a process for each target, watches it, and makes findings of what it saw: time and memory only when they are exceeded
again in a fresh process, by that input alone."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.child import BOX_BYTES, MOST_MORE, SECONDS, Box, digest

_TESTS = Path(__file__).resolve().parents[1]
_STUCK_SECONDS = 10.0
"""In one input: code that no alarm ends."""
_WAITING_SECONDS = 5.0
"""Of waiting, where nothing is computed. More than `SECONDS`: a busy machine makes everybody wait."""
_MOST_SECONDS = 180.0
"""Beyond the given ones: start, corpus, smaller inputs of what was found."""
_MOST_FATAL = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that broke the property."""

    target: str
    kind: str
    what: str
    where: str
    content: bytes

    def __str__(self) -> str:
        shown = self.content if len(self.content) <= 300 else self.content[:300] + b"..."
        return f"{self.target}: {self.kind}: {self.what}\n    at {self.where}\n    input ({len(self.content)} bytes): {shown!r}"

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.target}-{self.kind}-{digest(self.content)}"
        path.write_bytes(self.content)
        return path


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of one target did. `lines`: of the sources, that its inputs reached."""

    target: str
    executions: int
    lines: frozenset[tuple[str, int]]
    findings: tuple[Finding, ...]


def explore(target: str, seed: str, seconds: float) -> Report:
    """Its whole corpus, then changed inputs for `seconds`. It is started again without the inputs that it did not survive."""
    skipped: list[str] = []
    fatal: list[Finding] = []
    while len(skipped) < _MOST_FATAL:
        with _box() as (path, box):
            told = _run([target, str(path), "explore", seed, str(seconds), *skipped], box, seconds)
            if isinstance(told, str):
                _, content = box.get()
                skipped.append(digest(content))
                again = measure(target, content, told)
                fatal += [again] if again is not None else []
                continue
        findings = (_confirmed(target, row) for row in told["found"])
        lines = frozenset((str(file), int(line)) for file, line in told["lines"])
        return Report(target, told["executions"], lines, (*fatal, *(one for one in findings if one is not None)))
    return Report(target, 0, frozenset(), tuple(fatal))


def _confirmed(target: str, row: dict[str, Any]) -> Finding | None:
    content = base64.b64decode(row["input"])
    said = Finding(target, row["kind"], row["what"], row["where"], content)
    return said if said.kind == "exception" else measure(target, content, said.where)


def measure(target: str, content: bytes, where: str = "") -> Finding | None:
    """One input alone in a fresh process; None when it is read as it should be."""
    with _box() as (path, box):
        box.put(0, content)
        told = _run([target, str(path), "measure"], box, 0.0)
    if isinstance(told, str):
        return Finding(target, "slow", "it stands still, or ends the process", told or where, content)
    if told["kind"] == "exception":
        return Finding(target, "exception", told["what"], told["where"], content)
    if told["more"] > MOST_MORE or told["kind"] == "memory":
        return Finding(target, "memory", f"{told['more'] >> 20} MB more", where or told["where"], content)
    if told["busy"] > SECONDS or told["wall"] > _WAITING_SECONDS:
        return Finding(
            target, "slow", f"{told['busy']:.1f} s busy, {told['wall']:.1f} s in all", where or told["where"], content
        )
    return None


@contextmanager
def _box() -> Iterator[tuple[Path, Box]]:
    with tempfile.TemporaryDirectory(prefix="quorate-fuzz-") as folder:
        path = Path(folder) / "box"
        path.write_bytes(bytes(BOX_BYTES))
        yield path, Box.at(path)


def _run(words: list[str], box: Box, seconds: float) -> Any:
    """What the process answers; when it had to be ended, or was ended by a signal, the place where that was.

    Its input is a pipe that stays open and silent, and it has no terminal: whoever asks for a passphrase waits for ever.
    Raises RuntimeError when the fault is ours.
    """
    environment = {**os.environ, "PYTHONPATH": str(_TESTS), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "fuzz.child", *words]
    with tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=answers, stderr=told, env=environment, start_new_session=True
        )
        with process:
            ended = _wait(process, box, seconds)
            if not ended:
                process.send_signal(signal.SIGUSR1)
                time.sleep(0.5)
                process.kill()
        for file in (answers, told):
            file.seek(0)
        answer, said = answers.read(), told.read().decode(errors="replace")
    if not ended or process.returncode < 0:
        return _innermost(said)
    if process.returncode != 0:
        raise RuntimeError(f"the fuzzer itself failed: {said[-2000:]}")
    return json.loads(answer)


def _innermost(said: str) -> str:
    """The innermost frame of our source in what the process said when it was asked where it is."""
    frames = re.findall(r'File ".*/src/quorate/([^"]+)", line (\d+) in (\w+)', said)
    return "{}:{} {}".format(*frames[0]) if frames else "?"


def _wait(process: subprocess.Popen[bytes], box: Box, seconds: float) -> bool:
    """Whether it ended by itself. It may take its time, as long as it goes on to further inputs."""
    number, since = -1, time.monotonic()
    end = since + seconds + _MOST_SECONDS
    while process.poll() is None:
        now = time.monotonic()
        if box.get()[0] != number:
            number, since = box.get()[0], now
        if now > end or now - since > _STUCK_SECONDS:
            return False
        time.sleep(0.02)
    return True
