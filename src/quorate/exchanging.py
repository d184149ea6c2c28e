"""Files that belong together, replaced together: all of them, or none.

Each new file is written beside its place, and the two names are exchanged in one step. So what was displaced is there to be
looked at, and to be given back, also on a full disk: a key and the certificate of another are of no use to anybody, and the old
key would be nowhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from quorate.errors import HostError
from quorate.files import beside
from quorate.foreign import kernel, places
from quorate.foreign.aside import exchanged, locked, sync
from quorate.foreign.inside import Place
from quorate.foreign.kernel import rename_new
from quorate.foreign.unbroken import unbroken

_MOST_BYTES = 64 << 20
_RESCUED, _MOST_RESCUED = ".quorate-old", 10


@dataclass(frozen=True, slots=True)
class Swap:
    """A new file beside its place. `path`: of the place, for messages; `made`: device and inode of the new file, by which it is
    known wherever it is; `content`: of it; `instead_of`: what was read at the place before, None where there was nothing."""

    path: str
    folder: int
    name: str
    aside: str
    made: tuple[int, int]
    content: bytes
    instead_of: bytes | None

    def refuse_changed(self) -> None:
        """Raises `HostError` where something else is there than was read, such as after an edit by hand; OSError."""
        if self._content(self.name) != self.instead_of:
            raise _written_meanwhile(self.path)

    def put_alone(self) -> None:
        """Gives the new file its place by one rename: where two names are exchanged, who watches the folder sees the old one
        come and go, and the kubelet stops the static pod. Raises as `put`."""
        if self.instead_of is None:
            self.put()
        else:
            self._put_slowly()
            sync(self.folder)

    def put(self) -> None:
        """Gives the new file its place. Raises `HostError` where something else was there than was read; OSError."""
        if self.instead_of is None:
            try:
                rename_new(self.aside, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            except FileExistsError:
                raise _written_meanwhile(self.path) from None
        elif kernel.exchange(self.folder, self.aside, self.name):
            if self._content(self.aside) != self.instead_of:
                raise _written_meanwhile(self.path)
        else:
            self._put_slowly()
        sync(self.folder)

    def _put_slowly(self) -> None:
        """Replaces the file where names cannot be exchanged: what comes between the look and the rename is lost."""
        self.refuse_changed()
        try:
            os.link(self.name, self.kept, src_dir_fd=self.folder, dst_dir_fd=self.folder, follow_symlinks=False)
        except OSError:
            self._copy_to_kept()
        os.rename(self.aside, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def _copy_to_kept(self) -> None:
        """Where there are no links either, the old content has to be written once more: without it there is no way back."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        like = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        with os.fdopen(os.open(self.kept, flags, 0o600, dir_fd=self.folder), "wb") as file:
            with suppress(OSError):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
            file.write(self.instead_of or b"")
            file.flush()
            os.fsync(file.fileno())

    @property
    def kept(self) -> str:
        """Another name for what is displaced where names cannot be exchanged. A sweep knows it, too."""
        return f"{self.aside[:-1]}{'1' if self.aside.endswith('0') else '0'}"

    def undo(self) -> None:
        """Gives what was displaced its place back, wherever this was cut off. Where something else has the place by now, it
        stays, also where it was written into the file that this has put there, as kubeadm does. Raises OSError."""
        if self._which(self.name) != self.made or self._content(self.name) != self.content:
            return
        if self.instead_of is None:
            rename_new(self.name, self.aside, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        elif self._which(self.kept) is not None:
            os.rename(self.kept, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        elif self._which(self.aside) is not None and not kernel.exchange(self.folder, self.aside, self.name):
            os.rename(self.aside, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        sync(self.folder)

    def rescue(self) -> str:
        """Returns the path under which what is displaced stays, where it could not be given its place back; empty where there
        is nothing to rescue."""
        held = next((one for one in (self.kept, self.aside) if self._which(one) not in (None, self.made)), "")
        if not held:
            return ""
        folder = self.path.rpartition("/")[0]
        for number in range(_MOST_RESCUED):
            name = f"{self.name}{_RESCUED}{f'-{number}' if number else ''}"
            with suppress(OSError):
                os.link(held, name, src_dir_fd=self.folder, dst_dir_fd=self.folder, follow_symlinks=False)
                return f"{folder}/{name}"
            with suppress(OSError):
                # Where there are no links. Under the name that it has now a later write would sweep it.
                rename_new(held, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
                return f"{folder}/{name}"
        return f"{folder}/{held}"

    def forget_second_name(self) -> None:
        """Deletes the other name, or the copy, of what is displaced where the new file does not have its place."""
        with suppress(OSError):
            if self._which(self.name) != self.made:
                self.forget()

    def forget(self) -> None:
        """Deletes what is displaced."""
        with suppress(OSError):
            os.unlink(self.kept, dir_fd=self.folder)

    def _which(self, name: str) -> tuple[int, int] | None:
        try:
            found = os.stat(name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _content(self, name: str) -> bytes | None:
        try:
            return places.content(Place(self.folder, name), -_MOST_BYTES)
        except FileNotFoundError:
            return None


@contextmanager
def prepared(path: str, place: Place, content: bytes, *, mode: int, instead_of: bytes | None) -> Iterator[Swap]:
    """Writes a new file beside its place, for the block. `mode`: that of the file where there is none yet; one that is there
    gives its own, and its owner, group, access list and label. Raises OSError, and as `replaceable`."""
    there = places.replaceable(place)
    mode = stat.S_IMODE(there.st_mode) if there else mode
    with (
        beside(place.folder, place.name, content, mode=mode, like=there, named=exchanged) as aside,
        locked(place.folder, place.name),
    ):
        made = os.stat(aside, dir_fd=place.folder, follow_symlinks=False)
        swap = Swap(path, place.folder, place.name, aside, (made.st_dev, made.st_ino), content, instead_of)
        try:
            yield swap
        except BaseException:
            # Where it could not be given back it is the only one.
            swap.forget_second_name()
            raise
        swap.forget()


def put_all(swaps: Sequence[Swap]) -> None:
    """Puts each file into its place, in this order. Where one fails, or this is interrupted, what was there gets its place
    back, also behind the last one. Raises `HostError`, and what interrupts it. A signal waits until all or none is done: the
    undo would be cut off by the next one."""
    with unbroken():
        _put_all(swaps)


def _put_all(swaps: Sequence[Swap]) -> None:
    begun: list[Swap] = []
    try:
        for swap in swaps:
            begun.append(swap)
            try:
                swap.put() if len(swaps) > 1 else swap.put_alone()
            except OSError as error:
                raise HostError(f"cannot write {swap.path}: {error.strerror}") from error
    except BaseException as error:
        rescued = [name for swap in reversed(begun) if (name := _undo(swap))]
        if rescued and isinstance(error, HostError):
            kept = f"what was there before could not be put back, and is kept as {', '.join(rescued)}"
            raise HostError(f"{error.what}; {kept}", advice=error.own_advice) from error
        raise


def _undo(swap: Swap) -> str:
    """Undoes it; returns where the old file is kept if that fails. What stays is shown by its content."""
    try:
        swap.undo()
    except (OSError, HostError):
        return swap.rescue()
    return ""


def _written_meanwhile(path: str) -> HostError:
    return HostError(
        f"another program wrote {path} meanwhile: it was left as it is",
        advice="let the other program end, then run the same command again",
    )
