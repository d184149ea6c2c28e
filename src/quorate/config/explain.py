"""Finds the part of a kind that a path names: ClusterConfiguration.etcd.local.dataDir."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from quorate.config.shapes import Shape, full_version, kinds, shape_of
from quorate.core.suggestions import close_names, did_you_mean
from quorate.errors import ConfigError

_MOST_PLACES = 5
_INDEX = re.compile(r"\[[0-9]*\]")


@dataclass(frozen=True, slots=True)
class Explained:
    """A part of a kind. `path`: as in the file; empty for the whole kind."""

    kind: str
    version: str
    path: str
    shape: Shape

    def as_dict(self) -> dict[str, object]:
        """Returns the explanation in the form of `-o json`."""
        head = {"configurationKind": self.kind, "configurationVersion": self.version, "path": self.path}
        return {**head, **_row(self.shape), "fields": [{"name": name, **_row(one)} for name, one in self.rows.items()]}

    @property
    def rows(self) -> dict[str, Shape]:
        """Returns the fields below, also those of a list's items and of a map's values."""
        return fields_below(self.shape)


def fields_below(shape: Shape) -> dict[str, Shape]:
    """Returns the fields of an object, of a list's items, or of a map's values."""
    return _innermost(shape).fields


def _row(shape: Shape) -> dict[str, Any]:
    return {
        "type": shape.shown_type,
        "description": shape.about,
        "choices": list(shape.choices),
        "default": shape.default if shape.type != "object" else None,
        "since": _minor(shape.since),
        "until": _minor(shape.until),
    }


def _minor(number: int | None) -> str | None:
    return None if number is None else f"1.{number}"


def explain(name: str, version: str, minor: int) -> Explained:
    """Returns what KIND or KIND.PATH means. Items of a list need no index. `version`: of the API; empty for the newest. Raises
    `ConfigError` with what was probably meant."""
    kind, *parts = [part for part in _INDEX.sub("", name).split(".") if part] or [""]
    if not close_names(kind, kinds()):
        _raise_if_field([kind, *parts], minor)
    kind = known_kind(kind)
    version = full_version(kind, version)
    shape, path = shape_of(kind, version, minor), ""
    for part in parts:
        inside = _innermost(shape)
        if inside.type == "map" and inside.of is not None:
            shape, path = inside.of, f"{path}.{part}"
            continue
        where = f"{kind}{f'.{path}' if path else ''}"
        if not inside.fields:
            raise ConfigError(
                f"{where} is {_article(shape.shown_type)}: it has no fields", advice=f"quorate config explain {where}"
            )
        found = _known(part, tuple(inside.fields), f"field of {where}")
        shape, path = inside.fields[found], f"{path}.{found}" if path else found
    return Explained(kind, version, path, shape)


def _raise_if_field(parts: list[str], minor: int) -> None:
    """Raises `ConfigError` with the kinds that have the field, when a path without a kind names one."""
    wanted = [part.lower() for part in parts]
    found = [
        f"{kind}.{path}"
        for kind in kinds()
        for path in _paths(shape_of(kind, "", minor))
        if path.lower().split(".")[-len(wanted) :] == wanted
    ]
    if found:
        more = f", and {len(found) - _MOST_PLACES} more" if len(found) > _MOST_PLACES else ""
        raise ConfigError(
            f"{'.'.join(parts)!r} begins with no kind; there is {', '.join(found[:_MOST_PLACES])}{more}",
            advice=f"quorate config explain {found[0]}",
        )


def _paths(shape: Shape) -> list[str]:
    """Returns the paths of all fields below, those nearest to the top first."""
    rows = fields_below(shape)
    below = [f"{name}.{path}" for name, one in rows.items() for path in _paths(one)]
    return [*rows, *sorted(below, key=lambda path: path.count("."))]


def known_kind(word: str) -> str:
    """Returns the kind of that name, in either case. Raises `ConfigError` for any other."""
    return _known(word, kinds(), "kind")


def _innermost(shape: Shape) -> Shape:
    """Returns the object in lists of it, and in maps of it."""
    while shape.of is not None and (shape.type == "list" or shape.of.fields):
        shape = shape.of
    return shape


def _known(word: str, known: tuple[str, ...], what: str) -> str:
    exact = {one.lower(): one for one in known}
    if word.lower() in exact:
        return exact[word.lower()]
    question = did_you_mean(close_names(word, known)[:1])
    raise ConfigError(f"{word!r} is no {what}" + (f"; {question}" if question else ""), advice=f"use one of {', '.join(known)}")


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
