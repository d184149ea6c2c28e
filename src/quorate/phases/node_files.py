"""The node's real files: where libraries find those that they open themselves, and folders emptied."""

from __future__ import annotations

from pathlib import Path

from quorate.errors import HostError
from quorate.etcd.endpoint import TlsFiles
from quorate.tree import RealTree, Tree


def real_path(tree: Tree, path: str) -> Path:
    """Where a file of the node is for us. Raises `HostError` for a tree that only remembers."""
    if not isinstance(tree, RealTree):
        raise HostError("this step cannot be shown in a dry run")
    return tree.at(path)


def tls_files(tree: Tree, folder: str, pair: str) -> TlsFiles:
    """etcd's CA and the certificate `pair` (peer, healthcheck-client) below the certificates' folder."""
    return TlsFiles(*(real_path(tree, f"{folder}/etcd/{name}") for name in ("ca.crt", f"{pair}.crt", f"{pair}.key")))


def refuse_link(tree: Tree, folder: str) -> None:
    if isinstance(tree, RealTree) and tree.at(folder).is_symlink():
        raise HostError(f"{folder} is a symlink: it is not followed, nothing in it was deleted")


def wipe(tree: Tree, folder: str) -> None:
    """The contents, not the folder: it may be a mount. Raises `HostError` for a link in its place, which is not followed."""
    refuse_link(tree, folder)
    for name in tree.names(folder):
        tree.remove(f"{folder}/{name}")
