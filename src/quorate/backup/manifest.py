"""The manifest of a backup: written last, so that a file without one was never finished, and read as what others wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from quorate.core.ids import format_id, parse_id
from quorate.errors import ConfigError
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.values import integer_of, mapping_of, rows_of, text_of, texts_of

FORMAT = "quorate-backup/1"
SUFFIX, TAKEN_SUFFIX = ".json", ".taken"
WALKED, COMPARED = "walk", "digest"
ZSTD, AGE = "zstd", "age"
MOST_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CLUSTER = re.compile(r"[0-9a-f]{1,16}")
_OURS = re.compile(r"([0-9]{8}T[0-9]{6}Z-[0-9]{1,20})(?:\.db(?:\.zst)?(?:\.age)?|\.secrets\.tar\.age)")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class BadManifest(ConfigError):
    """A manifest is not one of ours, or of a newer format."""

    code = "bad-manifest"
    next_step = "verify the file that it stands for: quorate etcd look FILE --deep"


@dataclass(frozen=True, slots=True)
class Saved:
    """The member that served a backup. `role`: voter, learner or standby; `version`: of its etcd."""

    id: int
    name: str
    role: str
    version: str


@dataclass(frozen=True, slots=True)
class Packing:
    """`compression`, `encryption`: empty for none; `recipients`: for whom it is encrypted."""

    compression: str = ""
    encryption: str = ""
    recipients: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        return f".db{'.zst' if self.compression else ''}{'.age' if self.encryption else ''}"


PLAIN = Packing()


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored file: its name beside the manifest, its size in bytes, and the digest of its bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Verified:
    """When a backup was read again and found whole, and how: `walk` (digest, and every key), `restore-test`, or `digest` alone,
    where it is encrypted for somebody else."""

    at: datetime
    how: str


@dataclass(frozen=True, slots=True)
class Failed:
    """When a backup was read again and was not whole, and what was wrong. `how`: by what it was found, as of `Verified`."""

    at: datetime
    problems: tuple[str, ...]
    how: str = WALKED


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `through_quorum`: its member had applied all that a quorum had committed when it was asked; else it
    may be older than what clients were told. `revision`, `raft_index`, `term`: of its content; `newest_lease`: the newest time
    that a Kubernetes node renewed its lease, which dates the content; `encryption_keys`: what an API server needs for it;
    `blob`: what is stored, packed as `packing` says; `snapshot_size`, `snapshot_sha256`: of what etcd sent; `secrets`: the file
    with the keys of the node, None where they were not asked for;
    `damaged`: how the last look at it failed, None where it did not."""

    taken_at: datetime
    cluster_id: int
    member: Saved
    through_quorum: bool
    revision: int
    raft_index: int
    term: int
    storage_version: str
    keys: int
    newest_lease: datetime | None
    auth: bool
    alarms: tuple[str, ...]
    encryption_keys: tuple[str, ...]
    blob: Blob
    packing: Packing
    snapshot_size: int
    snapshot_sha256: str
    secrets: Blob | None = None
    verified: tuple[Verified, ...] = ()
    damaged: Failed | None = None

    @property
    def is_whole(self) -> bool:
        """Returns whether it was read again and found whole, and was so at the last look."""
        return bool(self.verified) and self.damaged is None

    @property
    def id(self) -> str:
        """Returns what the backup is called: its path in the store, without the manifest's suffix."""
        return f"{format_id(self.cluster_id)}/{stem_of(self.blob.name)}"

    @property
    def files(self) -> tuple[Blob, ...]:
        """Returns what is stored for it beside the manifest."""
        return (self.blob,) if self.secrets is None else (self.blob, self.secrets)

    def checked(self, at: datetime, how: str) -> Manifest:
        """Returns the manifest of a backup that was verified once more; one entry is kept for each way. Digests that are right
        say nothing of damage that was found by reading the keys."""
        kept = tuple(one for one in self.verified if one.how != how)
        stays = self.damaged is not None and how == COMPARED and self.damaged.how != COMPARED
        return replace(self, verified=(*kept, Verified(at, how)), damaged=self.damaged if stays else None)

    def as_dict(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "takenAt": _shown(self.taken_at),
            "clusterId": format_id(self.cluster_id),
            "member": {
                "id": format_id(self.member.id),
                "name": self.member.name,
                "role": self.member.role,
                "version": self.member.version,
            },
            "throughQuorum": self.through_quorum,
            "revision": self.revision,
            "raftIndex": self.raft_index,
            "term": self.term,
            "storageVersion": self.storage_version or None,
            "keys": self.keys,
            "dataAsOf": _shown(self.newest_lease) if self.newest_lease is not None else None,
            "auth": self.auth,
            "alarms": list(self.alarms),
            "encryptionKeys": list(self.encryption_keys),
            "snapshot": {"bytes": self.snapshot_size, "sha256": self.snapshot_sha256},
            "blob": {
                **_fields_of(self.blob),
                "compression": self.packing.compression or None,
                "encryption": self.packing.encryption or None,
                "recipients": list(self.packing.recipients),
            },
            "secrets": _fields_of(self.secrets) if self.secrets is not None else None,
            "verified": [{"at": _shown(one.at), "how": one.how} for one in self.verified],
            "damaged": (
                {"at": _shown(self.damaged.at), "problems": list(self.damaged.problems), "how": self.damaged.how}
                if self.damaged is not None
                else None
            ),
        }

    def as_bytes(self) -> bytes:
        return json.dumps(self.as_dict(), indent=1).encode() + b"\n"


