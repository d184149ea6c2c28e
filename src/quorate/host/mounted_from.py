"""Where on this host the files are that a process finds at its mounts.

A container gets a file of the host by a bind mount. Once that file was replaced, as each renewal of a certificate does, the
mount still shows the old one, of another inode, and the next start of the container takes the new one: it uses both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from quorate.errors import HostError
from quorate.foreign import mounts
from quorate.host import proc


@dataclass(slots=True)
class MountedFrom:
    """The mounts of one process, as they were when this was made, and those of ours that show the same devices."""

    pid: int
    _theirs: dict[str, tuple[str, str]] = field(default_factory=dict[str, "tuple[str, str]"])
    _ours: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    @classmethod
    def of(cls, pid: int) -> MountedFrom:
        """Raises `HostError` where the mounts cannot be read; one that has ended has none."""
        try:
            found = mounts.sources(pid)
        except HostError:
            # While a process ends it has no mounts any more, and no words.
            if proc.command_line(pid, 1):
                raise
            return cls(pid)
        theirs: dict[str, tuple[str, str]] = {}
        for device, source, place in found:
            # Of several at one place the last one shows.
            theirs.setdefault(place, (device, source))
        return cls(pid, theirs, mounts.sources(0))

    def ids(self, step: str) -> Iterator[str]:
        """Yields as `proc.file_id` what is by now where a path of the process, such as /proc/PID/root/srv/x, was mounted
        from."""
        view = self._seen_as(step)
        for place in [view, *view.parents] if view is not None else []:
            mount = self._theirs.get(str(place))
            if mount is not None and view is not None:
                source = PurePosixPath(mount[1]) / view.relative_to(place)
                found = (proc.seen_id(path) for path in self._here(mount[0], source))
                yield from (one for one in found if one is not None)
                return

    def _seen_as(self, step: str) -> PurePosixPath | None:
        """Returns a path as the process has it."""
        for head, base in ((f"/proc/{self.pid}/root", "/"), (f"/proc/{self.pid}/cwd", proc.working_folder(self.pid))):
            if base is not None and (step == head or step.startswith(f"{head}/")):
                return PurePosixPath(base) / step.removeprefix(head).lstrip("/")
        return None

    def _here(self, device: str, source: PurePosixPath) -> Iterator[Path]:
        for own, root, place in self._ours:
            if own == device and source.is_relative_to(root):
                yield Path(place) / source.relative_to(root)
