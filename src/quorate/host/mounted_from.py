"""Where on this host the files are that a process finds at its mounts.

A container gets a file of the host by a bind mount. Once that file was replaced, as each renewal of a certificate does, the
mount still shows the old one, of another inode, and the next start of the container takes the new one: it uses both.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign import mounts
from quorate.foreign.aside import meant_for
from quorate.host import proc

_DELETED, _GONE = "//deleted", " (deleted)"


@dataclass(slots=True)
class MountedFrom:
    """The mounts of one process, as they were when this was made, and those of ours that show the same devices: their places,
    by device and path on it."""

    pid: int
    folders: tuple[str, ...] = ()
    """Where the folder that the process runs in is by its name, where another one has that name by now: one that was deleted
    and restored. Relative names lead there at the next start."""
    _theirs: dict[str, tuple[str, str]] = field(default_factory=dict[str, "tuple[str, str]"])
    _ours: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], "list[str]"])

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
        made = cls(pid, tuple(_other_folders(pid)))
        for device, source, place in found:
            # Of several at one place the last one shows.
            made._theirs.setdefault(place, (device, source))
        for device, source, place in mounts.sources(0):
            made._ours.setdefault((device, source), []).append(place)
        return made

    def ids(self, step: str) -> Iterator[str]:
        """Yields as `proc.file_id` what is by now where a path of the process, such as /proc/PID/root/srv/x, was mounted from;
        where that was taken away since, and nothing is there, the folder in which the next start looks for it."""
        view = self._seen_as(step)
        place = next((one for one in _upwards(view) if one in self._theirs), None) if view else None
        if view is None or place is None:
            return
        device, source = self._theirs[place]
        rest = posixpath.relpath(view, place)
        there = list(self._here(device, _as_it_was(source), rest))
        found = [one for path in there if (one := proc.seen_id(path)) is not None]
        if not found and source.endswith(_DELETED) and place != "/":
            if not there:
                raise HostError(f"process {self.pid} has {view[:200]!r} from a mount of a file that is not there any more")
            found = [one for path in there if (one := _nearest(path))]
        yield from found

    def _seen_as(self, step: str) -> str | None:
        """Returns a path as the process has it."""
        for head, base in ((f"/proc/{self.pid}/root", "/"), (f"/proc/{self.pid}/cwd", proc.working_folder(self.pid))):
            if base is not None and (step == head or step.startswith(f"{head}/")):
                return posixpath.normpath(posixpath.join(base, step.removeprefix(head).lstrip("/")))
        return None

    def _here(self, device: str, source: str, rest: str) -> Iterator[Path]:
        whole = posixpath.normpath(posixpath.join(source, rest))
        for root in _upwards(whole):
            for place in self._ours.get((device, root), ()):
                yield Path(place) / posixpath.relpath(whole, root)


def _nearest(path: Path) -> str:
    """Returns the folder nearest to a path that is there, as `proc.file_id`."""
    return next((found for one in path.parents if (found := proc.seen_id(one)) is not None), "")


def _other_folders(pid: int) -> Iterator[str]:
    own, text = proc.seen_id(Path(f"/proc/{pid}/cwd")), proc.working_folder(pid)
    for name in dict.fromkeys([text or "", (text or "").removesuffix(_GONE)]):
        there = f"/proc/{pid}/root/{name.lstrip('/')}"
        if name.startswith("/") and (found := proc.seen_id(Path(there))) is not None and found != own:
            yield name


def _upwards(path: str) -> Iterator[str]:
    while path not in ("/", ""):
        yield path
        path = posixpath.dirname(path)
    yield "/"


def _as_it_was(source: str) -> str:
    """Returns where a mount was made from. A file that an exchange has put away shows under the name that it had there."""
    folder, name = posixpath.split(source.removesuffix(_DELETED))
    return posixpath.join(folder, meant_for(name) or name)
