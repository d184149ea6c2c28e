"""One command at a time works on the place of a member on this host, from its checks to the end of its undo.

Without it a join that was suspended in its undo deleted the data of the voter that the same command, run again, had joined
there since: the learner seat is a lease, and is free after ten seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quorate.deadline import Clock
from quorate.errors import HostError, PreflightFailed
from quorate.files import make_folder, remove_if_empty
from quorate.host import lock
from quorate.member.spec import EtcdSpec, check_place
from quorate.report import Notice, Report

_SECONDS = 5.0
"""A command that is about to end is waited for; any other is named."""


@contextmanager
def working_on(spec: EtcdSpec, clock: Clock, report: Report) -> Iterator[None]:
    """Holds the lock for the block. Raises `Refused`, which names the command that holds it, and as `refuse_place`."""
    refuse_place(spec)
    data = Path(os.path.realpath(spec.data_dir))
    path = data.with_name(f".{data.name}.quorate.lock")

    missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]

    def tell(text: str) -> None:
        report(Notice(text))

    with lock.hold(
        path,
        command=f"etcd add {spec.name}",
        clock=clock,
        seconds=_SECONDS,
        tell=tell,
        prepare=lambda: _make_parents(path.parent),
        what=f"the member in {spec.data_dir}",
    ) as held:
        try:
            yield
        finally:
            held.remove()
            for folder in missing:
                remove_if_empty(folder)


def refuse_place(spec: EtcdSpec) -> None:
    """Raises `ConfigError` for a data directory that leads to a place where nothing can be kept next to it, and
    `PreflightFailed` for one on a file system that is read-only."""
    data = Path(os.path.realpath(spec.data_dir))
    check_place(data)
    above = next(one for one in data.parents if one.exists())
    # A data directory that is a mount itself has its records next to it, on another file system.
    for folder in (above, *([data] if data.exists() else [])):
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            raise PreflightFailed(
                f"{folder} is on a file system that is mounted read-only: no member can be in {spec.data_dir}",
                state="nothing was changed",
                advice="mount it writable, or choose another directory with --data-dir",
            )


def _make_parents(folder: Path) -> None:
    try:
        make_folder(folder)
    except HostError as error:
        error.state = error.state or "nothing was changed"
        raise
