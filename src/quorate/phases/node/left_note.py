"""The notes of a reset that was cut off: of an etcd whose member has left, and of one that is about to.

A note is an answer to nothing but what it was written of. One that was believed wherever it lay let a later reset delete a live
voter: its etcd had been started again, and other members had joined. So it says why the member does not count, whose data it is
of, where the log of that stood, and holds the stamps of the keys that were there. It is believed of this data and of these keys
alone: once the etcd has ended, of a log that ends where it did then. Before, it may have written more: whether its member has
left is asked again, and whether it is the only one is read in its log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, cast

from quorate.errors import HostError
from quorate.foreign.documents import BadDocument, read_object
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.foreign.urls import parts_of
from quorate.foreign.values import integer_of, mapping_of, text_of, texts_of
from quorate.host.etcd_identity import MEMBER, SEAL, DataIdentity
from quorate.host.member_data import DataSeen, look_at
from quorate.offline.log_mark import LogMark, end_of, ends_at, goes_on, mark_in
from quorate.phases.base.context import CONFIG_FOLDER
from quorate.phases.base.node_files import real_path
from quorate.phases.node.etcd_manifest import LocalEtcd, parse
from quorate.phases.node.member_keys import in_its_place, keys_of_members
from quorate.phases.node.static_pods import manifest_path
from quorate.tree import Tree

LEFT = f"{CONFIG_FOLDER}/.quorate-reset-etcd.yaml"
"""The manifest of an etcd whose member has left, kept until its data is deleted: a reset that was cut off resumes by it."""

LEAVING = f"{CONFIG_FOLDER}/.quorate-reset-leaving.json"
"""Notes, from before the removal is asked for, which member is about to leave, and where the others are. Once it has left its
etcd has ended, and the manifest of a first node names no other: a reset that was killed there could not ask anybody."""

NOTES = (LEFT, LEAVING)
"""What a reset that was cut off may have left, beside the data."""

Why: TypeAlias = Literal["left", "alone", "abandoned"]
"""left: the member was seen to be absent from the list, and its id never comes back; alone: it was the only one, which it is
only until others join; abandoned: it may be listed, and whoever resumes has to say again that it does not matter."""

_HEAD, _WHYS = b"# quorate: ", ("left", "alone", "abandoned")
_NO_MEMBER = b"no member\n"


@dataclass(frozen=True, slots=True)
class Left:
    """What a note says. `keys`: the stamps of the keys that a member could use, by their paths; `seal`: of its data; `mark`:
    where its log stood, None where it had none that could be read; `has_ended`: its etcd had ended, and the mark is the end;
    `committed`: an index that was committed, 0 where that is not known; `is_deleted`: a run has taken that data away, to delete
    it; `place`: the stamp of its folder when it was empty, empty before: who makes a member there changes the folder."""

    etcd: LocalEtcd
    why: Why
    keys: dict[str, str]
    seal: bytes = b""
    mark: LogMark | None = None
    has_ended: bool = False
    committed: int = 0
    is_deleted: bool = False
    place: str = ""


def note_left(tree: Tree, etcd: LocalEtcd, seen: DataSeen, why: Why, certificates: str, *, committed: int = 0) -> None:
    """Notes that the member whose data was seen has left, or does not count any more. `committed`: as of `Left`."""
    keys: dict[str, str] = {}
    with suppress(HostError):
        # Without them the note answers for no key.
        keys = _stamps(tree, keys_of_members(tree, certificates))
    mark = mark_in(_log_of(real_path(tree, etcd.data_dir))) if seen.owner is not None else None
    noted = Left(etcd, why, keys, seal_of(seen), mark, committed=committed)
    # Where a run that was cut off has removed the manifest, its note holds it.
    manifest = tree.read(manifest_path("etcd")) or manifest_in_note(tree)
    tree.write(f"{etcd.data_dir}/{SEAL}", noted.seal, mode=0o600)
    _write(tree, noted, manifest)


def _write(tree: Tree, noted: Left, manifest: bytes) -> None:
    head = {
        "why": noted.why,
        "keys": noted.keys,
        "seal": noted.seal.decode(),
        "mark": asdict(noted.mark) if noted.mark is not None else None,
        "hasEnded": noted.has_ended,
        "committed": noted.committed,
        "isDeleted": noted.is_deleted,
        "place": noted.place,
    }
    tree.write(LEFT, _HEAD + json.dumps(head).encode() + b"\n" + manifest, mode=0o600)


def note_ended(tree: Tree) -> None:
    """Notes that the etcd of the note's member has ended, and where its log does. Raises `HostError`."""
    noted = _read(tree)
    if noted is not None and noted.seal != _NO_MEMBER:
        mark = end_of(_log_of(real_path(tree, noted.etcd.data_dir)))
        _write(tree, replace(noted, mark=mark, has_ended=True), manifest_in_note(tree))


