"""The shape of every configuration kind, as one tree: for `config explain`, and for JSON Schema.

kubeadm's kinds are read off the classes that decode them, the components' off the table of their Go types, so that nothing is
explained that would be refused.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field, replace
from typing import Any, get_args, get_origin

from quorate.config import types as v4
from quorate.config import v1beta3
from quorate.config.component_descriptions import describe as describe_component
from quorate.config.component_fields import children, fields_of, minors_of
from quorate.config.components import VERSIONS
from quorate.config.default_values import default_values
from quorate.config.descriptions import CHOICES, describe, describe_kind
from quorate.config.duration import Duration
from quorate.config.env_source import FieldVersion, Quantity
from quorate.config.load import V4_KINDS
from quorate.config.schema import Value, keys
from quorate.config.times import Time
from quorate.config.versions import NEWEST, OLDEST
from quorate.errors import ConfigError

_SCALARS = {
    str: "string",
    int: "int",
    bool: "bool",
    Duration: "duration",
    Time: "time",
    Quantity: "quantity",
    FieldVersion: "string",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value can be. `type`: object, list, map, any, or a scalar as in Go. `of`: the items of a list, the values of a
    map. `fields`: of an object. `choices`: of a scalar, or of a list's items. `default`: what an empty file gets; None for
    none, or for one that depends on the host. `since`, `until`: the minors that have the field, where not all do."""

    type: str
    about: str = ""
    of: Shape | None = None
    fields: dict[str, Shape] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    default: Any = None
    since: int | None = None
    until: int | None = None

    @property
    def shown_type(self) -> str:
        """Returns the type as Go spells it: []string, map[string]bool."""
        if self.of is None:
            return self.type
        return f"[]{self.of.shown_type}" if self.type == "list" else f"map[string]{self.of.shown_type}"


def kinds() -> tuple[str, ...]:
    return (*V4_KINDS, *VERSIONS)


def versions_of(kind: str) -> tuple[str, ...]:
    """Returns the API versions of a kind, the newest first."""
    if kind in VERSIONS:
        return (VERSIONS[kind],)
    return (v4.V1BETA4, v4.V1BETA3) if kind in v1beta3.KINDS else (v4.V1BETA4,)


def full_version(kind: str, text: str) -> str:
    """Returns the version of a kind that a text names: v1beta3 is kubeadm.k8s.io/v1beta3, and none is the newest. Any other
    text is returned as it is."""
    known = versions_of(kind)
    return next((one for one in known if text and one.rpartition("/")[2] == text), text or known[0])


def shape_of(kind: str, version: str, minor: int) -> Shape:
    """Returns the shape of a kind in an API version, as `full_version` takes it. `minor`: of Kubernetes; the components' fields
    depend on it. Raises `ConfigError` when the kind has no such version."""
    version = full_version(kind, version)
    if version not in versions_of(kind):
        raise ConfigError(f"{kind} has no version {version}", advice=f"use {' or '.join(versions_of(kind))}")
    defaults = default_values(kind, minor)
    if kind in VERSIONS:
        shape = _of_component(kind, minor, "", "object", defaults)
    else:
        made = V4_KINDS[kind] if version == v4.V1BETA4 else v1beta3.KINDS[kind]
        shape = _of_class(made, defaults)
    return replace(shape, about=describe_kind(kind), default=None)


def _of_class(made: type[Value], default: Any) -> Shape:
    rows = {}
    for key, info in keys(made).items():
        inner = _of_hint(info.type, _inside(default, key))
        name = f"{made.__name__}.{info.name}"
        rows[key] = replace(inner, about=describe(made.__name__, info.name), choices=CHOICES.get(name, ()))
    return Shape("object", fields=rows)


def _of_hint(hint: Any, default: Any) -> Shape:
    if get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = [one for one in get_args(hint) if one is not type(None)]
    if get_origin(hint) is tuple:
        return Shape("list", of=_of_hint(get_args(hint)[0], None), default=default)
    if get_origin(hint) is dict:
        return Shape("map", of=_of_hint(get_args(hint)[1], None), default=default)
    if isinstance(hint, type) and issubclass(hint, Value):
        return _of_class(hint, default)
    return Shape(_SCALARS.get(hint, "any"), default=default)


def _inside(default: Any, key: str) -> Any:
    return default.get(key) if isinstance(default, dict) else None


def _of_component(kind: str, minor: int, path: str, made: str, default: Any) -> Shape:
    """Returns the shape at a path of the table. `made`: its type there."""
    if made.startswith("[]"):
        return Shape("list", of=_of_component(kind, minor, f"{path}[]", made.removeprefix("[]"), None), default=default)
    if made.startswith("map[]"):
        return Shape("map", of=_of_component(kind, minor, f"{path}[]", made.removeprefix("map[]"), None), default=default)
    if made != "object":
        return Shape(made, default=default)
    rows = {}
    for name in children(kind, minor, path):
        at = f"{path}.{name}" if path else name
        inner = _of_component(kind, minor, at, fields_of(kind, minor)[at].type, _inside(default, name))
        since, until = minors_of(kind, at) or (OLDEST, NEWEST)
        rows[name] = replace(
            inner,
            about=describe_component(kind, at),
            since=since if since != OLDEST else None,
            until=until if until != NEWEST else None,
        )
    return Shape("object", fields=rows)
