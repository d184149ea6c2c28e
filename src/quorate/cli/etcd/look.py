"""`quorate etcd look`: what a data directory or a snapshot says while no etcd serves it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.completion import files
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import echo, emit, output_option, print_table, size
from quorate.errors import QuorateError

if TYPE_CHECKING:
    from quorate.offline.look import Look


@command(ends=READS)
@click.argument("path", type=click.Path(path_type=Path), shell_complete=files)
@click.option("--deep", is_flag=True, help="Read every key, and compare the digest of a snapshot: seconds per gigabyte.")
@output_option()
def look(path: Path, deep: bool, form: str) -> None:
    """Look at a data directory of etcd, or at a snapshot, read only and without an etcd.

    PATH is the directory of --data-dir, or a file of 'etcdctl snapshot save'. A running etcd is not disturbed. Its newest
    entry, by term and index, tells which of several survivors has most: not the size of a file, nor its time. What cannot be
    read is named, and ends the command with 1.

    \b
    Examples:
      quorate etcd look /var/lib/etcd
      quorate etcd look backup.db --deep
    """
    from quorate.offline.look import look as looked

    show_look(looked(path, deep=deep), form)


def show_look(found: Look, form: str) -> None:
    """Shows a look. Raises `Exit` with 1 where something could not be read."""
    emit(form, "EtcdLook", found.as_dict(), lambda: _print(found))
    if found.problems:
        raise click.exceptions.Exit(QuorateError.exit_code)


def _print(found: Look) -> None:
    for name, text in _rows(found):
        echo(f"{name:<13}{text}")
    if found.backend is not None and found.backend.members:
        rows = [
            (f"{one.id:x}", one.name, "learner" if one.is_learner else "voter", ",".join(one.peer_urls))
            for one in found.backend.members
        ]
        print_table(("ID", "NAME", "ROLE", "PEER URLS"), rows)
    for problem in found.problems:
        echo(f"problem: {problem}")


def _rows(found: Look) -> list[tuple[str, str]]:
    term, index = found.last
    rows = [(found.kind.split()[-1], f"{found.path} ({size(found.size)})")]
    if found.cluster_id:
        rows.append(("member", f"{found.member_id:x} of cluster {found.cluster_id:x}"))
    rows.append(("newest entry", f"{index} of term {term}{_tail(found)}" if index else "not known"))
    rows.append(("revision", str(found.revision) if found.backend is not None else "not known"))
    if found.backend is not None:
        one = found.backend
        rows.append(("version", one.storage_version or one.cluster_version or "unknown"))
        rows += [("alarm", f"{kind} of {member:x}") for member, kind in one.alarms]
        if one.auth:
            rows.append(("login", f"needed: {one.users} users"))
    if found.kind == "snapshot":
        rows.append(("digest", found.digest))
    if found.walk is not None:
        rows.append(("keys", f"{found.walk.keys}, in {found.walk.entries} entries"))
        if found.walk.newest_lease is not None:
            rows.append(("data as of", f"{found.walk.newest_lease:%Y-%m-%d %H:%M:%S} UTC"))
        rows += [("encrypted by", name) for name in sorted(found.walk.encryption_keys)]
    return rows


def _tail(found: Look) -> str:
    if found.log is None:
        return ""
    torn = f"; its end is not whole: {found.log.torn}" if found.log.torn else ""
    tail = found.log.tail()
    return f", of which {tail} past the commit index {found.log.commit}{torn}" if tail else torn
