"""The etcd that this node runs as a static pod: its manifest, and the note of one whose member has left."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from quorate.errors import HostError, Refused
from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.values import text_of
from quorate.host.etcd_data import has_log
from quorate.host.etcd_identity import DataIdentity, data_identity
from quorate.phases.base.context import CONFIG_FOLDER, KUBELET_FOLDER
from quorate.phases.base.node_files import real_path
from quorate.phases.node.etcd_manifest import LocalEtcd, may_run_etcd, parse
from quorate.phases.node.static_pods import manifest_path
from quorate.tree import DryTree, Tree

LEFT = f"{CONFIG_FOLDER}/.quorate-reset-etcd.yaml"
"""The manifest of an etcd whose member has left, kept until its data is deleted: a reset that was cut off resumes by it."""

_SEAL = ".quorate-left"
"""A file in the data of that member. Without it the note is void: another tool has deleted the data since."""

_PEER_KEY, _BACKUPS = "etcd/peer.key", f"{CONFIG_FOLDER}/tmp"  # noqa: S108
_MOST_LOOKED_AT = 100
_TAKEN, _MEMBER = ".quorate-taken", "member"
_USUAL_DATA, _KUBELET_CONFIG = "/var/lib/etcd", f"{KUBELET_FOLDER}/config.yaml"


def note_left(tree: Tree, etcd: LocalEtcd) -> None:
    """Notes that the member has left, or is abandoned."""
    tree.write(f"{etcd.data_dir}/{_SEAL}", b"", mode=0o600)
    tree.write(LEFT, tree.read(manifest_path("etcd")) or b"", mode=0o600)


def has_left(tree: Tree) -> LocalEtcd | None:
    """Returns the etcd of a reset that was cut off. Where a manifest exists the note is ignored: the manifest may be of
    another member, made since, and asking the cluster again does no harm."""
    noted = None if tree.is_file(manifest_path("etcd")) else _parsed(tree, LEFT)
    return noted if noted is not None and tree.is_file(f"{noted.data_dir}/{_SEAL}") else None


def delete_data(tree: Tree, etcd: LocalEtcd, owner: DataIdentity | None) -> None:
    """Deletes the data, the seal last: until then the same command resumes. Mounts in the data are not touched. Raises
    `HostError` with what is left, and, with nothing deleted, for data of another member than `owner`: a reset that was
    suspended deleted the data of the voter that had joined here since."""
    _take_member(tree, etcd.data_dir, owner)
    tree.empty(etcd.data_dir, keep=(_SEAL,))
    tree.remove(f"{etcd.data_dir}/{_SEAL}")
    tree.remove(LEFT)


def _take_member(tree: Tree, data_dir: str, owner: DataIdentity | None) -> None:
    """Deletes etcd's own folder: moves it away, looks at it there, and only then deletes it. A pod that starts between a look
    and a deletion would lose what it has written. Twice, as a run that was cut off may have left one that was moved."""
    taken = f"{data_dir}/{_TAKEN}"
    for _ in range(2):
        if tree.mode(f"{taken}/{_MEMBER}") is None:
            # Nothing is moved under an etcd that is seen to be another's.
            if not _can_be_moved(tree, f"{data_dir}/{_MEMBER}") or not _is_of(real_path(tree, data_dir), owner):
                break
            tree.folder(taken, mode=0o700)
            tree.move(f"{data_dir}/{_MEMBER}", f"{taken}/{_MEMBER}")
        if not _is_of(real_path(tree, taken), owner):
            if tree.mode(f"{data_dir}/{_MEMBER}") is None:
                tree.move(f"{taken}/{_MEMBER}", f"{data_dir}/{_MEMBER}")
            raise _of_another(data_dir)
        tree.remove(taken)
    if not _is_of(real_path(tree, data_dir), owner):
        raise _of_another(data_dir)


def _can_be_moved(tree: Tree, path: str) -> bool:
    """Returns whether it is a folder in the same file system, and no link: its content could not be found by it elsewhere."""
    where = real_path(tree, posixpath.dirname(path)) / posixpath.basename(path)
    return not isinstance(tree, DryTree) and where.is_dir() and not where.is_symlink() and not where.is_mount()


def _is_of(data_dir: Path, owner: DataIdentity | None) -> bool:
    return data_identity(data_dir) in (None, owner)


def _of_another(data_dir: str) -> HostError:
    return HostError(
        f"the data in {data_dir} is of another etcd member than when this run looked: it was left as it is",
        advice="another program has joined this node since; look at its etcd, then run the same command again",
    )


def local_etcd(tree: Tree) -> LocalEtcd | None:
    """Reads the manifest. Returns None where there is none; raises `Refused` for one that cannot be understood, and where etcd
    may be run by another file that the kubelet reads."""
    found = _parsed(tree, manifest_path("etcd"))
    if found is None:
        for folder in dict.fromkeys([posixpath.dirname(manifest_path("etcd")), *_folder_of_kubelet(tree)]):
            _refuse_another_name(tree, folder)
    return found


def _folder_of_kubelet(tree: Tree) -> list[str]:
    """Returns the folder that the kubelet's own configuration names. With one that cannot be read no kubelet starts."""
    try:
        found = text_of(read_mapping(tree.read(_KUBELET_CONFIG) or b"", _KUBELET_CONFIG).get("staticPodPath"))
    except BadDocument:
        return []
    return [posixpath.normpath(found)] if found.startswith("/") else []


