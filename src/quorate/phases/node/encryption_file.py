"""The file with which this node's API server encrypts what it stores, as its manifest names it."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.foreign.documents import read_mapping
from quorate.foreign.values import mapping_of, rows_of, texts_of
from quorate.phases.node.etcd_manifest import flags_in, on_host
from quorate.phases.node.static_pods import manifest_path, staged_path
from quorate.tree import Tree

API_SERVER = "kube-apiserver"
FLAG = "encryption-provider-config"


@dataclass(frozen=True, slots=True)
class EncryptionFile:
    """`manifest`: of the API server; `named`: the file in its flag, empty for none; `path`: the same on this host, empty where
    no volume leads to it; `content`: None where it is not there."""

    manifest: str
    named: str
    path: str
    content: bytes | None


def encryption_of(tree: Tree) -> EncryptionFile | None:
    """Returns the file of the API server of this node, also of one that is held or staged; None where there is no API server.
    Raises `BadDocument`."""
    manifest = next((one for one in (manifest_path(API_SERVER), staged_path(API_SERVER)) if tree.is_file(one)), "")
    if not manifest:
        return None
    spec = mapping_of(read_mapping(tree.read(manifest) or b"", manifest).get("spec"))
    container = next((one for one in rows_of(spec.get("containers")) if one.get("name") == API_SERVER), {})
    named = flags_in([*texts_of(container.get("command")), *texts_of(container.get("args"))]).get(FLAG, "")
    path = on_host(named, container, spec) if named else ""
    return EncryptionFile(manifest, named, path or "", tree.read(path) if path else None)
