"""A program that outlives the command that starts it: later commands find it again, and report why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from quorate.deadline import Clock
from quorate.errors import HostError
from quorate.files import remove_file
from quorate.host import last_words, process, process_record
from quorate.host.last_words import etcd_reason
from quorate.host.process import Identity

_TAIL_BYTES = 32 * 1024
State: TypeAlias = Literal["absent", "running", "exited"]


@dataclass(frozen=True, slots=True)
class Daemon:
    """A long-running program. `folder`: its working directory. `record`: the file with the identity of its process
    (`process_record`). `output`: the file for stdout and stderr. `log`: its log file, when that is another one."""

    folder: Path
    record: Path
    output: Path
    log: Path | None = None

    def identity(self) -> Identity | None:
        """Returns the running process; None when there is none. Raises `HostError` when the record is not trusted."""
        recorded = process_record.read(self.record)
        return recorded.find() if recorded else None

    def state(self) -> State:
        """Returns `exited` when the program was started and ended without `stop`. Raises `HostError`, as `identity`."""
        recorded = process_record.read(self.record)
        if recorded is None:
            return "absent"
        if recorded.find() is not None:
            return "running"
        return "exited" if recorded.identity else "absent"

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts the program if it does not run. Raises `HostError`."""
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
        """Stops the process gracefully and deletes its record, so that it counts as absent and not as exited."""
        identity = self.identity()
        if identity is not None:
            process.stop(identity, clock)
        remove_file(self.record)

    def last_words(self) -> str:
        """Returns why the process ended, as far as its log shows, and the path of the log."""
        reasons = filter(None, (etcd_reason(tail(path)) for path in self._logs))
        return f"{next(reasons, 'its log gives no reason')} (log: {self._logs[0]})"

    def ended_by_removal(self) -> bool:
        """Returns whether it is an etcd that ended by itself because its member was removed from the cluster: its log says so,
        and an id that was removed never returns."""
        return self.state() == "exited" and any(last_words.ended_by_removal(tail(path)) for path in self._logs)

    @property
    def _logs(self) -> list[Path]:
        return [path for path in (self.log, self.output) if path is not None]


def tail(path: Path) -> list[str]:
    """Returns the last lines of a log, about 32 KiB; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