def note_deleted(tree: Tree, *, is_empty: bool) -> None:
    """Notes that the data of the note's member was taken away and is being deleted, or, where its folder is empty by now, was.
    Data that is only not there may have been moved to another disk, or its disk may not be mounted. Raises `HostError`."""
    noted = _read(tree)
    if noted is not None:
        place = _place(tree, noted) if is_empty else noted.place
        _write(tree, replace(noted, is_deleted=True, place=place), manifest_in_note(tree))


def _place(tree: Tree, noted: Left) -> str:
    """Returns what tells whether something was made in the folder of the data since; empty where there is none."""
    try:
        found = real_path(tree, noted.etcd.data_dir).stat()
    except OSError:
        return ""
    return f"{found.st_ino}:{found.st_mtime_ns}"


def is_being_deleted(tree: Tree, etcd: LocalEtcd) -> bool:
    """Returns whether a run of ours was cut off while it deleted the data, after it had looked at that."""
    return (real_path(tree, etcd.data_dir) / JUDGED).is_dir()


def _log_of(data_dir: Path) -> Path:
    """Returns the folder of the log, also of data that a run which was cut off had taken away."""
    return (data_dir if (data_dir / MEMBER).is_dir() else data_dir / TAKEN) / MEMBER / "wal"


def manifest_in_note(tree: Tree) -> bytes:
    """Returns the manifest that the note keeps; empty where there is none."""
    content = tree.read(LEFT) or b""
    return content.partition(b"\n")[2] if content.startswith(_HEAD) else content


def forget_left(tree: Tree, etcd: LocalEtcd) -> None:
    """Deletes that note: the member stays."""
    tree.remove(f"{etcd.data_dir}/{SEAL}")
    tree.remove(LEFT)


def has_left(tree: Tree) -> Left | None:
    """Returns the etcd of a reset that was cut off. Where a manifest exists the note is ignored: the manifest may be of
    another member, made since, and asking the cluster again does no harm. So is one of another member than that whose data is
    here, or than the folders that it is in: an operator may have made or restored one, and its manifest be moved away for now.
    Without the seal the note is void: another tool has deleted the data since; without the data, where no run of ours was about
    to delete it."""
    noted = None if tree.is_file(manifest_path("etcd")) else _read(tree)
    if noted is None:
        return None
    seen = look_at(real_path(tree, noted.etcd.data_dir))
    may_go_on = seen.owner is not None or _was_deleted(tree, noted) or must_ask(noted)
    return noted if may_go_on and is_sealed(tree, noted, seen) else None


def must_ask(noted: Left) -> bool:
    """Returns whether the cluster has to be asked again: its etcd had not ended, and may have become a member again."""
    return noted.why == "left" and not noted.has_ended


def _was_deleted(tree: Tree, noted: Left) -> bool:
    return noted.is_deleted or is_being_deleted(tree, noted.etcd)


def noted_data_dir(tree: Tree) -> str:
    """Returns where the data of a note's member is or was; empty without a note."""
    noted = _read(tree)
    return noted.etcd.data_dir if noted is not None else ""


def _read(tree: Tree) -> Left | None:
    content = tree.read(LEFT)
    if content is None:
        return None
    etcd = parse(content, LEFT)
    head, _, _ = content.partition(b"\n")
    try:
        fields = read_object(head.removeprefix(_HEAD), LEFT) if head.startswith(_HEAD) else {}
    except BadDocument:
        fields = {}
    why = text_of(fields.get("why"))
    keys = {path: text_of(stamp) for path, stamp in mapping_of(fields.get("keys")).items()}
    # One of an older version does not say; what needs a proof is the safer answer.
    return Left(
        etcd,
        cast("Why", why) if why in _WHYS else "alone",
        keys,
        text_of(fields.get("seal")).encode(errors="replace"),
        _mark_of(mapping_of(fields.get("mark"))),
        fields.get("hasEnded") is True,
        integer_of(fields.get("committed")),
        fields.get("isDeleted") is True,
        text_of(fields.get("place")),
    )


