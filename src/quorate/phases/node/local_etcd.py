"""The etcd that this node runs as a static pod: its manifest, its data, and the doubt whether there is one."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quorate.dry_tree import DryTree
from quorate.errors import HostError, Refused
from quorate.foreign.content import ids_below
from quorate.foreign.paths import clean
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.host.etcd_identity import MEMBER, SEAL, UNREADABLE, data_below, member_owner
from quorate.host.kubelets import running_kubelets
from quorate.host.member_data import DataSeen, of_another, refuse_open
from quorate.phases.base.context import CONFIG_FOLDER
from quorate.phases.base.node_files import real_path
from quorate.phases.node.etcd_manifest import LocalEtcd, parse
from quorate.phases.node.etcd_signs import may_run_etcd, mounted_paths
from quorate.phases.node.kubelet_sources import static_pod_places
from quorate.phases.node.left_note import LEFT, Left, explained_keys, is_being_deleted, note_deleted, noted_data_dir, seal_of
from quorate.phases.node.member_keys import keys_of_members
from quorate.phases.node.own_running import Users, is_this_host, runs_elsewhere
from quorate.phases.node.static_pods import manifest_path
from quorate.tree import Tree

_MOST_LOOKED_AT, _DEEPEST = 100, 4
_USUAL_DATA = "/var/lib/etcd"
_MANIFESTS = posixpath.dirname(manifest_path("etcd"))


def delete_data(tree: Tree, etcd: LocalEtcd, seen: DataSeen, users: Users | None = None) -> None:
    """Deletes the data that was seen, and what was seen beside it; the seal last: until then the same command resumes. Mounts
    in the data are not touched. Raises `HostError` with what is left, and, with nothing deleted, for data of another member: a
    reset that was suspended deleted the data of the voter that had joined here since, and a restored snapshot; and for data on
    which an etcd runs, which a service may have started. `users`: what the etcds that run here used before anything was taken:
    a second one may have its data, or its keys, beside `member`.

    The note of the member stays until the reset ends: its etcd may make new data until its kubelet is stopped,
    and a reset that is killed while it deletes that must find it again."""
    seal = f"{etcd.data_dir}/{SEAL}"
    was_there = seen.owner is not None or is_being_deleted(tree, etcd)
    if not tree.is_file(seal) and tree.names(etcd.data_dir):
        with suppress(HostError):
            # On a full disk there is room for it only when the data is gone.
            tree.write(seal, seal_of(seen), mode=0o600)

    def is_meant(taken: Path) -> bool:
        if not isinstance(tree, DryTree):
            # In a dry run the etcd that would have ended by now runs.
            refuse_open(taken, Path(etcd.data_dir))
            (users or Users()).refuse(ids_below(taken), etcd.data_dir)
        is_that = seen.is_meant(taken)
        if is_that and _is_taken(taken):
            with suppress(HostError):
                note_deleted(tree, is_empty=False)
        return is_that

    if not tree.take_named(etcd.data_dir, seen.names, is_meant):
        raise of_another(real_path(tree, etcd.data_dir))
    if was_there:
        note_deleted(tree, is_empty=False)
    tree.remove(seal)
    if was_there:
        note_deleted(tree, is_empty=True)


def _is_taken(folder: Path) -> bool:
    """Returns whether what is looked at was taken away, by the link of its descriptor; else it is in its place still."""
    try:
        return folder.readlink().name == TAKEN
    except OSError:
        return False


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


def refuse_data_without_manifest(tree: Tree, certificates: str, left: Left | None = None) -> None:
    """Raises `Refused` where there is no manifest, and a member's certificate, and etcd's data in its usual folders or in one
    that a manifest names which was moved: whoever stops etcd moves the manifest away. An etcd that is no pod has its
    certificates elsewhere. `left`: the member of which a note is believed, whose data is no riddle. Its keys may be another
    one's, too, where there is other data."""
    keys = keys_of_members(tree, certificates)
    if not keys:
        return
    known = [left.etcd.data_dir] if left is not None else []
    # A note that is not believed of this data names it all the same, and holds its manifest.
    noted = [(folder, LEFT) for folder in (noted_data_dir(tree),) if folder]
    # One that somebody moved away may be newer than what a note holds.
    for folder, manifest in [
        one for one in (*_named_by_moved(tree), *noted, *_usual_data(tree)) if clean(one[0]) not in map(clean, known)
    ]:
        owner = member_owner(real_path(tree, folder))
        if owner is None or runs_elsewhere(tree, folder):
            continue
        of = "of an etcd member" if owner == UNREADABLE else f"of member {owner.member_id:x} of cluster {owner.cluster_id:x}"
        back = f"move {manifest} back" if manifest else "put its manifest back"
        if (real_path(tree, folder) / TAKEN).is_dir():
            # An etcd that is started beside it begins without it.
            back = f"move what is in {folder}/{TAKEN} back to {folder}, then {back}"
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
        # What a run has taken away is found by the look at its folder.
        if name not in (MEMBER, TAKEN, JUDGED) and not tree.is_file(f"{_USUAL_DATA}/{name}"):
            yield f"{_USUAL_DATA}/{name}", ""


def doubt_without_manifest(tree: Tree, certificates: str) -> str:
    """Returns why a node without a manifest and without data that was found may still have a member; empty where nothing hints
    at one."""
    found = keys_of_members(tree, certificates)
    explained = explained_keys(tree, found)
    keys = [one for one in found if one not in explained]
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
    paths = [path for path in named if path not in (manifest_path("etcd"), LEFT)]
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
