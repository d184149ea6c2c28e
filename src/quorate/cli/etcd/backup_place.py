"""What the commands for backups have in common: the place of a store, a cluster in it, and what is shown of a backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.completion import files, folders

if TYPE_CHECKING:
    from quorate.backup.catalog import Catalog
    from quorate.backup.content import Opener
    from quorate.backup.manifest import Manifest
    from quorate.backup.store import Store
    from quorate.deadline import SystemClock

WORK = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it, which others can neither read nor rename


place_argument = click.argument("place", metavar="DIR", shell_complete=folders)
cluster_option = click.option("--cluster", metavar="ID", help="Only backups of this cluster, by its hex id.")
work_option = click.option(
    "--work",
    type=click.Path(path_type=Path),
    shell_complete=folders,
    default=WORK,
    show_default=True,
    help="Directory of this machine for what is unpacked, fetched or sent.",
)
identity_option = click.option(
    "--identity",
    metavar="FILE",
    type=click.Path(path_type=Path),
    shell_complete=files,
    help="Who opens it, where it is encrypted: a file of age-keygen, or a private key of SSH.",
)


def store_at(place: str, work: Path = WORK, clock: SystemClock | None = None) -> Store:
    """Returns the store, which need not be there yet."""
    from quorate.backup.folder import FolderStore
    from quorate.backup.objects import at_url, is_url
    from quorate.deadline import SystemClock

    return at_url(place, work, clock or SystemClock()) if is_url(place) else FolderStore(Path(place))


def store_there(place: str, work: Path = WORK, clock: SystemClock | None = None) -> Store:
    """Returns the store. Raises `ConfigError` for a directory that is none."""
    from quorate.backup.catalog import refuse_no_store
    from quorate.backup.objects import is_url

    if not is_url(place):
        refuse_no_store(Path(place))
    return store_at(place, work, clock)


def catalog_at(place: str) -> Catalog:
    from quorate.backup.catalog import catalog

    return catalog(store_there(place))


def opener(identity: Path | None, work: Path) -> Opener:
    from quorate.backup.content import Opener, sweep_work
    from quorate.backup.packing import identities

    sweep_work(work)
    return Opener(identities(identity) if identity is not None else None, work)


def id_of(text: str | None) -> int | None:
    from quorate.core.ids import parse_id

    return parse_id(text) if text is not None else None


def fields_of(manifest: Manifest) -> dict[str, object]:
    return {"id": manifest.id, **{key: value for key, value in manifest.as_dict().items() if key != "format"}}
