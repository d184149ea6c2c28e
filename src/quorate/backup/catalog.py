"""What a store of backups holds: whole ones by their manifests, and what is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.backup.folder import FolderStore, Stored
from quorate.backup.manifest import MOST_BYTES, SUFFIX, Manifest, read_manifest
from quorate.core.ids import format_id
from quorate.core.suggestions import close, did_you_mean
from quorate.errors import ConfigError, QuorateError

BLOB_SUFFIX = ".db"
LATEST = "latest"


class NoSuchBackup(ConfigError):
    """The store has no backup of that name."""

    code = "no-such-backup"
    next_step = "quorate etcd backup list shows them"


@dataclass(frozen=True, slots=True)
class Catalog:
    """`backups`: newest first. `unfinished`: files without a manifest: their run was killed, or is still at it. `problems`:
    manifests that cannot be read, and those whose file is gone or has another size."""

    backups: tuple[Manifest, ...]
    unfinished: tuple[Stored, ...]
    problems: tuple[str, ...]

    def of(self, cluster_id: int | None) -> tuple[Manifest, ...]:
        return tuple(one for one in self.backups if cluster_id is None or one.cluster_id == cluster_id)


def catalog(store: FolderStore) -> Catalog:
    """Reads the manifests of every cluster in the store. Raises `HostError`."""
    stored = {one.name: one for one in store.stored()}
    backups, problems, named = list[Manifest](), list[str](), set[str]()
    for name in (one for one in stored if one.endswith(SUFFIX)):
        try:
            manifest = read_manifest(store.read(name, MOST_BYTES), name)
        except QuorateError as error:
            problems.append(error.what)
            continue
        named.add(blob_of(manifest))
        if why := _why_not(manifest, name, stored.get(blob_of(manifest))):
            problems.append(f"{name}: {why}")
        else:
            backups.append(manifest)
    unfinished = tuple(one for name, one in stored.items() if name.endswith(BLOB_SUFFIX) and name not in named)
    return Catalog(tuple(sorted(backups, key=lambda one: (one.taken_at, one.id), reverse=True)), unfinished, tuple(problems))


def blob_of(manifest: Manifest) -> str:
    """Returns the file of a backup, by its name in the store."""
    return f"{format_id(manifest.cluster_id)}/{manifest.blob.name}"


def _why_not(manifest: Manifest, name: str, blob: Stored | None) -> str:
    if manifest.id + SUFFIX != name:
        # Copied by hand, or written by somebody: by its own words it is another one.
        return f"it is the manifest of {manifest.id}"
    if blob is None:
        return "its file is gone"
    if blob.size != manifest.blob.size:
        return f"its file has {blob.size} bytes instead of {manifest.blob.size}"
    return ""


def find(found: Catalog, which: str, cluster_id: int | None = None) -> Manifest:
    """Returns the backup that is meant by `which`: `latest`, or its id, or the end of its id that no other has. Raises
    `NoSuchBackup` and, where several are meant, `ConfigError`."""
    able = found.of(cluster_id)
    if which == LATEST:
        _one_cluster(able)
        if able:
            return able[0]
        raise NoSuchBackup("there is no backup", advice="see the problems: quorate etcd backup list")
    meant = [one for one in able if which in (one.id, one.id.partition("/")[2])]
    if len(meant) > 1:
        raise ConfigError(f"{which} is a backup of several clusters: {', '.join(one.id for one in meant)}")
    if not meant:
        near = did_you_mean(close(which, [one.id for one in able] + [one.id.partition("/")[2] for one in able])[:1])
        raise NoSuchBackup(f"{which} is no backup here", advice=near)
    return meant[0]


def _one_cluster(backups: Sequence[Manifest]) -> None:
    ids = sorted({format_id(one.cluster_id) for one in backups})
    if len(ids) > 1:
        raise ConfigError(
            f"there are backups of several clusters: {', '.join(ids)}",
            advice="name one with --cluster, or the backup by its id",
        )
