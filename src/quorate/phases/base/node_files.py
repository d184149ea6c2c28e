"""The node's real files, for libraries that open files themselves."""

from __future__ import annotations

from pathlib import Path

from quorate.dry_tree import DryTree
from quorate.errors import HostError
from quorate.etcd.client.endpoint import TlsFiles
from quorate.foreign.urls import socket_path, socket_url
from quorate.tree import Tree


def real_path(tree: Tree, path: str) -> Path:
    """Returns the path of a node's file on this machine. Raises `HostError` for one that a dry run has only in memory."""
    if isinstance(tree, DryTree) and any(one == path or one.startswith(f"{path}/") for one in tree.written):
        raise HostError("this step cannot be shown in a dry run")
    return tree.at(path)


def is_masked(tree: Tree, path: str) -> bool:
    """Returns whether a file is a link to /dev/null: so systemd is told to take none of that name."""
    try:
        folder, _, name = path.rpartition("/")
        return str((tree.at(folder) / name).readlink()) == "/dev/null"
    except (OSError, HostError):
        return False


def tls_files(tree: Tree, folder: str, pair: str) -> TlsFiles:
    """Returns etcd's CA and the certificate `pair` (peer, healthcheck-client) below the certificates' folder."""
    return TlsFiles(*(real_path(tree, f"{folder}/etcd/{name}") for name in ("ca.crt", f"{pair}.crt", f"{pair}.key")))


def runtime_socket(tree: Tree, socket: str) -> str:
    """Returns the socket of the container runtime below the root of `tree`. A node below another root has its own runtime:
    a reset with --rootfs once ended every pod of the live host."""
    return socket_url(str(tree.at(socket_path(socket))))