def _refuse_another_name(tree: Tree, folder: str) -> None:
    for name in tree.names(folder):
        path = f"{folder}/{name}"
        if not name.startswith(".") and tree.is_file(path) and (why := may_run_etcd(tree.read(path) or b"")):
            raise Refused(
                f"{path} {why}, and only {manifest_path('etcd')} is read as this node's",
                state="nothing was changed: it may be a member that the cluster counts on",
                advice=f"move it to {manifest_path('etcd')}; or, when it is no member of this cluster, move it away",
            )


def refuse_data_without_manifest(tree: Tree, certificates: str) -> None:
    """Raises `Refused` where there is no manifest, and a member's certificate, and etcd's data in its usual folder or in one
    that a manifest names which was moved: whoever stops etcd moves the manifest away. An etcd that is no pod has its
    certificates elsewhere."""
    if not tree.is_file(f"{certificates}/{_PEER_KEY}"):
        return
    for folder, manifest in [(_USUAL_DATA, ""), *_named_by_moved(tree)]:
        if not has_log(real_path(tree, folder)):
            continue
        owner = data_identity(real_path(tree, folder))
        of = f"of member {owner.member_id:x} of cluster {owner.cluster_id:x}" if owner else "of an etcd member"
        back = f"move {manifest} back" if manifest else "put its manifest back"
        raise Refused(
            f"there is no {manifest_path('etcd')}, and {folder} holds data {of}",
            state="nothing was changed: the cluster may count on that member",
            advice=f"{back} to {manifest_path('etcd')}; or, when it is no member any more, empty {folder}; then run the same "
            "command again",
        )


def doubt_without_manifest(tree: Tree, certificates: str) -> str:
    """Returns why a node without a manifest and without data that was found may still have a member; empty where nothing hints
    at one."""
    if not tree.is_file(f"{certificates}/{_PEER_KEY}"):
        return ""
    return (
        f"{certificates}/{_PEER_KEY} is the key of an etcd member, and neither its manifest nor its data was found: the "
        "cluster may still list it; 'quorate etcd member list' on another node shows it"
    )


def _named_by_moved(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yields the data folders that manifests of etcd elsewhere in /etc/kubernetes name, and these manifests."""
    folders = [CONFIG_FOLDER, *_folders_in(tree, CONFIG_FOLDER), *_folders_in(tree, _BACKUPS)]
    paths = [f"{folder}/{name}" for folder in folders for name in tree.names(folder) if "etcd" in name]
    for path in filter(tree.is_file, paths[:_MOST_LOOKED_AT]):
        with suppress(Refused, HostError):
            found = _parsed(tree, path)
            if found is not None and found.data_dir:
                yield found.data_dir, path


def _folders_in(tree: Tree, folder: str) -> list[str]:
    paths = [f"{folder}/{name}" for name in tree.names(folder)]
    return [path for path in paths if tree.mode(path) is not None and not tree.is_file(path)]


def _parsed(tree: Tree, path: str) -> LocalEtcd | None:
    content = tree.read(path)
    return parse(content, path) if content is not None else None
