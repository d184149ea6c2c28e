"""What the commands for backups have in common: the directory of a store, a cluster in it, and what is shown of a backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.completion import folders

if TYPE_CHECKING:
    from quorate.backup.catalog import Catalog
    from quorate.backup.folder import FolderStore
    from quorate.backup.manifest import Manifest

place_argument = click.argument("place", metavar="DIR", type=click.Path(path_type=Path), shell_complete=folders)
cluster_option = click.option("--cluster", metavar="ID", help="Only backups of this cluster, by its hex id.")


def store_at(place: Path) -> FolderStore:
    from quorate.backup.folder import FolderStore

    return FolderStore(place)


def catalog_at(place: Path) -> Catalog:
    from quorate.backup.catalog import catalog, store_in

    return catalog(store_in(place))


def id_of(text: str | None) -> int | None:
    from quorate.core.ids import parse_id

    return parse_id(text) if text is not None else None


def fields_of(manifest: Manifest) -> dict[str, object]:
    return {"id": manifest.id, **{key: value for key, value in manifest.as_dict().items() if key != "format"}}
