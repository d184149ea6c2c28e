"""The etcd that this node runs as a static pod: its manifest, and the note of one whose member has left."""

from __future__ import annotations

import posixpath

from quorate.errors import Refused
from quorate.phases.base.context import CONFIG_FOLDER
from quorate.phases.node.etcd_manifest import LocalEtcd, parse, runs_etcd
from quorate.phases.node.static_pods import manifest_path
from quorate.tree import Tree

LEFT = f"{CONFIG_FOLDER}/.quorate-reset-etcd.yaml"
"""The manifest of an etcd whose member has left, kept until its data is deleted: a reset that was cut off resumes by it."""

_SEAL = ".quorate-left"
"""A file in the data of that member. Without it the note is void: another tool has deleted the data since."""


def note_left(tree: Tree, etcd: LocalEtcd) -> None:
    """Notes that the member has left, or is abandoned."""
    tree.write(f"{etcd.data_dir}/{_SEAL}", b"", mode=0o600)
    tree.write(LEFT, tree.read(manifest_path("etcd")) or b"", mode=0o600)


def has_left(tree: Tree) -> LocalEtcd | None:
    """Returns the etcd of a reset that was cut off. Where a manifest exists the note is ignored: the manifest may be of
    another member, made since, and asking the cluster again does no harm."""
    noted = None if tree.is_file(manifest_path("etcd")) else _parsed(tree, LEFT)
    return noted if noted is not None and tree.is_file(f"{noted.data_dir}/{_SEAL}") else None


def delete_data(tree: Tree, etcd: LocalEtcd) -> None:
    """Deletes the data, the seal last: until then the same command resumes. Mounts in the data are not touched. Raises
    `HostError` with what is left."""
    tree.empty(etcd.data_dir, keep=(_SEAL,))
    tree.remove(f"{etcd.data_dir}/{_SEAL}")
    tree.remove(LEFT)


def local_etcd(tree: Tree) -> LocalEtcd | None:
    """Reads the manifest. Returns None where there is none; raises `Refused` for one that cannot be understood, and where etcd
    is run by a manifest of another name: the kubelet reads every file of the folder."""
    found = _parsed(tree, manifest_path("etcd"))
    if found is None:
        _refuse_another_name(tree)
    return found


def _refuse_another_name(tree: Tree) -> None:
    folder = posixpath.dirname(manifest_path("etcd"))
    for name in tree.names(folder):
        path = f"{folder}/{name}"
        if not name.startswith(".") and tree.is_file(path) and runs_etcd(tree.read(path) or b""):
            raise Refused(
                f"{path} runs an etcd, and only {manifest_path('etcd')} is read as this node's",
                state="nothing was changed: it may be a member that the cluster counts on",
                advice="rename it to etcd.yaml; or, when it is no member of this cluster, move it away",
            )


def _parsed(tree: Tree, path: str) -> LocalEtcd | None:
    content = tree.read(path)
    return parse(content, path) if content is not None else None
