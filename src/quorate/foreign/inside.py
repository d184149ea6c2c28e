"""Walks below a folder by descriptors: no path is resolved twice, and no link leads out.

To check a path and then use it resolves it twice: a user who can replace a name in between makes root write elsewhere (158
tries were enough). Here each step opens one name in a folder that is already open. Links are followed as the node itself
would follow them, an absolute one from the root of the walk. The rule is that of sshd: root or we must own the link, and no
other user may write to its folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.local_files import distrust

_MOST_LINKS = 40
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Place:
    """A name in an open folder. The name may be missing there, and is no link when it comes from `target`."""

    folder: int
    name: str

    @property
    def path(self) -> Path:
        """Returns the real path, as messages and mounts name it."""
        where = Path(f"/proc/self/fd/{self.folder}").readlink()
        return where / self.name if self.name else where

    def status(self) -> os.stat_result | None:
        """Returns the status of the entry, without following a link; None when it is missing."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self, flags: int) -> int:
        """Opens the entry, but not a link; returns its descriptor."""
        return os.open(self.name or ".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)


class LeadsOut(HostError):
    """A link in the path is not trusted, and is not followed."""

    code = "link"
    next_step = "remove the link, or pass the path that it leads to"


class LeadsNowhere(HostError):
    """A link in the path leads to something that is missing. That is not "there is no such file": what the link should lead to
    may be on a disk that is not mounted, and hold an etcd member or the cluster's CA."""

    code = "dead-link"
    next_step = "mount or make what the link leads to, or remove the link"


@contextmanager
def holder(root: Path, path: str, *, make: int | None = None) -> Iterator[Place]:
    """Yields the last name of `path` in its folder, for the block; links before it are followed. `make`: creates missing
    folders on the way with this mode, but none that a link leads to. Raises `LeadsOut`, `LeadsNowhere`, FileNotFoundError and
    other OSErrors."""
    parts = _parts(path)
    if make is not None:
        root.mkdir(mode=make, parents=True, exist_ok=True)
    with _walk(root) as walk:
        walk.enter(parts[:-1], make)
        yield Place(walk.here, parts[-1].name if parts else "")


@contextmanager
def target(root: Path, path: str) -> Iterator[Place]:
    """Yields as `holder`, but follows a link at the last name too."""
    parts = _parts(path)
    with _walk(root) as walk:
        name = walk.to(parts)
        yield Place(walk.here, name)


@dataclass(frozen=True, slots=True)
class _Step:
    """A name to enter. `link`: the link whose target it is of, and where that leads; empty for a name of the path itself."""

    name: str
    link: str = ""

    def refuse_if_of_a_link(self) -> None:
        """Raises `LeadsNowhere` when the name, which is missing, is of a link's target."""
        if self.link:
            raise LeadsNowhere(f"the link {self.link}, where nothing is", state="nothing was changed behind it")


def _parts(path: str) -> list[_Step]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/") or ".." in parts or "\0" in path:
        raise HostError(f"{path[:200]!r} is not an absolute path without ..")
    return [_Step(part) for part in parts]


@contextmanager
def _walk(root: Path) -> Iterator[_Walk]:
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    walk = _Walk([fd])
    try:
        yield walk
    finally:
        walk.close()


@dataclass(slots=True)
class _Walk:
    """One walk. `open_folders`: descriptors from the root to the present folder."""

    open_folders: list[int]
    links: int = 0

    @property
    def here(self) -> int:
        return self.open_folders[-1]

    def enter(self, parts: list[_Step], make: int | None = None) -> None:
        todo = deque(parts)
        while todo:
            step = todo.popleft()
            part = step.name
            if part == "..":
                self._up()
                continue
            fd = self._open(step, make)
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                todo.extendleft(reversed(self._follow(fd, part)))
            elif stat.S_ISDIR(os.fstat(fd).st_mode):
                self.open_folders.append(fd)
            else:
                os.close(fd)
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), part)

    def to(self, parts: list[_Step]) -> str:
        """Enters the folder that the last name leads to; returns the name there, or "" for the folder itself."""
        while parts:
            *before, last = parts
            self.enter(before)
            if last.name == "..":
                self._up()
                return ""
            try:
                fd = os.open(last.name, _STEP, dir_fd=self.here)
            except FileNotFoundError:
                last.refuse_if_of_a_link()
                return last.name
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                os.close(fd)
                return last.name
            parts = self._follow(fd, last.name)
        return ""

    def _up(self) -> None:
        if len(self.open_folders) > 1:
            os.close(self.open_folders.pop())

    def _open(self, step: _Step, make: int | None) -> int:
        part = step.name
        try:
            return os.open(part, _STEP, dir_fd=self.here)
        except FileNotFoundError:
            step.refuse_if_of_a_link()
            if make is None:
                raise
        with suppress(FileExistsError):
            # The mode is never wider than `make`, not even for a moment, whatever the umask is.
            os.mkdir(part, make & 0o700, dir_fd=self.here)
            made = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.here)
            try:
                os.fchmod(made, make)
            finally:
                os.close(made)
        return os.open(part, _STEP, dir_fd=self.here)

    def _follow(self, fd: int, part: str) -> list[_Step]:
        """Returns the parts of a link's target; an absolute one begins at the root of the walk. Closes the link."""
        try:
            said, owner = os.readlink("", dir_fd=fd), os.fstat(fd)
        finally:
            os.close(fd)
        where = Path(f"/proc/self/fd/{self.here}").readlink() / part
        self.links += 1
        if self.links > _MOST_LINKS:
            raise LeadsOut(f"{where}: too many links")
        doubt = distrust(owner) or distrust(os.fstat(self.here), self.here)
        if doubt:
            raise LeadsOut(
                f"the link {where} is not followed: {doubt}",
                advice="root or you must own the link and its folder, and no other user may write to the folder",
            )
        if said.startswith("/"):
            while len(self.open_folders) > 1:
                self._up()
        return [_Step(one, f"{where} leads to {said}") for one in said.split("/") if one not in ("", ".")]

    def close(self) -> None:
        for fd in self.open_folders:
            os.close(fd)
