"""The etcd that this node runs as a static pod: its manifest, and the note of one whose member has left."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quorate.dry_tree import DryTree
from quorate.errors import HostError, Refused
from quorate.foreign.content import ids_below
from quorate.foreign.documents import BadDocument, read_object
from quorate.foreign.paths import clean
from quorate.foreign.urls import parts_of
from quorate.foreign.values import texts_of
from quorate.host.etcd_identity import MEMBER, SEAL, UNREADABLE, DataIdentity, data_below, member_owner
from quorate.host.kubelets import running_kubelets
from quorate.host.member_data import DataSeen, look_at, of_another, refuse_open
from quorate.phases.base.context import CONFIG_FOLDER
from quorate.phases.base.node_files import real_path
from quorate.phases.node.etcd_manifest import LocalEtcd, parse
from quorate.phases.node.etcd_signs import may_run_etcd, mounted_paths
from quorate.phases.node.kubelet_sources import static_pod_places
from quorate.phases.node.member_keys import keys_of_members
from quorate.phases.node.own_running import Users, is_this_host, runs_elsewhere
from quorate.phases.node.static_pods import manifest_path
from quorate.tree import Tree

LEFT = f"{CONFIG_FOLDER}/.quorate-reset-etcd.yaml"
"""The manifest of an etcd whose member has left, kept until its data is deleted: a reset that was cut off resumes by it."""

LEAVING = f"{CONFIG_FOLDER}/.quorate-reset-leaving.json"
"""Notes, from before the removal is asked for, which member is about to leave, and where the others are. Once it has left its
etcd has ended, and the manifest of a first node names no other: a reset that was killed there could not ask anybody."""

NOTES = (LEFT, LEAVING)
"""What a reset that was cut off may have left, beside the data."""

_MOST_LOOKED_AT, _DEEPEST = 100, 4
_USUAL_DATA = "/var/lib/etcd"
_MANIFESTS = posixpath.dirname(manifest_path("etcd"))


def note_left(tree: Tree, etcd: LocalEtcd, seen: DataSeen) -> None:
    """Notes that the member whose data was seen has left, or is abandoned."""
    tree.write(f"{etcd.data_dir}/{SEAL}", _seal_of(seen), mode=0o600)
    tree.write(LEFT, tree.read(manifest_path("etcd")) or b"", mode=0o600)


def forget_left(tree: Tree, etcd: LocalEtcd) -> None:
    """Deletes that note: the member stays."""
    tree.remove(f"{etcd.data_dir}/{SEAL}")
    tree.remove(LEFT)


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


def _seal_of(seen: DataSeen) -> bytes:
    """Returns what the seal in the data says: the ids, and which folder it is. Without the folder, as in a seal of 0.2 and
    older, a snapshot that was restored with the same ids was deleted; such a seal is of no data. Another boot may give the
    device another number."""
    if seen.owner is None:
        return b"no member\n"
    folders = " ".join(f"{one.inode}:{one.born_ns}" if one is not None else "none" for one in seen.folders)
    return f"{seen.owner.member_id:x} {seen.owner.cluster_id:x} {folders}\n".encode()


def has_left(tree: Tree) -> LocalEtcd | None:
    """Returns the etcd of a reset that was cut off. Where a manifest exists the note is ignored: the manifest may be of
    another member, made since, and asking the cluster again does no harm. So is one of another member than that whose data is
    here, or than the folders that it is in: an operator may have made or restored one, and its manifest be moved away for now.
    Without the seal the note is void: another tool has deleted the data since."""
    noted = None if tree.is_file(manifest_path("etcd")) else _parsed(tree, LEFT)
    if noted is None:
        return None
    return noted if is_sealed(tree, noted, look_at(real_path(tree, noted.data_dir))) else None


def is_sealed(tree: Tree, noted: LocalEtcd, seen: DataSeen) -> bool:
    """Returns whether the data that was seen is that of the member that has left, or is gone."""
    seal = tree.read(f"{noted.data_dir}/{SEAL}")
    return seal is not None and (seen.owner is None or seal == _seal_of(seen))


def delete_data(tree: Tree, etcd: LocalEtcd, seen: DataSeen, users: Users | None = None) -> None:
    """Deletes the data that was seen, and what was seen beside it; the seal last: until then the same command resumes. Mounts
    in the data are not touched. Raises `HostError` with what is left, and, with nothing deleted, for data of another member: a
    reset that was suspended deleted the data of the voter that had joined here since, and a restored snapshot; and for data on
    which an etcd runs, which a service may have started. `users`: what the etcds that run here used before anything was taken:
    a second one may have its data, or its keys, beside `member`.

    The note of the member stays until the reset ends: its etcd may make new data until its kubelet is stopped,
    and a reset that is killed while it deletes that must find it again."""
    seal = f"{etcd.data_dir}/{SEAL}"
    if not tree.is_file(seal) and tree.names(etcd.data_dir):
        with suppress(HostError):
            # On a full disk there is room for it only when the data is gone.
            tree.write(seal, _seal_of(seen), mode=0o600)

    def is_meant(taken: Path) -> bool:
        if not isinstance(tree, DryTree):
            # In a dry run the etcd that would have ended by now runs.
            refuse_open(taken, Path(etcd.data_dir))
            (users or Users()).refuse(ids_below(taken), etcd.data_dir)
        return seen.is_meant(taken)

    if not tree.take_named(etcd.data_dir, seen.names, is_meant):
        raise of_another(real_path(tree, etcd.data_dir))
    tree.remove(seal)


def local_etcd(tree: Tree) -> LocalEtcd | None:
    """Reads the manifest. Returns None where there is none; raises `Refused` for one that cannot be understood, and where etcd
    may be run by another file that the kubelet reads."""
    found = _parsed(tree, manifest_path("etcd"))
    if found is None:
        refuse_other_etcds(tree)
    return found


def own_data_dir(tree: Tree) -> str:
    """Returns where the data of this node's etcd is by its manifest; empty where there is none, or it does not say."""
    try:
        found = _parsed(tree, manifest_path("etcd"))
    except (Refused, HostError):
        return ""
    return found.data_dir if found is not None else ""


