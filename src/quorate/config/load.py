"""Loads the documents of a file as one configuration: known kinds in known versions, each at most once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from quorate.config import types as v4
from quorate.config.components import VERSIONS
from quorate.config.documents import read_documents
from quorate.config.problems import Problem, Problems, describe
from quorate.config.schema import decode
from quorate.foreign.documents import MOST_BYTES, Mapping, empty
from quorate.foreign.local_files import read_at_most, shown

V4_KINDS: dict[str, type[Any]] = {
    "InitConfiguration": v4.InitConfiguration,
    "ClusterConfiguration": v4.ClusterConfiguration,
    "JoinConfiguration": v4.JoinConfiguration,
    "ResetConfiguration": v4.ResetConfiguration,
    "UpgradeConfiguration": v4.UpgradeConfiguration,
}
_IGNORED = frozenset({"apiVersion", "kind"})


class Loaded(Struct, frozen=True):
    """The content of a file, in the shape of v1beta4 and without defaults. `documents`: the trees, by kind: for line numbers,
    and of KubeletConfiguration and KubeProxyConfiguration, whose fields depend on the Kubernetes version. `problems`: errors of
    form, which `config.resolve` reports together with broken rules. `old_api`: some document is v1beta3."""

    source: str
    init: v4.InitConfiguration | None = None
    cluster: v4.ClusterConfiguration | None = None
    join: v4.JoinConfiguration | None = None
    reset: v4.ResetConfiguration | None = None
    upgrade: v4.UpgradeConfiguration | None = None
    documents: dict[str, Mapping] = {}
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    old_api: bool = False


def load(path: Path) -> Loaded:
    """Reads a file, or standard input for `-`. Raises `ConfigError` when it is not YAML or holds no known kind."""
    return loads(read_at_most(path, MOST_BYTES), shown(path))


def loads(content: bytes, source: str) -> Loaded:
    """Reads the content of a file as `load`. `source`: its name in messages."""
    problems = Problems(source)
    documents = read_documents(content, problems)
    found: dict[str, tuple[str, Mapping]] = {}
    for document in documents:
        _sort_in(document, found, problems)
    if not documents and not problems.found:
        raise empty(source)
    decoded = {
        kind: _decode(kind, version, document, problems) for kind, (version, document) in found.items() if kind not in VERSIONS
    }
    if not found:
        problems.raise_if_any()
    return _loaded(problems, found, decoded)


def _sort_in(document: Mapping, found: dict[str, tuple[str, Mapping]], problems: Problems) -> None:
    version, kind = document.text("apiVersion"), document.text("kind")
    if not version or not kind:
        _unnamed(document, problems)
    elif kind in found:
        problems.add("kind", f"there is a {kind} already, at line {found[kind][1].line}", _line(document, "kind"))
    elif not _is_known(version, kind):
        # The kind is right where some version has it.
        field = "apiVersion" if kind in (*V4_KINDS, *VERSIONS) else "kind"
        text = f"{version} {kind} is not a kind that can be used here; {_hint(version, kind)}"
        problems.add(field, text, _line(document, field))
    else:
        found[kind] = (version, _without_metadata(document, kind, problems))


def _unnamed(document: Mapping, problems: Problems) -> None:
    for field in ("apiVersion", "kind"):
        node = document.get(field)
        if node is None:
            problems.add(field, f"this document has no {field}", document.line)
        elif not document.text(field):
            problems.add(field, "this must be a string that is not empty", node.line)


def _line(document: Mapping, field: str) -> int:
    node = document.get(field)
    return node.line if node is not None else document.line


def _without_metadata(document: Mapping, kind: str, problems: Problems) -> Mapping:
    """Returns the document without `metadata`, which generators of manifests give to every document: no kind here has it."""
    metadata = document.get("metadata")
    if metadata is None:
        return document
    problems.add_unknown("metadata", f"{kind} has no such field", metadata.line)
    return Mapping(tuple(row for row in document.rows if row[0] != "metadata"), document.line)


def is_metadata(problem: Problem) -> bool:
    """Returns whether the problem is the `metadata` of a document, which changes nothing: a warning where the file is used."""
    return problem.code == "unknown-field" and problem.path == "metadata"


def is_unknown_field(problem: Problem) -> bool:
    """Returns whether the problem is a field that we do not know: a warning in what a newer tool stored in the cluster."""
    return problem.code == "unknown-field"


def noting(loaded: Loaded, tolerated: Callable[[Problem], bool]) -> Loaded:
    """Returns the content with tolerated problems as notes."""
    return structs.replace(
        loaded,
        problems=tuple(one for one in loaded.problems if not tolerated(one)),
        notes=(*loaded.notes, *(f"{describe(loaded.source, one)}: ignored" for one in loaded.problems if tolerated(one))),
    )


def _is_known(version: str, kind: str) -> bool:
    if kind in VERSIONS:
        return version == VERSIONS[kind]
    return kind in _kinds_of(version)


def _kinds_of(version: str) -> dict[str, type[Any]]:
    if version != v4.V1BETA3:
        return V4_KINDS if version == v4.V1BETA4 else {}
    from quorate.config import v1beta3

    return v1beta3.KINDS


def _hint(version: str, kind: str) -> str:
    from quorate.config.api_changes import kind_advice

    return kind_advice(version, kind, VERSIONS)


def _decode(kind: str, version: str, document: Mapping, problems: Problems) -> Any:
    own = Problems(problems.source)
    decoded = decode(document, _kinds_of(version)[kind], own, "", _IGNORED)
    if own.found:
        from quorate.config.api_changes import with_advice

        problems.found += [with_advice(one, kind, version) for one in own.found]
    return decoded


def _loaded(problems: Problems, found: dict[str, tuple[str, Mapping]], decoded: dict[str, Any]) -> Loaded:
    old = {kind: value for kind, value in decoded.items() if found[kind][0] == v4.V1BETA3}
    new = {kind: value for kind, value in decoded.items() if found[kind][0] == v4.V1BETA4}
    if old:
        new.update(_upgraded(old))
    return Loaded(
        problems.source,
        new.get("InitConfiguration"),
        new.get("ClusterConfiguration"),
        new.get("JoinConfiguration"),
        new.get("ResetConfiguration"),
        new.get("UpgradeConfiguration"),
        {kind: document for kind, (_, document) in found.items()},
        tuple(problems.found),
        notes=("v1beta3 is deprecated: 'quorate config migrate' writes v1beta4",) if old else (),
        old_api=bool(old),
    )


def _upgraded(old: dict[str, Any]) -> dict[str, Any]:
    from quorate.config import v1beta3

    cluster = old.get("ClusterConfiguration")
    new: dict[str, Any] = {}
    if cluster is not None:
        new["ClusterConfiguration"] = v1beta3.upgrade_cluster(cluster)
    # v1beta4 has the API server's timeout in its InitConfiguration, so there must be one.
    if "InitConfiguration" in old or (cluster is not None and cluster.api_server.timeout_for_control_plane is not None):
        new["InitConfiguration"] = v1beta3.upgrade_init(old.get("InitConfiguration") or v1beta3.InitConfiguration(), cluster)
    if "JoinConfiguration" in old:
        new["JoinConfiguration"] = v1beta3.upgrade_join(old["JoinConfiguration"])
    return new
