"""What a node has that no snapshot of etcd holds, and without which what is restored is of no use: the keys of the CAs, those
that sign tokens, and those that decrypt what the API server has stored."""

from __future__ import annotations

import io
import tarfile

from quorate.errors import Refused
from quorate.foreign.documents import BadDocument
from quorate.phases.node.encryption_file import API_SERVER, encryption_of
from quorate.phases.node.static_pods import manifest_path
from quorate.tree import Tree

_CERTIFICATES = "/etc/kubernetes/pki"
_NAMES = ("ca.crt", "ca.key", "sa.pub", "sa.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key")
_NEEDED = ("ca.crt", "sa.key", "etcd/ca.crt")
"""The keys of CAs may be kept elsewhere, as kubeadm's external CAs are."""


def keys_bundle(tree: Tree) -> bytes:
    """Returns a tar of the files, by their paths. Raises `Refused` on a host that lacks what each control plane has, and where
    the API server names a file that cannot be read."""
    files = {f"{_CERTIFICATES}/{one}": tree.read(f"{_CERTIFICATES}/{one}") for one in _NAMES}
    if lacking := [one for one in _NEEDED if files[f"{_CERTIFICATES}/{one}"] is None]:
        raise Refused(
            f"there is no {_CERTIFICATES}/{lacking[0]} here: the keys of a control plane are saved on one of its nodes",
            state="nothing was saved",
            advice="run this on a control-plane node, or leave out --with-secrets",
        )
    files |= {manifest_path(one): tree.read(manifest_path(one)) for one in ("etcd", API_SERVER)}
    try:
        encryption = encryption_of(tree)
    except BadDocument as error:
        raise Refused(error.what, state="nothing was saved", advice="correct the file, or leave out --with-secrets") from None
    if encryption is not None and encryption.named:
        if encryption.content is None:
            raise Refused(
                f"{encryption.named}, which {encryption.manifest} names, is not on this host",
                state="nothing was saved",
                advice="run this where the API server runs, or leave out --with-secrets",
            )
        files[encryption.path] = encryption.content
    return _tar({path: content for path, content in files.items() if content is not None})


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
