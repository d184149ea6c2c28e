"""A program that runs on by itself: found again by later commands, with the last words of one that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from quorate.deadline import Clock
from quorate.errors import HostError
from quorate.files import remove_file
from quorate.host import process, process_record
from quorate.host.last_words import etcd_reason
from quorate.host.process import Identity

_TAIL_BYTES = 32 * 1024
State: TypeAlias = Literal["absent", "running", "exited"]


@dataclass(frozen=True, slots=True)
class Daemon:
    """`folder`: where it runs. `record`: holds the identity of its process (`process_record`). `output`: what it prints.
    `log`: the file it logs to, when that is another one."""

    folder: Path
    record: Path
    output: Path
    log: Path | None = None

    def identity(self) -> Identity | None:
        """Returns its running process. Raises `HostError` when the record is not to be believed."""
        recorded = process_record.read(self.record)
        return recorded.find() if recorded else None

    def state(self) -> State:
        """Returns `exited` when it was started and ended by itself. Raises `HostError`, as `identity`."""
        recorded = process_record.read(self.record)
        if recorded is None:
            return "absent"
        if recorded.find() is not None:
            return "running"
        return "exited" if recorded.identity else "absent"

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts it if it does not run. Raises `HostError`."""
        if self.identity() is not None:
            return
        intent = process_record.begin(self.record, command[0], environment)
        carried = {**environment, process_record.VARIABLE: intent.token}
        try:
            identity = process.spawn(command, output=self.output, folder=self.folder, environment=carried)
        except HostError:
            remove_file(self.record)
            raise
        process_record.complete(self.record, intent, identity)

    def stop(self, clock: Clock) -> None:
        """End it gracefully and forget its process, so that it counts as absent and not as one that failed."""
        identity = self.identity()
        if identity is not None:
            process.stop(identity, clock)
        remove_file(self.record)

    def last_words(self) -> str:
        """Why it ended, as far as its log tells."""
        logs = [path for path in (self.log, self.output) if path is not None]
        reasons = filter(None, (etcd_reason(tail(path)) for path in logs))
        return f"{next(reasons, 'its log gives no reason')} (log: {logs[0]})"


def tail(path: Path) -> list[str]:
    """The last lines of a log, about 32 KiB of it; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
