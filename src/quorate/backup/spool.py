"""A file without a name, for a snapshot that is not stored as it is: it is packed before, or sent elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.host.work_folder import distrust_work, free_bytes


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """`fd`: open for reading and writing; gone when it is closed, also where this process is killed."""

    fd: int
    folder: Path

    def keep(self, name: str) -> None:
        raise AssertionError(f"{name}: what is spooled gets no name")

    def failed(self, error: OSError) -> HostError:
        return HostError(
            f"cannot write to {self.folder}: {error.strerror}",
            state="nothing was saved",
            advice="free some space there, or name another folder with --work",
        )


@dataclass(frozen=True, slots=True)
class Spool:
    """The folder of this machine for such files."""

    folder: Path

    def room(self) -> tuple[str, int | None]:
        return str(self.folder), free_bytes(self.folder)

    @contextmanager
    def arriving(self, _folder: str, _name: str) -> Iterator[SpooledFile]:
        if doubt := distrust_work(self.folder):
            raise HostError(
                f"{self.folder} cannot be used: {doubt}", state="nothing was saved", advice="name another with --work"
            )
        try:
            file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - a failure within the block is not one of opening
        except OSError as error:
            raise HostError(
                f"cannot write to {self.folder}: {error.strerror}",
                state="nothing was saved",
                advice="name another folder with --work",
            ) from error
        with file:
            yield SpooledFile(file.fileno(), self.folder)


def path_of(fd: int) -> Path:
    """Returns a path of this process by which an open file can be opened anew."""
    return Path(f"/proc/self/fd/{fd}")
