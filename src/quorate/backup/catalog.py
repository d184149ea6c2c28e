"""What a store of backups holds: whole ones by their manifests, and what is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.backup.manifest import MOST_BYTES, SUFFIX, Blob, Manifest, is_blob_name, is_cluster_folder, read_manifest, stem_of
from quorate.backup.store import Store, Stored
from quorate.core.ids import format_id
from quorate.core.suggestions import close, did_you_mean
from quorate.errors import ConfigError, QuorateError
from quorate.foreign.text import to_paste

LATEST = "latest"


class NoSuchBackup(ConfigError):
    """The store has no backup of that name."""

    code = "no-such-backup"
    next_step = "'quorate etcd backup list DIR' shows those that there are"


@dataclass(frozen=True, slots=True)
class Catalog:
    """`place`: of the store; `backups`: newest first. `unfinished`: files of ours without a manifest: their run was killed, or
    is still at it. A file of another name is somebody's, and a manifest that cannot be read is one. `problems`: such manifests,
    and those whose file is gone or has another size."""

    place: str
    backups: tuple[Manifest, ...]
    unfinished: tuple[Stored, ...]
    problems: tuple[str, ...]

    def of(self, cluster_id: int | None) -> tuple[Manifest, ...]:
        return tuple(one for one in self.backups if cluster_id is None or one.cluster_id == cluster_id)


def catalog(store: Store) -> Catalog:
    """Reads the manifests of every cluster in the store. Raises `HostError`."""
    stored = {one.name: one for one in store.stored()}
    backups, problems, named = list[Manifest](), list[str](), set[str]()
    for name in (one for one in stored if one.endswith(SUFFIX)):
        try:
            manifest = read_manifest(store.read(name, MOST_BYTES), name)
        except QuorateError as error:
            problems.append(error.what)
            continue
        named |= {file_of(manifest, one) for one in manifest.files}
        if why := _why_not(manifest, name, stored):
            problems.append(f"{name}: {why}")
        else:
            backups.append(manifest)
    unfinished = tuple(
        one
        for name, one in stored.items()
        if name not in named and _is_ours(name) and f"{Path(name).parent}/{stem_of(Path(name).name)}{SUFFIX}" not in stored
    )
    newest_first = tuple(sorted(backups, key=lambda one: (one.taken_at, one.id), reverse=True))
    return Catalog(store.place, newest_first, unfinished, tuple(problems))


def _is_ours(name: str) -> bool:
    """Returns whether a file has the name of a backup, in the folder of a cluster."""
    folder, _, file = name.rpartition("/")
    return is_cluster_folder(folder) and is_blob_name(file)


def file_of(manifest: Manifest, blob: Blob) -> str:
    """Returns one of the files of a backup, by its name in the store."""
    return f"{format_id(manifest.cluster_id)}/{blob.name}"


def blob_of(manifest: Manifest) -> str:
    """Returns the file of a backup with the snapshot, by its name in the store."""
    return file_of(manifest, manifest.blob)


def _why_not(manifest: Manifest, name: str, stored: Mapping[str, Stored]) -> str:
    if manifest.id + SUFFIX != name:
        # Copied by hand, or written by somebody: by its own words it is another one.
        return f"it is the manifest of {manifest.id}"
    for one in manifest.files:
        found = stored.get(file_of(manifest, one))
        if found is None:
            return f"its file {one.name} is gone"
        if found.size != one.size:
            return f"its file {one.name} has {found.size} bytes instead of {one.size}"
    return ""


def find(found: Catalog, which: str, cluster_id: int | None = None) -> Manifest:
    """Returns the backup that is meant by `which`: `latest`, of those that are not known to be damaged, or its id, or the end
    of its id that no other has. Raises `NoSuchBackup` and, where several are meant, `ConfigError`."""
    able = found.of(cluster_id)
    if which == LATEST:
        _one_cluster(able)
        if able:
            return next((one for one in able if one.damaged is None), able[0])
        raise NoSuchBackup(f"there is no backup in {found.place}", advice=_listing(found))
    meant = [one for one in able if which in (one.id, one.id.partition("/")[2])]
    if len(meant) > 1:
        raise ConfigError(f"{which} is a backup of several clusters: {', '.join(one.id for one in meant)}")
    if not meant:
        near = did_you_mean(close(which, [one.id for one in able] + [one.id.partition("/")[2] for one in able])[:1])
        raise NoSuchBackup(f"{which} is no backup in {found.place}", advice=near or _listing(found))
    return meant[0]


def _listing(found: Catalog) -> str:
    shows = to_paste("quorate", "etcd", "backup", "list", found.place)
    return f"{shows}    # shows what is there"


def refuse_no_store(place: Path) -> None:
    """Raises `ConfigError` for a directory that is no store: a backup would be said not to exist."""
    what = _what_else(place)
    if what is not None:
        raise ConfigError(what[0], state="nothing was changed", advice=what[1])


def _what_else(place: Path) -> tuple[str, str] | None:
    named = f"name the directory of 'quorate etcd backup save'; {place}"
    if not place.is_dir():
        return f"{place} is no directory", "name the directory of 'quorate etcd backup save'"
    if (place / "member").is_dir():
        return f"{place} is the data directory of a member", f"{named} is shown by 'quorate etcd look'"
    if any(is_blob_name(one.name) for one in place.iterdir()):
        return f"{place} holds the backups of one cluster", f"name the directory above it: {place.parent}"
    return None


def _one_cluster(backups: Sequence[Manifest]) -> None:
    ids = sorted({format_id(one.cluster_id) for one in backups})
    if len(ids) > 1:
        raise ConfigError(
            f"there are backups of several clusters: {', '.join(ids)}",
            advice="name one with --cluster, or the backup by its id",
        )
