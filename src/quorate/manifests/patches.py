"""The patches directory: files named `target[suffix][+type].yaml|json`, applied in the order of their names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from quorate.errors import ConfigError
from quorate.foreign.documents import read_documents
from quorate.manifests.strategic import merge

TARGETS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubeletconfiguration",
    "corednsdeployment",
)
KUBELET = "kubeletconfiguration"
_TYPES = ("strategic", "merge", "json")
_EXTENSIONS = (".yaml", ".json")

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """One document of a patch file."""

    source: str
    target: str
    kind: str
    content: Any


@dataclass(frozen=True, slots=True)
class PatchSet:
    """Patches in the order in which they apply; `ignored`: files that are no patches, each with the reason."""

    patches: tuple[Patch, ...] = ()
    ignored: tuple[str, ...] = ()

    def apply(self, target: str, value: Values) -> Values:
        """Returns the patched value. Raises `ConfigError` naming the file whose patch does not fit."""
        for patch in self.patches:
            if patch.target == target:
                value = _applied(patch, value)
        return value

    def files_for(self, target: str) -> list[str]:
        return [patch.source for patch in self.patches if patch.target == target]


def read_patches(files: Iterable[tuple[str, Callable[[], bytes]]]) -> PatchSet:
    """Reads patches. `files`: each name (without its folder) and a function that reads it, in the order of their paths.

    Raises `ConfigError` for an unknown type, and for content that is no YAML.
    """
    patches: list[Patch] = []
    ignored: list[str] = []
    for name, read in files:
        target = next((one for one in sorted(TARGETS, key=len, reverse=True) if name.startswith(one)), None)
        stem, extension = name[: name.rfind(".")] if "." in name else name, name[name.rfind(".") :]
        if extension not in _EXTENSIONS:
            ignored.append(f"{name}: its name does not end in {' or '.join(_EXTENSIONS)}")
        elif target is None:
            ignored.append(f"{name}: its name does not begin with a target: {', '.join(TARGETS)}")
        else:
            patches += _documents(name, target, _kind(name, stem), read())
    return PatchSet(tuple(patches), tuple(ignored))


def _kind(name: str, stem: str) -> str:
    _, plus, rest = stem.partition("+")
    kind = rest.partition("+")[0] if plus else "strategic"
    if kind not in _TYPES:
        raise ConfigError(f"the patch {name}: after + must come one of {', '.join(_TYPES)}", advice="rename the file")
    return kind


def _documents(name: str, target: str, kind: str, content: bytes) -> list[Patch]:
    return [Patch(name, target, kind, document) for document in read_documents(content, f"the patch {name}")]


def _applied(patch: Patch, value: Values) -> Values:
    try:
        result = _APPLY[patch.kind](value, patch)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"the patch {patch.source} does not fit {patch.target}: {error}", advice="correct the file") from None
    if not isinstance(result, dict):
        raise ConfigError(f"the patch {patch.source} does not leave {patch.target} a mapping", advice="correct the file")
    return result


def _strategic(value: Values, patch: Patch) -> Values:
    if not isinstance(patch.content, dict):
        raise TypeError("it must be a mapping")
    return merge(value, patch.content, keyed=patch.target != KUBELET)


def _merge(value: Values, patch: Patch) -> Values:
    if not isinstance(patch.content, dict):
        raise TypeError("it must be a mapping")
    merged: Values = _rfc7386(value, patch.content)
    return merged


def _rfc7386(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result: Values = dict(value) if isinstance(value, dict) else {}
    for name, inner in patch.items():
        if inner is None:
            result.pop(name, None)
        else:
            result[name] = _rfc7386(result.get(name), inner)
    return result


def _json(value: Values, patch: Patch) -> Values:
    import jsonpatch

    try:
        # As text: values that JSON does not have, such as dates, are refused here.
        result: Values = jsonpatch.JsonPatch.from_string(json.dumps(patch.content)).apply(value)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise ValueError(str(error)) from None
    return result


_APPLY = {"strategic": _strategic, "merge": _merge, "json": _json}