def refuse_other_etcds(tree: Tree) -> None:
    """Raises `Refused` where a file that the kubelet reads may run an etcd, besides the manifest that is read as this node's,
    and where that cannot be read. A reset deletes all of them: one of another cluster, such as that for events, was wiped
    beside it."""
    with _unknown_is_refused():
        running = running_kubelets() if is_this_host(tree) else []
        places = [clean(folder) for folder in static_pod_places(tree, running)]
        for folder in dict.fromkeys([_MANIFESTS, *places]):
            _refuse_another_name(tree, folder)


def refuse_other_manifests(tree: Tree) -> None:
    """As `refuse_other_etcds`, of the folder that a reset empties alone."""
    with _unknown_is_refused():
        _refuse_another_name(tree, _MANIFESTS)


@contextmanager
def _unknown_is_refused() -> Iterator[None]:
    try:
        yield
    except HostError as error:
        raise Refused(
            f"it is unknown whether an etcd runs here: {error.what}",
            state="nothing was changed: it may be a member that the cluster counts on",
            advice="mend or move away what is named, then run the same command again",
        ) from error


def _refuse_another_name(tree: Tree, place: str) -> None:
    is_folder = not tree.is_file(place)
    # The kubelet takes no file of a folder that begins with a dot, and any that it is given by its name.
    paths = [f"{place}/{name}" for name in tree.names(place) if not name.startswith(".")] if is_folder else [place]
    for path in paths:
        if not tree.is_file(path) or _is_one_file(tree, path, manifest_path("etcd")):
            continue
        content = tree.read(path) or b""
        if why := may_run_etcd(content) or _mounted_data(tree, content):
            raise Refused(
                f"{path} {why}, and only {manifest_path('etcd')} is read as this node's",
                state="nothing was changed: it may be a member that the cluster counts on",
                advice=f"move it to {manifest_path('etcd')}; or, when it is no member of this cluster, move it away",
            )


def _is_one_file(tree: Tree, path: str, other: str) -> bool:
    """Returns whether two paths are one file, as through a link on the way."""
    if path == other:
        return True
    try:
        return real_path(tree, path).samefile(real_path(tree, other))
    except OSError:
        return False


