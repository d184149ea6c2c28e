"""Runs `quorate ARGUMENTS` and stands still, or dies, at named points; started by `tool.Tool`, never imported by tests.

    python pausing.py '{"trace": PATH, "points": [{"event": EVENT, "number": N, "since": EVENT, "act": "stop"}]}' ARGUMENTS

An event is `before M`, `after M` or `failed M` for each RPC M, `learner Status` for a Status that a learner answered,
`writing KIND DO` and `written KIND DO` for each journal record, `renaming NAME` for each file that is put in its place, and
`deleting NAME` for each file and folder that a local cluster deletes. EVENT may hold `*`. A point is met at the Nth event that
matches, counted from the first event that matches `since`. Everything is written to the trace with the second it was at.
Known here of the tool's inside are `Channel._unary`, `Journal.write`, that files are put in their place by `os.rename`, and
how `local.cluster` deletes.
"""

from __future__ import annotations

import fnmatch
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quorate import journal
from quorate.cli.main import run_with
from quorate.etcd.client import channel
from quorate.local import cluster


class Points:
    """Counts events, and acts at those that were asked for."""

    def __init__(self, trace: Path, points: list[dict[str, Any]]) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._points, self._lock = points, threading.RLock()

    def meet(self, event: str) -> None:
        with self._lock:
            self._write(event)
            for point in self._points:
                if _is_met(point, event):
                    self._act(point, event)

    def _act(self, point: dict[str, Any], event: str) -> None:
        if point["act"] == "kill":
            os._exit(137)
        self._write(f"stopped at {event}")
        os.kill(os.getpid(), signal.SIGSTOP)
        self._write("went on")

    def _write(self, event: str) -> None:
        os.write(self._trace, f"{time.time():.3f} {event}\n".encode())


def _is_met(point: dict[str, Any], event: str) -> bool:
    if point.get("since"):
        if fnmatch.fnmatchcase(event, point["since"]):
            point["since"] = ""
        return False
    if not fnmatch.fnmatchcase(event, point["event"]):
        return False
    point["number"] -= 1
    return bool(point["number"] == 0)


def main() -> int:
    told = json.loads(sys.argv[1])
    points = Points(Path(told["trace"]), told["points"])
    unary, write = channel.Channel._unary, journal.Journal.write

    def paused_unary(self: Any, method: Any, request: Any, *rest: Any, **named: Any) -> Any:
        points.meet(f"before {method.name}")
        try:
            answer = unary(self, method, request, *rest, **named)
        except BaseException:
            points.meet(f"failed {method.name}")
            raise
        points.meet(f"after {method.name}")
        if method.name == "Status" and answer.isLearner:
            points.meet("learner Status")
        return answer

    def paused_write(self: Any, record: journal.Record) -> None:
        name = f"{record.kind} {record.fields.get('do', '')}".strip()
        points.meet(f"writing {name}")
        write(self, record)
        points.meet(f"written {name}")

    rename = os.rename

    def paused_rename(one: Any, other: Any, **named: Any) -> None:
        points.meet(f"renaming {os.fspath(other)}")
        rename(one, other, **named)

    def paused_deletion(delete: Callable[[Path], None]) -> Callable[[Path], None]:
        def paused(path: Path) -> None:
            points.meet(f"deleting {path.name}")
            delete(path)

        return paused

    os.rename = paused_rename  # type: ignore[assignment]
    for name in ("remove_file", "remove_tree"):
        setattr(cluster, name, paused_deletion(getattr(cluster, name)))
    channel.Channel._unary = paused_unary  # type: ignore[method-assign]
    journal.Journal.write = paused_write  # type: ignore[method-assign]
    return run_with(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
