"""The node's real files: where libraries find those that they open themselves, and folders emptied."""

from __future__ import annotations

from pathlib import Path

from quorate.errors import HostError
from quorate.etcd.client.endpoint import TlsFiles
from quorate.tree import RealTree, Tree


def real_path(tree: Tree, path: str) -> Path:
    """Where a file of the node is for us. Raises `HostError` for a tree that only remembers."""
    if not isinstance(tree, RealTree):
        raise HostError("this step cannot be shown in a dry run")
    return tree.at(path)


def tls_files(tree: Tree, folder: str, pair: str) -> TlsFiles:
    """etcd's CA and the certificate `pair` (peer, healthcheck-client) below the certificates' folder."""
    return TlsFiles(*(real_path(tree, f"{folder}/etcd/{name}") for name in ("ca.crt", f"{pair}.crt", f"{pair}.key")))


def runtime_socket(tree: Tree, socket: str) -> str:
    """The container runtime's socket of the node whose files these are. A node below another root has its own: a reset with
    --rootfs once ended every pod of the live host."""
    return f"unix://{tree.at(socket.removeprefix('unix://'))}"
