"""The keys among a node's certificates that an etcd member may use: a reset deletes them, and a member without its key is dead.

By what they are, not by their names: a member was taken for none because its key was called `member.key`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from quorate.errors import ConfigError, HostError
from quorate.foreign.paths import clean
from quorate.foreign.taking import JUDGED, TAKEN
from quorate.pki.store import may_serve, parse_certificate
from quorate.pki.table import BASES
from quorate.tree import Tree

_OF_MEMBERS = ("etcd/server", "etcd/peer")
_OF_OTHERS = frozenset({*BASES, "sa"} - {*_OF_MEMBERS})
_KEY, _KEYS, _CERTIFICATES = b"PRIVATE KEY-----", (".key", "-key.pem"), (".crt", ".pem", ".cert", "")
_DEEPEST, _MOST_FILES, _LOOKED_AT = 6, 500, 1 << 16


def keys_of_members(tree: Tree, certificates: str) -> list[str]:
    """Returns the paths of these keys. That of a certificate that no server may use is none, and those that kubeadm makes for
    others are none. Raises `HostError`."""
    found: list[str] = []
    for count, path in enumerate(_files(tree, clean(certificates), _DEEPEST)):
        base = posixpath.splitext(posixpath.relpath(in_its_place(path), clean(certificates)))[0]
        if count >= _MOST_FILES:
            raise HostError(f"{certificates} has more files than can be looked at for keys of etcd members")
        if base in _OF_OTHERS:
            continue
        is_key = path.endswith(_KEYS) or _KEY in (tree.tail(path, _LOOKED_AT) or b"")
        if is_key and _may_serve(tree, path):
            found.append(path)
    return found


def in_its_place(path: str) -> str:
    """Returns the path that a file had before a reset that was cut off took it away, to delete it."""
    return "/".join(part for part in path.split("/") if part not in (TAKEN, JUDGED))


def _files(tree: Tree, folder: str, deepest: int) -> Iterator[str]:
    for name in tree.names(folder):
        path = f"{folder}/{name}"
        if tree.is_file(path):
            yield path
        elif not deepest:
            raise HostError(f"{path} is too deep to be looked at for keys of etcd members")
        else:
            yield from _files(tree, path, deepest - 1)


def _may_serve(tree: Tree, key: str) -> bool:
    """Returns whether the certificate beside a key may be a server's; True where there is none, or none that can be read."""
    base = posixpath.splitext(key)[0].removesuffix("-key")
    for ending in _CERTIFICATES:
        content = tree.tail(f"{base}{ending}", _LOOKED_AT) if tree.is_file(f"{base}{ending}") else None
        if content is None or b"CERTIFICATE-----" not in content:
            continue
        try:
            return may_serve(parse_certificate(content, key))
        except ConfigError:
            return True
    return True