def _mark_of(fields: Mapping[str, object]) -> LogMark | None:
    file = text_of(fields.get("file"))
    numbers = (integer_of(fields.get(name)) for name in ("offset", "sum"))
    return LogMark(file, *numbers) if file and "/" not in file else None


def explained_keys(tree: Tree, keys: Sequence[str]) -> frozenset[str]:
    """Returns those of the keys that a note of ours explains: they were there when it was written, and its member has left, or
    is gone with its data. Where other data lies in that place the note says nothing: a member that was made anew, or whose
    data was restored, may use the same keys."""
    noted = _read(tree)
    if noted is None or not is_believed(tree, noted):
        return frozenset()
    now = _stamps(tree, keys)
    return frozenset(
        one for one in keys if (stamp := now.get(in_its_place(one))) and noted.keys.get(in_its_place(one)) == stamp
    )


def is_believed(tree: Tree, noted: Left) -> bool:
    """Returns whether the data of the note's member is what the note is of, or was deleted by the run that wrote it, and nobody
    has made other data there since."""
    seen = look_at(real_path(tree, noted.etcd.data_dir))
    if seen.owner is not None:
        return is_sealed(tree, noted, seen)
    return noted.place == _place(tree, noted) if noted.place else _was_deleted(tree, noted)


def _stamps(tree: Tree, paths: Iterable[str]) -> dict[str, str]:
    """Returns what tells each file from another of its name, by the place that it had; another boot may give the device another
    number."""
    found = {in_its_place(path): tree.stamp(path) for path in paths}
    return {path: f"{one.inode}:{one.born_ns}:{one.modified_ns}:{one.size}" for path, one in found.items() if one is not None}


def is_sealed(tree: Tree, noted: Left, seen: DataSeen) -> bool:
    """Returns whether the data that was seen is that of the member that has left, or is gone. An older note beside a newer seal
    is of another member; and where a backup was copied over the files, the folders are the same, and the log is not."""
    if tree.read(f"{noted.etcd.data_dir}/{SEAL}") != noted.seal:
        return False
    return seen.owner is None or (noted.seal == seal_of(seen) and _is_its_log(noted, real_path(tree, noted.etcd.data_dir)))


def _is_its_log(noted: Left, data_dir: Path) -> bool:
    if noted.why == "abandoned":
        # The flag is required again, and the log may be unreadable.
        return True
    if noted.mark is None:
        return False
    return ends_at(_log_of(data_dir), noted.mark) if noted.has_ended else goes_on(_log_of(data_dir), noted.mark)


def seal_of(seen: DataSeen) -> bytes:
    """Returns what the seal in the data says: the ids, and which folder it is. Without the folder, as in a seal of 0.2 and
    older, a snapshot that was restored with the same ids was deleted; such a seal is of no data. Another boot may give the
    device another number."""
    if seen.owner is None:
        return _NO_MEMBER
    folders = " ".join(f"{one.inode}:{one.born_ns}" if one is not None else "none" for one in seen.folders)
    return f"{seen.owner.member_id:x} {seen.owner.cluster_id:x} {folders}\n".encode()


def note_leaving(tree: Tree, owner: DataIdentity, urls: Iterable[str]) -> None:
    """Notes that the removal of the member `owner` is about to be asked for. `urls`: the client URLs of the other members."""
    fields = {"member": f"{owner.member_id:x}", "cluster": f"{owner.cluster_id:x}", "urls": list(urls)}
    tree.write(LEAVING, json.dumps(fields, indent=1).encode() + b"\n", mode=0o600)


def urls_beside_leaving(tree: Tree, owner: DataIdentity | None) -> list[str]:
    """Returns where the other members of a member that may have left were; none where the note is of another one."""
    content = tree.read(LEAVING)
    if content is None or owner is None:
        return []
    try:
        noted = read_object(content, LEAVING)
    except BadDocument:
        # These are only more places to ask: without them the run ends as it would without the note.
        return []
    is_of = (noted.get("member"), noted.get("cluster")) == (f"{owner.member_id:x}", f"{owner.cluster_id:x}")
    return [one for one in texts_of(noted.get("urls")) if is_secured(one)] if is_of else []


def is_secured(url: str) -> bool:
    """Returns whether a URL that a member advertises may be used: the health check's certificate is for https."""
    parts = parts_of(url)
    return parts.scheme == "https" and bool(parts.host)