def _fields_of(blob: Blob) -> dict[str, object]:
    return {"name": blob.name, "bytes": blob.size, "sha256": blob.sha256}


def stem_for(taken_at: datetime, revision: int) -> str:
    """Returns the beginning of the names of a backup's files: by it a listing is in the order of time."""
    return f"{taken_at:%Y%m%dT%H%M%SZ}-{revision}"


def stem_of(name: str) -> str:
    """Returns the beginning that the files of one backup have in common; empty for a file that is named as none of them."""
    match = _OURS.fullmatch(name.removesuffix(TAKEN_SUFFIX))
    return match[1] if match is not None else ""


def is_cluster_folder(name: str) -> bool:
    """Returns whether a folder of a store is named as that of a cluster: by its id."""
    return _CLUSTER.fullmatch(name) is not None


def is_blob_name(name: str) -> bool:
    """Returns whether a file is named as those of backups are."""
    return bool(stem_of(name))


def read_manifest(content: bytes, where: str) -> Manifest:
    """Reads a manifest. Raises `BadManifest`: what may be deleted, and what may be restored, is decided by it."""
    try:
        fields = read_object(content, where, RECORD)
    except BadDocument as error:
        raise BadManifest(f"{where} is no manifest: {error.what}") from error
    if fields.get("format") != FORMAT:
        raise BadManifest(f"{where} has the format {text_of(fields.get('format'))[:40]!r}; this version reads {FORMAT}")
    member, stored, snapshot = (mapping_of(fields.get(one)) for one in ("member", "blob", "snapshot"))
    blob = _blob(stored, where)
    secrets = _blob(mapping_of(fields.get("secrets")), where) if fields.get("secrets") is not None else None
    if secrets is not None and stem_of(secrets.name) != stem_of(blob.name):
        raise BadManifest(f"{where} names a file of another backup")
    return Manifest(
        taken_at=_time(fields, "takenAt", where),
        cluster_id=_id(fields, "clusterId", where),
        member=Saved(
            _id(member, "id", where), text_of(member.get("name")), text_of(member.get("role")), text_of(member.get("version"))
        ),
        through_quorum=fields.get("throughQuorum") is True,
        revision=integer_of(fields.get("revision")),
        raft_index=integer_of(fields.get("raftIndex")),
        term=integer_of(fields.get("term")),
        storage_version=text_of(fields.get("storageVersion")),
        keys=integer_of(fields.get("keys")),
        newest_lease=_time(fields, "dataAsOf", where) if fields.get("dataAsOf") is not None else None,
        auth=fields.get("auth") is True,
        alarms=texts_of(fields.get("alarms")),
        encryption_keys=texts_of(fields.get("encryptionKeys")),
        blob=blob,
        packing=_packing(stored, where),
        snapshot_size=integer_of(snapshot.get("bytes")) if snapshot else blob.size,
        snapshot_sha256=_matched(snapshot, "sha256", _SHA256, where) if snapshot else blob.sha256,
        secrets=secrets,
        verified=tuple(Verified(_time(one, "at", where), text_of(one.get("how"))) for one in rows_of(fields.get("verified"))),
        damaged=_failed(mapping_of(fields.get("damaged")), where) if fields.get("damaged") is not None else None,
    )


def _blob(fields: Mapping[str, Any], where: str) -> Blob:
    name = text_of(fields.get("name"))
    if not stem_of(name) or name.endswith(TAKEN_SUFFIX):
        # A name with a slash would lead out of the store.
        raise BadManifest(f"{where} has no usable name of a file")
    return Blob(name, integer_of(fields.get("bytes")), _matched(fields, "sha256", _SHA256, where))


def _packing(fields: Mapping[str, Any], where: str) -> Packing:
    compression, encryption = fields.get("compression") or "", fields.get("encryption") or ""
    if compression not in ("", ZSTD) or encryption not in ("", AGE):
        raise BadManifest(f"{where} names a way of packing that this version does not know")
    return Packing(text_of(compression), text_of(encryption), texts_of(fields.get("recipients")))


def _failed(fields: Mapping[str, Any], where: str) -> Failed:
    return Failed(_time(fields, "at", where), texts_of(fields.get("problems")), text_of(fields.get("how")) or WALKED)


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).strftime(_TIME)


def _time(fields: Mapping[str, Any], name: str, where: str) -> datetime:
    try:
        return datetime.strptime(text_of(fields.get(name)), _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise BadManifest(f"{where} has no time in {name}") from None


def _id(fields: Mapping[str, Any], name: str, where: str) -> int:
    try:
        return parse_id(text_of(fields.get(name)))
    except ConfigError:
        raise BadManifest(f"{where} has no id in {name}") from None


def _matched(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str], where: str) -> str:
    value = text_of(fields.get(name))
    if not pattern.fullmatch(value):
        raise BadManifest(f"{where} has no usable {name}")
    return value
