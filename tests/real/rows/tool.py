"""The tool as a process of its own, which stands still where a test wants it to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import schemas

from real.rows.processes import state_of, until

PAUSING = Path(__file__).with_name("pausing.py")


@dataclass(frozen=True)
class Point:
    """Where the tool is to stand still, see `pausing.py`."""

    event: str
    number: int = 1
    since: str = ""
    act: str = "stop"


class EndedError(AssertionError):
    """The tool ended before it got to the point."""


@dataclass(frozen=True)
class Done:
    """How a run of the tool ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> dict[str, str]:
        """What `-o json` prints of an error; empty when there was none."""
        found: dict[str, dict[str, str]] = json.loads(self.out) if self.out.strip() else {}
        return found.get("error", {})

    @property
    def shown(self) -> Any:
        schemas.checked(self.out)
        return json.loads(self.out)


class Tool:
    """One run of the tool, with its points."""

    def __init__(
        self, folder: Path, arguments: Sequence[str], points: Sequence[Point] = (), before: Sequence[str] = ()
    ) -> None:
        folder.mkdir()
        self.folder, self._stops = folder, 0
        told = json.dumps({"trace": str(folder / "trace"), "points": [asdict(point) for point in points]})
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETCD", "QUORATE_"))}
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [*before, sys.executable, str(PAUSING), told, *arguments],
                stdout=out, stderr=err, stdin=subprocess.DEVNULL, env={**clean, "XDG_STATE_HOME": str(folder.parent)},
            )  # fmt: skip

    @property
    def trace(self) -> list[tuple[float, str]]:
        """Second and event."""
        path = self.folder / "trace"
        rows = [line.partition(" ") for line in path.read_text().splitlines()] if path.exists() else []
        return [(float(at), event) for at, _, event in rows]

    def count(self, event: str) -> int:
        return sum(found == event for _, found in self.trace)

    def wait_stopped(self, seconds: float = 40.0) -> None:
        """Return when it stands still at its next point; raises `EndedError` when it ends first."""
        deadline = time.monotonic() + seconds
        while sum(event.startswith("stopped at") for _, event in self.trace) <= self._stops or not self.is_stopped:
            if self.process.poll() is not None:
                raise EndedError(f"it ended before its point: {self._done()}")
            assert time.monotonic() < deadline, f"it did not get to its point: {self._done()}"
            time.sleep(0.02)
        self._stops += 1

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def interrupt(self) -> None:
        """As Ctrl-C; seen when it goes on."""
        self.process.send_signal(signal.SIGINT)

    def wait_for(self, event: str, seconds: float = 30.0) -> None:
        until(lambda: self.count(event) or self.process.poll() is not None, seconds, f"no {event!r}")

    def end(self, seconds: float = 60.0) -> Done:
        """Its end, which must come in so many seconds."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {seconds} s: {self._done()}") from None
        return self._done()

    def _done(self) -> Done:
        out, err = ((self.folder / name).read_text(errors="replace") for name in ("out", "err"))
        return Done(self.process.returncode if self.process.returncode is not None else -1, out, err)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    @property
    def is_stopped(self) -> bool:
        return state_of(self.process.pid) == "T"

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
