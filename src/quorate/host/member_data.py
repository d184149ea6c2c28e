"""Deletes a member's data only as that of the member that a run has looked at (decision 25)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign import taking
from quorate.foreign.places import Stamp, stamp_at
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.host.etcd_identity import (
    MEMBER,
    UNREADABLE,
    DataIdentity,
    data_owner,
    member_owner,
    named,
    owner_in,
    strangers,
)
from quorate.host.running_etcds import open_in

IsMeant = Callable[[DataIdentity], bool]
"""Returns whether data of this member may be deleted. It also gets `UNREADABLE`."""

_TELLING = ("", "wal", "snap")
"""The folders of a member that its etcd makes once, whose stamps tell them from those of a restored snapshot."""


@dataclass(frozen=True, slots=True)
class DataSeen:
    """What one look has found in a data directory. `owner`: whose data it is (`data_owner`); `folders`: the stamps of its
    folders; `beside`: what lies there beside `member`.

    The ids alone do not tell it: a snapshot that is restored with the same name, URLs and token has the same ids, and may be
    the only copy of what was acknowledged."""

    owner: DataIdentity | None = None
    folders: tuple[Stamp | None, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Returns what a deletion of this data may take: also a `member` that comes later, which is looked at."""
        return (*self.beside, MEMBER)

    def is_still_in(self, data_dir: Path) -> bool:
        """Returns whether the data of a directory is what was seen, or was deleted since, wherever it is moved there."""
        return self._is(member_owner(data_dir), _folders_of(data_dir))

    def is_meant(self, taken: Path) -> bool:
        """Returns whether the entries of a folder, as they are taken away, are those that were seen. What an etcd makes before
        it has its identity is; what lies beside a member is not without the member."""
        owner = owner_in(taken)
        if owner is None and self.owner is not None and stamp_at(taken / MEMBER) is None:
            return False
        return self._is(owner, _folders_in(taken))

    def _is(self, owner: DataIdentity | None, folders: tuple[Stamp | None, ...]) -> bool:
        # Of data that cannot be read only the folders tell which it is.
        return owner is None or (owner == self.owner and folders == self.folders and folders[0] is not None)


NOTHING_SEEN = DataSeen()


def look_at(data_dir: Path) -> DataSeen:
    """Returns what is in a data directory."""
    beside = dict.fromkeys(name.removeprefix(f"{TAKEN}/") for name in strangers(data_dir))
    before, owner, folders = _folders_of(data_dir), data_owner(data_dir), _folders_of(data_dir)
    # Replaced between the two looks: then it is no data that was looked at, and nothing equals it.
    return DataSeen(owner, folders if folders == before else (None,), tuple(beside))


def _folders_of(data_dir: Path) -> tuple[Stamp | None, ...]:
    return _folders_in(data_dir if owner_in(data_dir) is not None else data_dir / TAKEN)


def _folders_in(folder: Path) -> tuple[Stamp | None, ...]:
    try:
        return tuple(stamp_at(folder / MEMBER / name) for name in _TELLING)
    except OSError:
        return (None,)


def take_data(data_dir: Path, meant: IsMeant) -> None:
    """Deletes the data of a member, and nothing beside it: takes `member` away, looks at it there, and only then deletes it.
    Raises `HostError`, with nothing deleted, for data of another member, one that has joined here since this run looked, and
    for data on which an etcd runs."""

    def is_meant(taken: Path) -> bool:
        refuse_open(taken, data_dir)
        return _may_go(owner_in(taken), meant)

    if not taking.take_named(os.path.abspath(data_dir), [MEMBER], is_meant):
        raise of_another(data_dir)


def refuse_open(taken: Path, data_dir: Path) -> None:
    """Raises `HostError` where an etcd has the data open that was taken away, or would be: whatever started it, it serves."""
    if (found := open_in(taken)) is not None:
        raise HostError(
            f"an etcd runs on the data in {data_dir} (pid {found.pid}): it was left as it is",
            advice="stop it, and what starts it, then run the same command again",
        )


def refuse_another(data_dir: Path, meant: IsMeant) -> None:
    """Raises `HostError` for data of another member."""
    if not _may_go(member_owner(data_dir), meant):
        raise of_another(data_dir)


def _may_go(found: DataIdentity | None, meant: IsMeant) -> bool:
    return found is None or meant(found)


def of_member(owner: int | None) -> IsMeant:
    """Returns what lets the data of the member with this id be deleted; None: of any, also where it cannot be read."""
    return lambda found: owner is None or found.member_id == owner != 0


def of_another(data_dir: Path) -> HostError:
    """Returns the error for data that is not what was looked at."""
    if member_owner(data_dir) == UNREADABLE:
        return HostError(
            f"it cannot be read of which etcd member the data in {data_dir} is: it was left as it is",
            advice="look at it; where no member needs it, move it away, then run the same command again",
        )
    return HostError(
        f"the data in {data_dir} is of another etcd member than when this run looked, or was restored since: it was left as "
        "it is",
        advice="another program has made a member on this host since; look at its etcd, then run the same command again",
    )


def has_leftovers(data_dir: Path) -> bool:
    """Returns whether there is anything in a data directory that `take_data` would delete, or would refuse to."""
    return any(os.path.lexists(data_dir / name) for name in (MEMBER, TAKEN, JUDGED))


def settle(data_dir: Path) -> None:
    """Ends what a run that was cut off began to delete: see `taking.settle`."""
    if os.path.lexists(data_dir / TAKEN) or os.path.lexists(data_dir / JUDGED):
        taking.settle(os.path.abspath(data_dir))


def refuse_taken(data_dir: Path) -> None:
    """Raises `HostError` where data lies that a run has taken away: an etcd that is started there begins without it."""
    if os.path.lexists(data_dir / TAKEN):
        raise HostError(
            f"{data_dir / TAKEN} holds data that a run which was cut off had taken away, to delete it",
            state="no etcd was started beside it",
            advice=f"look whose it is: move it back to {data_dir}, or delete it; then run the same command again",
        )


def left_beside(data_dir: Path) -> str:
    """Returns what lies in a data directory after its member was deleted, in words; empty where nothing does."""
    left = strangers(data_dir)
    return f"{data_dir} also holds {named(left)}: it was left as it is" if left else ""
