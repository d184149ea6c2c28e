"""`quorate etcd snapshot save|status|restore`: backups in the spelling of etcdctl and etcdutl, with the same checks as ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from quorate.cli.common.commands import group
from quorate.cli.common.completion import files, folders
from quorate.cli.common.exit_codes import CHANGES, READS
from quorate.cli.common.output import echo, emit, size
from quorate.cli.etcd.connection import CONNECTION, connection_options
from quorate.cli.etcd.look import show_look
from quorate.cli.etcd.opening import cluster_opened
from quorate.core.decide_restore import DEFAULT_QUOTA
from quorate.errors import ConfigError, Refused

if TYPE_CHECKING:
    from quorate.backup.save import SavedFile

_LOCAL = "http://localhost:2380"
_form = click.option(
    *("-o", "--output", "-w", "--write-out", "form"),
    type=click.Choice(["table", "json", "yaml", "simple"]),
    default="table",
    callback=lambda _ctx, _param, value: "table" if value == "simple" else value,
    help="Output format.",
)
"""As of every command, also in etcdctl's spelling."""


@group("snapshot", hands_down=CONNECTION)
@connection_options
def snapshot() -> None:
    """Save and restore single files, in the spelling of etcdctl and etcdutl.

    The checks are those of 'quorate etcd backup' and 'quorate etcd restore': the digest is compared and every key read, and one
    member is restored, which the others join.

    \b
    Examples:
      quorate etcd snapshot save backup.db
      quorate etcd snapshot status backup.db
    """


@snapshot.command(ends=CHANGES)
@click.argument("file", type=click.Path(path_type=Path), shell_complete=files)
@connection_options
@_form
def save(file: Path, form: str) -> None:
    """Save a snapshot in FILE, with every write that was acknowledged before this command.

    The member that is disturbed least is asked. A file that is there stays as it is. No manifest is written: 'quorate etcd
    backup save' keeps several, and says which are whole.

    \b
    Example:
      quorate etcd snapshot save backup.db --endpoints https://10.0.0.1:2379
    """
    from quorate.backup.save import Wish, save_file

    place = file.absolute()
    if place.is_dir():
        raise ConfigError(
            f"{file} is a directory", advice="name a file; a directory of backups is for 'quorate etcd backup save'"
        )
    if place.exists():
        raise ConfigError(f"{file} is there already, and was left as it is", advice="name another file, or move that one away")
    with cluster_opened() as cluster:
        saved = save_file(cluster, place, Wish())
    emit(form, "EtcdSnapshot", _fields(saved), lambda: _say(saved))


def _fields(saved: SavedFile) -> dict[str, object]:
    return {
        "file": str(saved.path),
        "from": saved.source,
        "keys": saved.keys,
        "revision": saved.revision,
        "bytes": saved.size,
    }


def _say(saved: SavedFile) -> None:
    echo(f"saved {saved.path}: {saved.keys} keys at revision {saved.revision}, {size(saved.size)}, from {saved.source}")


@snapshot.command(ends=READS)
@click.argument("file", type=click.Path(path_type=Path), shell_complete=files)
@_form
def status(file: Path, form: str) -> None:
    """Show what a snapshot has, with its digest compared and every key read; ends with 1 where it is damaged, or has no digest.

    \b
    Example:
      quorate etcd snapshot status backup.db
    """
    from dataclasses import replace

    from quorate.offline.look import look

    found = look(file, deep=True)
    if found.kind == "snapshot" and found.digest == "missing" and not found.problems:
        found = replace(found, problems=("it has no digest: nothing shows that it is whole, and no restore takes it",))
    show_look(found, form)


@snapshot.command(ends=CHANGES)
@click.argument("file", type=click.Path(path_type=Path), shell_complete=files)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    shell_complete=folders,
    help="Where its etcd will look.  [default: NAME.etcd]",
)
@click.option("--name", default="default", show_default=True, help="Name of the one voter.")
@click.option(
    "--initial-advertise-peer-urls", "peer_url", default=_LOCAL, show_default=True, metavar="URL", help="Its peer URL."
)
@click.option("--initial-cluster", metavar="NAME=URL", help="It alone: NAME=URL. Several rows are refused.")
@click.option("--initial-cluster-token", "token", metavar="TOKEN", help="Refused: each new cluster gets a random one.")
@click.option("--bump-revision", metavar="N", help="The revision jumps by itself, far enough.")
@click.option("--mark-compacted", is_flag=True, help="Always so.")
@click.option("--skip-hash-check", is_flag=True, help="Refused.")
@click.option("--wal-dir", metavar="DIR", shell_complete=folders, help="Refused: data and log are renamed at once.")
@click.option("--dry-run", is_flag=True, help="Judge all of it; make nothing.")
@_form
def restore(
    file: Path,
    data_dir: Path | None,
    name: str,
    peer_url: str,
    initial_cluster: str | None,
    token: str | None,
    bump_revision: str | None,  # noqa: ARG001
    mark_compacted: bool,  # noqa: ARG001
    skip_hash_check: bool,
    wal_dir: str | None,
    dry_run: bool,
    form: str,
) -> None:
    """Restore FILE to one voter of a new cluster, as 'quorate etcd restore' does; the others join it.

    \b
    Example:
      quorate etcd snapshot restore backup.db --data-dir /var/lib/etcd --name cp1 \\
          --initial-advertise-peer-urls https://10.0.0.1:2380
    """
    from quorate.cli.etcd.restore import From, Given, restored

    if initial_cluster is not None:
        _refuse_several(initial_cluster, name, peer_url)
    if token is not None:
        _refuse(
            "a cluster that is restored with a token that is known is taken over by members of the old one that come back",
            "leave out --initial-cluster-token: it gets a random one",
        )
    if skip_hash_check:
        _refuse(
            "a file whose digest was not compared may serve wrong values",
            "for the data of a stopped member: quorate etcd recover DIR, which seals what it reads",
        )
    if wal_dir is not None:
        _refuse(
            "a log elsewhere cannot be put in its place at once with the data", "leave out --wal-dir; start etcd without it"
        )
    place = data_dir if data_dir is not None else Path(f"{name}.etcd")
    restored(
        str(file),
        Given("latest", place, name, peer_url, DEFAULT_QUOTA, 0, set_aside=False, etcd=None, etcdutl=None),
        From(),
        form,
        dry_run=dry_run,
    )


def _refuse_several(rows: str, name: str, peer_url: str) -> None:
    """Raises `Refused` for more than the one member: of several that are restored from one file, each with its own jump, the
    histories differ, and etcd raises no alarm."""
    given = [row for row in rows.split(",") if row]
    if len(given) != 1:
        _refuse(
            f"--initial-cluster names {len(given)} members, and one is restored: others would have histories of their own",
            "name it alone; when its etcd serves, add the others one by one: quorate etcd add NAME",
        )
    own, _, url = given[0].partition("=")
    if own != name or url != peer_url:
        raise ConfigError(
            f"--initial-cluster is {given[0]!r}, and the member is {name}={peer_url}",
            advice="leave out --initial-cluster, or give both the same",
        )


def _refuse(why: str, advice: str) -> NoReturn:
    raise Refused(why, state="nothing was made", advice=advice)
