"""Makes a backup: from the member that is disturbed least, through the quorum, checked before it counts.

1. Choose the member; a linearizable look has shown what the leader had committed.
2. Wait until that member has applied it: a backup must hold every write that was acknowledged before the command began.
3. Stream to a file without a name, and compare etcd's digest, which `etcdctl snapshot save` does not.
4. Read every key of it: a file that cannot be read is found today, not on the day when it is needed.
5. Where it is asked for: compress it, and encrypt it.
6. Give it its name, and write its manifest last. A file without a manifest was never finished.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from quorate.backup.folder import PlainFolder
from quorate.backup.manifest import AGE, PLAIN, SUFFIX, WALKED, ZSTD, Blob, Manifest, Packing, Saved, Verified, stem_for
from quorate.backup.packing import Keys, Target, pack
from quorate.backup.spool import Spool, path_of
from quorate.backup.store import Arriving, Receives, Store
from quorate.core.backup_source import Source, choose
from quorate.core.ids import format_id
from quorate.core.membership import ClusterView
from quorate.deadline import Cancel, Deadline
from quorate.errors import QuorateError, Refused
from quorate.etcd.client import maintenance
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import Unreachable
from quorate.etcd.client.maintenance import Received
from quorate.etcd.cluster import Cluster
from quorate.etcd.observation.look import endpoint_of
from quorate.offline import bolt, keys
from quorate.offline.backend import Backend, read_backend
from quorate.offline.keys import Walk
from quorate.report import Event

_SLOWEST_BYTES_PER_SECOND, _LEAST_SECONDS = 1 << 20, 60.0
"""The whole stream gets as long as at this rate."""
_CATCH_UP_SECONDS, _POLL_SECONDS = 30.0, 0.05


@dataclass(frozen=True, slots=True)
class Wish:
    """`source`: auto, learner, or a member. `allow_no_quorum`: take what one member has, where no quorum answers."""

    source: str = "auto"
    allow_no_quorum: bool = False


@dataclass(frozen=True, slots=True)
class HowStored:
    """`compress`: by zstd; `keys`: for whom it is encrypted, None for nobody; `work`: the folder of this machine for what is
    packed; `bundle`: a tar of the node's keys that is stored beside it, encrypted; empty for none."""

    compress: bool
    keys: Keys | None
    work: Path
    bundle: bytes = b""

    def __post_init__(self) -> None:
        if self.bundle and self.keys is None:
            raise AssertionError("the keys of a node leave it encrypted only")

    @property
    def packing(self) -> Packing:
        recipients = self.keys.shown if self.keys is not None else ()
        return Packing(ZSTD if self.compress else "", AGE if self.keys is not None else "", recipients)


PLAINLY = HowStored(compress=False, keys=None, work=Path("/var/tmp"))  # noqa: S108 - nothing is packed
"""As etcd sent it."""


class Mismatch(QuorateError):
    """What was received is not what was asked for."""

    code = "backup-mismatch"
    next_step = "see who answers: quorate etcd status; then run the same command again"


def save(cluster: Cluster, store: Store, wish: Wish, how: HowStored = PLAINLY) -> Manifest:
    """Saves one backup, and returns its manifest. Raises `Refused`, `EtcdError`, `HostError`, `Mismatch` and `Damaged`;
    what is left then has no manifest, and is no backup."""
    view, source = _chosen(cluster, wish)
    taken_at = datetime.fromtimestamp(cluster.clock.wall(), UTC)
    folder, packing = format_id(view.cluster_id), how.packing
    packer = _Packer(store, folder, how.keys, cluster.clock.cancel)
    # What is to be encrypted is in clear on this machine only.
    receives = store if packing == PLAIN else Spool(how.work)
    with _arrived(cluster, receives, view, source, (folder, "incoming.db")) as (arriving, content, got):
        stem = stem_for(taken_at, content.revision)
        if packing == PLAIN:
            blob = Blob(stem + packing.suffix, got.size, got.sha256)
            arriving.keep(blob.name)
        else:
            cluster.report(Event("backup", source.name, "packing it"))
            with path_of(arriving.fd).open("rb") as raw:
                blob = packer.stored(stem + packing.suffix, raw, packing)
    secrets = packer.stored(f"{stem}.secrets.tar.age", io.BytesIO(how.bundle), Packing(encryption=AGE)) if how.bundle else None
    manifest = replace(
        _manifest(view, source, content, taken_at, blob),
        packing=packing,
        snapshot_size=got.size,
        snapshot_sha256=got.sha256,
        secrets=secrets,
    )
    if not store.create(manifest.id + SUFFIX, manifest.as_bytes()):
        raise Mismatch(f"{store.place}/{manifest.id}{SUFFIX} is there already, and was left as it is")
    return manifest


