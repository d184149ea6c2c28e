"""Deletes a member's data only as that of the member that a run has looked at (decision 25)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign import deletion
from quorate.host.etcd_identity import DataIdentity, data_owner

IsMeant = Callable[[DataIdentity], bool]
"""Returns whether data of this member may be deleted. It also gets `UNREADABLE`."""


def is_meant(data_dir: Path, meant: IsMeant) -> bool:
    """Returns whether a data directory is empty, or of a member whose data may be deleted."""
    found = data_owner(data_dir)
    return found is None or meant(found)


def take_data(data_dir: Path, meant: IsMeant) -> None:
    """Empties a data directory: takes its content away, looks at it there, and only then deletes it. Raises `HostError`, with
    nothing deleted, for data of another member: one that has joined here since this run looked."""
    if not deletion.take(os.path.abspath(data_dir), lambda taken: is_meant(taken, meant)):
        raise of_another(data_dir)


def refuse_another(data_dir: Path, meant: IsMeant) -> None:
    """Raises `HostError` for data of another member."""
    if not is_meant(data_dir, meant):
        raise of_another(data_dir)


def of_member(owner: int | None) -> IsMeant:
    """Returns what lets the data of the member with this id be deleted; None: of any, also where it cannot be read."""
    return lambda found: owner is None or found.member_id == owner != 0


def of_another(data_dir: Path) -> HostError:
    return HostError(
        f"the data in {data_dir} is of another etcd member than when this run looked: it was left as it is",
        advice="another program has joined this host since; look at its etcd, then run the same command again",
    )
