"""A program that runs on by itself: found again by later commands, with the last words of one that ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from quorate.deadline import Clock
from quorate.files import write_atomic
from quorate.host import process
from quorate.host.last_words import etcd_reason
from quorate.host.process import Identity

_TAIL_BYTES = 32 * 1024
State: TypeAlias = Literal["absent", "running", "exited"]


@dataclass(frozen=True, slots=True)
class Daemon:
    """`folder`: where it runs. `record`: holds the identity of its process. `output`: what it prints. `log`: the file it
    logs to, when that is another one. `arguments`: by which its process is found when a crash lost the record."""

    folder: Path
    record: Path
    output: Path
    arguments: tuple[str, ...]
    log: Path | None = None

    def identity(self) -> Identity | None:
        """Its running process, recorded or, when a crash lost the record, found by its arguments."""
        recorded = read_identity(self.record)
        if recorded is not None and process.is_running(recorded):
            return recorded
        return process.find_by_arguments(self.arguments)

    def state(self) -> State:
        """`exited` when it was started and ended by itself."""
        recorded = read_identity(self.record)
        if recorded is not None:
            return "running" if process.is_running(recorded) else "exited"
        return "running" if process.find_by_arguments(self.arguments) else "absent"

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it if it does not run. Raises `HostError`."""
        if self.identity() is not None:
            return
        identity = process.spawn(command, output=self.output, folder=self.folder, environment=environment)
        write_atomic(self.record, json.dumps(asdict(identity)).encode(), mode=0o600)

    def stop(self, clock: Clock) -> None:
        """End it gracefully and forget its process, so that it counts as absent and not as one that failed."""
        identity = self.identity()
        if identity is not None:
            process.stop(identity, clock)
        self.record.unlink(missing_ok=True)

    def last_words(self) -> str:
        """Why it ended, as far as its log tells."""
        logs = [path for path in (self.log, self.output) if path is not None]
        reasons = filter(None, (etcd_reason(tail(path)) for path in logs))
        return f"{next(reasons, 'its log gives no reason')} (log: {logs[0]})"


def read_identity(path: Path) -> Identity | None:
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        return Identity(int(fields["pid"]), int(fields["started"]), str(fields["boot_id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def tail(path: Path) -> list[str]:
    """The last lines of a log, about 32 KiB of it; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