@dataclass(frozen=True, slots=True)
class _Packer:
    """Packs into the folder of a cluster in a store."""

    store: Store
    folder: str
    keys: Keys | None
    cancel: Cancel

    def stored(self, name: str, source: BinaryIO, packing: Packing) -> Blob:
        with self.store.arriving(self.folder, "packed") as arriving:
            target = Target(arriving.fd)
            try:
                pack(source, target, packing, self.keys, self.cancel)
            except OSError as error:
                raise arriving.failed(error) from error
            arriving.keep(name)
        return Blob(name, target.size, target.sha256)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One snapshot in a file of its own."""

    path: Path
    keys: int
    revision: int
    size: int
    source: str


def save_file(cluster: Cluster, path: Path, wish: Wish) -> SavedFile:
    """Saves a snapshot as one file, checked as a backup is, without a manifest. Raises as `save`; what is there stays."""
    view, source = _chosen(cluster, wish)
    with _arrived(cluster, PlainFolder(path.parent), view, source, ("", path.name)) as (arriving, content, got):
        arriving.keep(path.name)
    return SavedFile(path, content.walk.keys, content.revision, got.size, source.name)


def _chosen(cluster: Cluster, wish: Wish) -> tuple[ClusterView, Source]:
    view = cluster.with_alarms(cluster.with_standbys(cluster.look()))
    return view, choose(view, wish.source, allow_no_quorum=wish.allow_no_quorum)


@contextmanager
def _arrived(
    cluster: Cluster, receives: Receives, view: ClusterView, source: Source, place: tuple[str, str]
) -> Iterator[tuple[Arriving, _Content, Received]]:
    """Yields a snapshot that was received and read, and has no name yet."""
    _refuse_no_room(receives, view, source)
    revision = _caught_up(cluster, source)
    with receives.arriving(*place) as arriving:
        got = _received(cluster, view, source, arriving)
        content = _read(path_of(arriving.fd))
        _compare(source, content, revision)
        yield arriving, content, got


def _refuse_no_room(receives: Receives, view: ClusterView, source: Source) -> None:
    """Refuses before the stream what cannot fit: a disk that is full is no place for an unfinished backup, either."""
    status = view.answer(source.member.id)
    place, free = receives.room()
    if status is not None and free is not None and free < status.db_size:
        raise Refused(
            f"{place} has {free} bytes free; the database of {source.name} has {status.db_size}",
            state="nothing was saved",
            advice="free some space there, or save to another place; 'quorate etcd backup prune' deletes old backups",
        )


def _caught_up(cluster: Cluster, source: Source) -> int:
    """Waits until the member has applied what was committed when the command began; returns the revision that it had then.
    Raises `Refused` where it does not."""
    channel = cluster.access.channel(_endpoint(cluster, source))
    wanted = source.index or 0
    status = maintenance.status(channel, timeout=cluster.timeout)
    deadline = Deadline(cluster.clock, _CATCH_UP_SECONDS, f"{source.name} applies index {wanted}")
    while status.applied_index < wanted:
        if deadline.expired:
            raise Refused(
                f"{source.name} is {wanted - status.applied_index} entries behind, and did not catch up within "
                f"{_CATCH_UP_SECONDS:g} s",
                state="nothing was saved",
                advice="choose another member with --from",
            )
        cluster.clock.sleep(_POLL_SECONDS)
        status = maintenance.status(channel, timeout=cluster.timeout)
    return status.revision


def _endpoint(cluster: Cluster, source: Source) -> Endpoint:
    where = endpoint_of(cluster.access, source.member)
    if where is None:
        raise Unreachable(f"{source.name} has no client URL that can be reached")
    return where


def _received(cluster: Cluster, view: ClusterView, source: Source, arriving: Arriving) -> Received:
    status = view.answer(source.member.id)
    size = status.db_size if status is not None else 0
    seconds = _LEAST_SECONDS + size / _SLOWEST_BYTES_PER_SECOND
    progress, channel = _progress(cluster, source.name), cluster.access.channel(_endpoint(cluster, source))
    try:
        return maintenance.receive_snapshot(channel, arriving.fd, timeout=seconds, progress=progress)
    except OSError as error:
        raise arriving.failed(error) from error


def _progress(cluster: Cluster, name: str) -> Callable[[int, int], None]:
    told = cluster.clock.now()

    def progress(written: int, left: int) -> None:
        nonlocal told
        if cluster.clock.now() - told >= 1.0:
            told = cluster.clock.now()
            cluster.report(Event("backup", name, "receiving its data", received_bytes=written, total_bytes=written + left))

    return progress


@dataclass(frozen=True, slots=True)
class _Content:
    backend: Backend
    walk: Walk

    @property
    def revision(self) -> int:
        return max(self.walk.revision, self.backend.scheduled_compact)


def _read(path: Path) -> _Content:
    with bolt.opened(path) as found:
        return _Content(read_backend(found), keys.walk(found))


def _compare(source: Source, content: _Content, revision: int) -> None:
    """Raises `Mismatch` where the file is not of the member that was chosen. etcd names no cluster in a snapshot, and a proxy
    may have led to another member. `revision`: what that member had before."""
    if source.member.id not in {one.id for one in content.backend.members}:
        raise Mismatch(
            f"what was sent is of another cluster: {source.name} ({format_id(source.member.id)}) is no member in it",
            state="nothing was saved",
        )
    # An etcd that nobody has written to is at revision 1, and has no entry.
    if max(content.revision, 1) < revision:
        raise Mismatch(
            f"what was sent ends at revision {content.revision}; {source.name} had {revision} before",
            state="nothing was saved",
        )


def _manifest(view: ClusterView, source: Source, content: _Content, taken_at: datetime, blob: Blob) -> Manifest:
    status, backend, walk = view.answer(source.member.id), content.backend, content.walk
    return Manifest(
        taken_at=taken_at,
        cluster_id=view.cluster_id,
        member=Saved(source.member.id, source.member.name, source.role, status.version if status is not None else ""),
        through_quorum=source.index is not None,
        revision=content.revision,
        raft_index=backend.index,
        term=backend.term,
        storage_version=backend.storage_version or backend.cluster_version,
        keys=walk.keys,
        newest_lease=walk.newest_lease,
        auth=backend.auth,
        alarms=tuple(f"{kind} {format_id(member)}" for member, kind in backend.alarms),
        encryption_keys=tuple(sorted(walk.encryption_keys)),
        blob=blob,
        packing=PLAIN,
        snapshot_size=blob.size,
        snapshot_sha256=blob.sha256,
        verified=(Verified(taken_at, WALKED),),
    )
