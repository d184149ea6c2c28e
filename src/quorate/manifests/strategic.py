"""Kubernetes' strategic merge, for what kubeadm patches: static pods, the CoreDNS deployment, the kubelet's configuration.

Lists of objects that have a key are merged by it, other lists are replaced. Directives: `$patch` (merge, replace, delete),
`$retainKeys`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`. Which list has which key is a fact of the API
types (core/v1, apps/v1); the kubelet's configuration has none.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

Values = dict[str, Any]

_POD_KEYS: dict[str, str] = {
    "containers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "resourceClaims": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
    "ownerReferences": "uid",
    "conditions": "type",
}
_PRIMITIVE_LISTS = frozenset({"finalizers"})
_DIRECTIVE, _RETAIN_KEYS, _ORDER, _DELETE = "$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/"


def merge(base: Values, patch: Values, *, keyed: bool = True) -> Values:
    """Returns `base` with `patch` applied; `base` is not changed. `keyed`: lists have the keys of pods; False for other kinds.

    Raises ValueError for unknown directives, and for items that lack their key.
    """
    return _merge_maps(base, patch, _POD_KEYS if keyed else {})


def _merge_maps(base: Mapping[str, Any], patch: Mapping[str, Any], keys: Mapping[str, str]) -> Values:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise ValueError(f"$patch is {directive!r}: merge, replace and delete are known")
    merged: Values = copy.deepcopy(dict(base))
    if _RETAIN_KEYS in patch:
        merged = {name: value for name, value in merged.items() if name in patch[_RETAIN_KEYS]}
    for name, value in patch.items():
        _apply(merged, name, value, patch, keys)
    return merged


def _apply(merged: Values, name: str, value: Any, patch: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    if name in (_DIRECTIVE, _RETAIN_KEYS) or name.startswith(_ORDER):
        return
    if name.startswith(_DELETE):
        field = name.removeprefix(_DELETE)
        merged[field] = [item for item in merged.get(field) or [] if item not in value]
    elif value is None:
        merged.pop(name, None)
    elif isinstance(value, dict) and isinstance(merged.get(name), dict):
        merged[name] = _merge_maps(merged[name], value, keys)
    elif isinstance(value, list) and (name in keys or name in _PRIMITIVE_LISTS) and keys:
        merged[name] = _merge_lists(merged.get(name) or [], value, keys.get(name, ""), patch.get(_ORDER + name), keys)
    else:
        merged[name] = _without_directives(value)


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_directives(inner) for name, inner in value.items() if not name.startswith("$")}
        return {name: inner for name, inner in kept.items() if inner is not None}
    if isinstance(value, list):
        return [_without_directives(item) for item in value if not (isinstance(item, dict) and _DIRECTIVE in item)]
    return value


def _merge_lists(
    base: Sequence[Any], patch: Sequence[Any], key: str, order: Sequence[Any] | None, keys: Mapping[str, str]
) -> list[Any]:
    if not key:
        return [*base, *(item for item in patch if item not in base)]
    items = [item for item in patch if isinstance(item, dict)]
    if len(items) != len(patch):
        raise ValueError(f"every item of a list that is merged by {key} must be a mapping")
    if any(item.get(_DIRECTIVE) == "replace" and key not in item for item in items):
        return [_without_directives(item) for item in items if _DIRECTIVE not in item]
    gone = [_key_of(item, key) for item in items if item.get(_DIRECTIVE) == "delete"]
    wanted = [item for item in items if item.get(_DIRECTIVE) != "delete"]
    merged = {_key_of(item, key): item for item in base if _key_of(item, key) not in gone}
    for item in wanted:
        name = _key_of(item, key)
        merged[name] = _merge_maps(merged[name], item, keys) if name in merged else _without_directives(item)
    ordered = [_key_of(item, key) for item in (order if order is not None else wanted)]
    return _in_order(merged, [name for name in ordered if name in merged], [_key_of(item, key) for item in base])


def _key_of(item: Any, key: str) -> Any:
    if not isinstance(item, dict) or key not in item:
        raise ValueError(f"an item of a list that is merged by {key} has no {key}")
    return item[key]


def _in_order(merged: Mapping[Any, Any], patched: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    """Returns the items in the API server's order: those of the patch in its order, the others in theirs. Two items that both
    existed before keep their old order; a new item of the patch comes before the others that are left."""
    left = [name for name in merged if name not in patched]
    right = list(patched)
    result: list[Any] = []
    while left and right:
        both = left[0] in before and right[0] in before
        take_left = both and before.index(left[0]) < before.index(right[0])
        result.append((left if take_left else right).pop(0))
    return [merged[name] for name in (*result, *left, *right)]
