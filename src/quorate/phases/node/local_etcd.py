"""The etcd that this node runs as a static pod: its manifest, and the note of one whose member has left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.values import mapping_of, rows_of, text_of, texts_of
from quorate.phases.base.context import CONFIG_FOLDER
from quorate.phases.node.static_pods import manifest_path
from quorate.tree import Tree


@dataclass(frozen=True, slots=True)
class LocalEtcd:
    """The local etcd as its manifest describes it. `rows`: of --initial-cluster, by name."""

    name: str
    peer_url: str
    client_urls: tuple[str, ...]
    rows: dict[str, str]
    data_dir: str
    """The path on the node; empty when the manifest does not show it."""


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
    noted = None if tree.is_file(manifest_path("etcd")) else _parsed(tree.read(LEFT))
    return noted if noted is not None and tree.is_file(f"{noted.data_dir}/{_SEAL}") else None


def delete_data(tree: Tree, etcd: LocalEtcd) -> None:
    """Deletes the data, the seal last: until then the same command resumes. Mounts in the data are not touched. Raises
    `HostError` with what is left."""
    tree.empty(etcd.data_dir, keep=(_SEAL,))
    tree.remove(f"{etcd.data_dir}/{_SEAL}")
    tree.remove(LEFT)


def local_etcd(tree: Tree) -> LocalEtcd | None:
    """Reads the manifest. Returns None where no etcd runs as a static pod."""
    return _parsed(tree.read(manifest_path("etcd")))


def _parsed(content: bytes | None) -> LocalEtcd | None:
    if content is None:
        return None
    try:
        spec = mapping_of(read_mapping(content, "the manifest of etcd").get("spec"))
    except BadDocument:
        return None
    container = next(iter(rows_of(spec.get("containers"))), {})
    words = [word for word in texts_of(container.get("command")) if word.startswith("--") and "=" in word]
    flags = dict(word.removeprefix("--").split("=", 1) for word in words)
    rows = dict(row.split("=", 1) for row in flags.get("initial-cluster", "").split(",") if "=" in row)
    try:
        data = _on_host(flags["data-dir"], container, spec)
        clients = tuple(flags["listen-client-urls"].split(","))
        return LocalEtcd(flags["name"], flags["initial-advertise-peer-urls"], clients, rows, data)
    except KeyError:
        return None


def _on_host(path: str, container: Mapping[str, object], spec: Mapping[str, object]) -> str:
    """Returns the path on the node of a path in a container; empty when it is unknown. The pod's mounts decide, not the flag:
    a patch may have moved the volume, and then the flag's path on the host belongs to another owner."""
    folders = {
        text_of(row.get("name")): text_of(mapping_of(row.get("hostPath")).get("path")) for row in rows_of(spec.get("volumes"))
    }
    mounts = [(text_of(row.get("mountPath")).rstrip("/"), row) for row in rows_of(container.get("volumeMounts"))]
    for place, row in sorted(mounts, key=lambda mount: len(mount[0]), reverse=True):
        if place and (path == place or path.startswith(f"{place}/")):
            host = folders.get(text_of(row.get("name")), "").rstrip("/")
            if not host or "subPathExpr" in row:
                return ""
            return "/".join(filter(None, (host, text_of(row.get("subPath")), path.removeprefix(place).strip("/"))))
    return ""
