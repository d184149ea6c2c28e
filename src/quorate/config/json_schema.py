"""JSON Schema (2020-12) of the configuration kinds, for editors.

What it refuses is refused by `config validate`, too; rules across fields are known to `config validate` alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from quorate.config.shapes import Shape, kinds, shape_of, versions_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DURATION = r"^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"
_QUANTITY = r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{1,2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})$"
_BITS = {"int32": 31, "int64": 63, "uint32": 32, "uint64": 64}
_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float32": {"type": "number"},
    "float64": {"type": "number"},
    "duration": {"type": "string", "pattern": _DURATION},
    "nanoseconds or duration": {"type": ["string", "integer"], "pattern": _DURATION},
    "quantity": {"type": ["string", "number"], "pattern": _QUANTITY},
    "time": {"type": "string", "pattern": _TIME},
}


def schema_of(kind: str, version: str, minor: int) -> dict[str, Any]:
    """Returns the schema of one kind. `version`: of its API. `minor`: of Kubernetes."""
    return {"$schema": DIALECT, "title": kind, **_document(kind, version, minor)}


def schema_of_all(minor: int) -> dict[str, Any]:
    """Returns the schema of a document of any kind in any of its versions: editors apply it to each document of a file."""
    pairs = [(kind, version) for kind in kinds() for version in versions_of(kind)]
    return {
        "$schema": DIALECT,
        "title": "A configuration of kubeadm and quorate",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"enum": list(dict.fromkeys(version for _, version in pairs))},
            "kind": {"enum": list(kinds())},
        },
        # With conditions, an editor names what is wrong in the kind at hand; with oneOf it would name every kind.
        "allOf": [_if(kind, version, minor) for kind, version in pairs],
    }


def _if(kind: str, version: str, minor: int) -> dict[str, Any]:
    is_it = {"properties": {"apiVersion": {"const": version}, "kind": {"const": kind}}, "required": ["apiVersion", "kind"]}
    return {"if": is_it, "then": _document(kind, version, minor)}


def _document(kind: str, version: str, minor: int) -> dict[str, Any]:
    made = _of(shape_of(kind, version, minor))
    head = {"apiVersion": {"const": version}, "kind": {"const": kind}}
    # A document that is null is no document.
    return {**made, "type": "object", "required": ["apiVersion", "kind"], "properties": {**head, **made["properties"]}}


def _of(shape: Shape) -> dict[str, Any]:
    """Returns the schema of a value. Every value can be null, which means that it is not given."""
    said = {"description": shape.about} if shape.about else {}
    default = {"default": shape.default} if shape.default is not None and shape.type != "object" else {}
    return {**said, **_or_null(_of_type(shape)), **default}


def _of_type(shape: Shape) -> dict[str, Any]:
    if shape.type == "object":
        rows = {name: _of(inner) for name, inner in shape.fields.items()}
        return {"type": "object", "properties": rows, "additionalProperties": False}
    if shape.of is not None and shape.type == "list":
        return {"type": "array", "items": {**_of(shape.of), **_choices(shape.choices)}}
    if shape.of is not None:
        return {"type": "object", "additionalProperties": _of(shape.of)}
    if shape.type == "any":
        return {}
    return {**(_SCALARS.get(shape.type) or _range_of(shape.type)), **_choices(shape.choices)}


def _choices(values: Iterable[str]) -> dict[str, Any]:
    found = list(values)
    # The empty text stands for the default, as null does.
    return {"enum": [*found, "", None]} if found else {}


def _range_of(kind: str) -> dict[str, Any]:
    most = (1 << _BITS[kind]) - 1
    return {"type": "integer", "minimum": 0 if kind.startswith("u") else -most - 1, "maximum": most}


def _or_null(made: dict[str, Any]) -> dict[str, Any]:
    if "type" not in made:
        return made
    types = made["type"] if isinstance(made["type"], list) else [made["type"]]
    return {**made, "type": [*types, "null"]}