def _mounted_data(tree: Tree, content: bytes) -> str:
    """Returns that a pod mounts the data of an etcd member, or a part of it; empty where it mounts none but that of this node's
    own manifest, which no second etcd can use."""
    own = _own_data(tree)
    for path in mounted_paths(content):
        inside = path.split(f"/{MEMBER}/", 1)[0].removesuffix(f"/{MEMBER}")
        for folder in (real_path(tree, inside or "/"), *data_below(real_path(tree, path))):
            if _is_data(folder) and (own is None or not own.exists() or not folder.samefile(own)):
                return f"mounts {path}, and {folder} holds the data of an etcd member"
    return ""


def _is_data(folder: Path) -> bool:
    """Returns whether a folder holds the data of an etcd member: any folder may be called `member`."""
    owner = member_owner(folder)
    return owner is not None and (owner != UNREADABLE or any((folder / MEMBER / one).is_dir() for one in ("wal", "snap")))


def _own_data(tree: Tree) -> Path | None:
    with suppress(Refused):
        found = _parsed(tree, manifest_path("etcd"))
        return real_path(tree, found.data_dir) if found is not None and found.data_dir else None
    return None


def refuse_data_without_manifest(tree: Tree, certificates: str) -> None:
    """Raises `Refused` where there is no manifest, and a member's certificate, and etcd's data in its usual folders or in one
    that a manifest names which was moved: whoever stops etcd moves the manifest away. An etcd that is no pod has its
    certificates elsewhere."""
    keys = keys_of_members(tree, certificates)
    if not keys:
        return
    for folder, manifest in [*_usual_data(tree), *_named_by_moved(tree)]:
        owner = member_owner(real_path(tree, folder))
        if owner is None or runs_elsewhere(tree, folder):
            continue
        of = "of an etcd member" if owner == UNREADABLE else f"of member {owner.member_id:x} of cluster {owner.cluster_id:x}"
        back = f"move {manifest} back" if manifest else "put its manifest back"
        raise Refused(
            f"there is no {manifest_path('etcd')}, {folder} holds data {of}, and {keys[0]} may be its key, which would go",
            state="nothing was changed: the cluster may count on that member",
            advice=f"{back} to {manifest_path('etcd')}; or, where a service runs it, move its keys out of {certificates}, and "
            f"start it; or, when it is no member any more, empty {folder}; then run the same command again",
        )


def _usual_data(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yields the folders in which packages and kubeadm have etcd keep its data: /var/lib/etcd, and those in it, such as
    default.etcd."""
    yield _USUAL_DATA, ""
    for name in tree.names(_USUAL_DATA):
        if name != MEMBER and not tree.is_file(f"{_USUAL_DATA}/{name}"):
            yield f"{_USUAL_DATA}/{name}", ""


def doubt_without_manifest(tree: Tree, certificates: str) -> str:
    """Returns why a node without a manifest and without data that was found may still have a member; empty where nothing hints
    at one."""
    keys = keys_of_members(tree, certificates)
    if not keys:
        return ""
    return (
        f"{keys[0]} may be the key of an etcd member, and neither its manifest nor its data was found: the cluster may still "
        "list it; 'quorate etcd member list' on another node shows it"
    )


def _named_by_moved(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yields the data folders that manifests of etcd elsewhere in /etc/kubernetes name, and these manifests."""
    folders = _folders_below(tree, CONFIG_FOLDER, _DEEPEST)
    # The kubelet's own one is read as this node's.
    named = [f"{folder}/{name}" for folder in folders for name in tree.names(folder) if "etcd" in name]
    paths = [path for path in named if path != manifest_path("etcd")]
    if len(paths) > _MOST_LOOKED_AT:
        raise Refused(
            f"{len(paths)} files in {CONFIG_FOLDER} are named after etcd: one may be the manifest of this node's member",
            state="nothing was changed",
            advice="move those away that are none",
        )
    for path in filter(tree.is_file, paths):
        with suppress(Refused, HostError):
            found = _parsed(tree, path)
            if found is not None and found.data_dir:
                yield found.data_dir, path


def _folders_below(tree: Tree, folder: str, deepest: int) -> list[str]:
    paths = [f"{folder}/{name}" for name in tree.names(folder)]
    below = [path for path in paths if deepest and tree.mode(path) is not None and not tree.is_file(path)]
    return [folder, *(one for path in below for one in _folders_below(tree, path, deepest - 1))]


def _parsed(tree: Tree, path: str) -> LocalEtcd | None:
    content = tree.read(path)
    return parse(content, path) if content is not None else None
