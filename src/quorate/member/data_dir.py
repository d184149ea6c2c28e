"""The data directory of a member on this host: made for a join, and restored by an undo."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.files import make_folder, private_folder, remove_file, remove_if_empty, write_atomic
from quorate.foreign.aside import meant_for
from quorate.foreign.trust import distrust_way
from quorate.host.member_data import of_member, refuse_taken, take_data
from quorate.member.spec import EtcdSpec

_MADE = "made-data-dir"
RECORD, OUTPUT, VARIABLES = "process.json", "output.log", "etcd.env"
_OURS = frozenset((_MADE, RECORD, OUTPUT, VARIABLES))
"""What we make in the folder next to the data."""


@dataclass(frozen=True, slots=True)
class DataDir:
    """The data directory of `spec`. `run_as`: the user who is to own the data; None for the current user."""

    spec: EtcdSpec
    run_as: str | None = None

    @property
    def is_begun(self) -> bool:
        """Returns whether a join of ours began here: only then may the data here be deleted. The folder next to the data may be
        empty, where the join was cut off at once; with nothing but files of others it is not ours any more."""
        beside = self.spec.beside
        if not beside.is_dir() or self.doubt:
            return False
        names = os.listdir(beside)
        return not names or any(map(_is_ours, names))

    @property
    def doubt(self) -> str:
        """Returns why another user may have written here; empty when none could. The folder next to the data decides what may
        be deleted, and holds variables of root's unit."""
        beside = self.spec.beside
        if not os.path.lexists(beside):
            return distrust_way(beside.parent) if beside.parent.exists() else ""
        return f"{beside} is a symlink" if beside.is_symlink() else distrust_way(beside)

    def prepare(self) -> None:
        """Makes the data directory, mode 0700, and records whether it existed before. Raises `HostError`."""
        beside, data = self.spec.beside, self.spec.data_dir
        refuse_taken(data)
        private_folder(beside)
        if not data.exists():
            write_atomic(beside / _MADE, b"", mode=0o600)
            make_folder(data)
            self._give_away(data)

    def _give_away(self, folder: Path) -> None:
        if self.run_as is None:
            return
        try:
            shutil.chown(folder, self.run_as, group=None)
            folder.chmod(0o700)
        except (OSError, LookupError) as error:
            raise HostError(f"cannot make {self.run_as} the owner of {folder}: {error}") from error

    def give_back(self, owner: int | None) -> None:
        """Deletes the member's data, and the data directory if we made it; deletes our files next to it. What others have put
        into either folder stays. Never follows a symlink. Raises `HostError`, and leaves all, where the data is of another
        member than `owner` (None: of any)."""
        data, beside = self.spec.data_dir, self.spec.beside
        if not self.is_begun:
            return
        if beside.is_symlink():
            raise HostError(f"{beside} is a symlink, which is not followed; nothing was deleted")
        take_data(data, of_member(owner))
        if (beside / _MADE).exists():
            remove_if_empty(data)
        # That of the directory last: by the others a run that is cut off here is known.
        for name in sorted(filter(_is_ours, os.listdir(beside)), key=_MADE.__eq__):
            remove_file(beside / name)
        remove_if_empty(beside)


def _is_ours(name: str) -> bool:
    return name in _OURS or meant_for(name) in _OURS
