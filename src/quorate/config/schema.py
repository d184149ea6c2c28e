"""Reads trees into frozen typed values, reporting every problem, and turns them back into plain values.

Field names are kubeadm's in snake case; a field whose name in the file differs (certSANs) declares it. `always` lists the
fields that Go writes even when they are empty, `secret` those whose text no message repeats.
"""

from __future__ import annotations

import types
import typing
from functools import lru_cache
from typing import Any, ClassVar, TypeVar, get_args, get_origin

from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from quorate.config.duration import Duration, Seconds
from quorate.config.problems import Problems
from quorate.config.times import Time
from quorate.core.suggestions import close_names, did_you_mean
from quorate.foreign.documents import Leaf, Mapping, Node, Sequence, plain


class Value(Struct, frozen=True):
    """A part of a configuration."""

    always: ClassVar[tuple[str, ...]] = ()
    secret: ClassVar[tuple[str, ...]] = ()


T = TypeVar("T", bound=Value)
_WORDS = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    Duration: "a duration such as 4m0s",
    Seconds: "a duration such as 10m or 30s",
    Time: "a time such as 2030-01-02T15:04:05Z",
}


def key_of(name: str, explicit: str = "") -> str:
    """Returns a field's name in the file."""
    if explicit and explicit != name:
        return explicit
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


@lru_cache(maxsize=128)
def keys(kind: type[Value]) -> dict[str, FieldInfo]:
    """Returns the fields of a kind by their names in the file."""
    return {key_of(info.name, info.encode_name): info for info in fields(kind)}


def decode(node: Node, kind: type[T], problems: Problems, path: str = "", ignored: frozenset[str] = frozenset()) -> T:
    """Returns the tree as `kind`. Unknown fields and wrong types are added to `problems`. A wrong value is left at its default,
    so that one pass finds everything. `ignored`: keys that the caller reads."""
    if not isinstance(node, Mapping):
        problems.add(path, "this must be a mapping", node.line)
        return kind()
    known, values = keys(kind), dict[str, Any]()
    for key, value in node.rows:
        where = f"{path}.{key}" if path else key
        if key in known:
            name = known[key].name
            values[name] = _value(_without_text(value) if name in kind.secret else value, known[key].type, problems, where)
        elif key not in ignored:
            problems.add_unknown(where, f"there is no such field{_like(key, list(known))}", value.line)
    return kind(**values)


def _without_text(node: Node) -> Node:
    """Returns a scalar that no message can repeat: it is a secret."""
    return Leaf(node.value, "", node.line) if isinstance(node, Leaf) else node


def _like(key: str, known: list[str]) -> str:
    question = did_you_mean(close_names(key, known)[:1])
    return f"; {question}" if question else ""


def _value(node: Node, hint: Any, problems: Problems, path: str) -> Any:
    if isinstance(node, Leaf) and node.value is None:
        return _empty(hint)
    if get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = [one for one in get_args(hint) if one is not type(None)]
    if get_origin(hint) is tuple:
        return _items(node, get_args(hint)[0], problems, path)
    if get_origin(hint) is dict:
        return _entries(node, get_args(hint)[1], problems, path)
    if isinstance(hint, type) and issubclass(hint, Value):
        return decode(node, hint, problems, path)
    return plain(node) if hint is Any else _scalar(node, hint, problems, path)


def _empty(hint: Any) -> Any:
    """Returns the value of an explicit null: None for an optional field, else the field's zero."""
    if get_origin(hint) in (types.UnionType, typing.Union):
        return None
    if get_origin(hint) is tuple:
        return ()
    if get_origin(hint) is dict:
        return {}
    return hint() if hint is not Any else None


def _items(node: Node, hint: Any, problems: Problems, path: str) -> tuple[Any, ...]:
    if not isinstance(node, Sequence):
        problems.add(path, "this must be a list", node.line)
        return ()
    return tuple(_value(item, hint, problems, f"{path}[{number}]") for number, item in enumerate(node.items))


def _entries(node: Node, hint: Any, problems: Problems, path: str) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        problems.add(path, "this must be a mapping of names to values", node.line)
        return {}
    return {key: _value(value, hint, problems, f"{path}.{key}") for key, value in node.rows}


def _scalar(node: Node, hint: Any, problems: Problems, path: str) -> Any:
    if isinstance(node, Leaf):
        is_number = type(node.value) in (int, float)
        if hasattr(hint, "parse") and (isinstance(node.value, str) or (is_number and getattr(hint, "takes_numbers", False))):
            return _parsed(hint, node.text, node.line, problems, path)
        if hint is Seconds and is_number:
            return _parsed(Seconds, f"{node.text}s", node.line, problems, path)
        # bool is an int for Python, not for a file.
        if type(node.value) is hint:
            return node.value
        # 6443.0 and 1e3 are whole numbers in the JSON that kubeadm makes of its YAML.
        if hint is int and isinstance(node.value, float) and node.value.is_integer():
            return int(node.value)
    from quorate.config.wrong_types import meant, must_be

    found = meant(node, hint)
    why = must_be(_WORDS.get(hint, str(getattr(hint, "words", "something else"))), node)
    if found is None:
        problems.add(path, why, node.line)
        return hint()
    problems.add_meant(path, why, node.line, is_unquoted=hint is str)
    return found


def _parsed(hint: Any, text: str, line: int, problems: Problems, path: str) -> Any:
    """Returns a text of a type that is checked and written in one form: its `parse` raises ValueError."""
    try:
        return hint.parse(text)
    except ValueError as error:
        problems.add(path, str(error), line)
        return hint()


def encode(value: Any) -> Any:
    """Returns a value as plain ones, with keys in alphabetical order. Empty fields are left out unless in `always`."""
    if isinstance(value, Value):
        rows = {
            key: encode(inner)
            for key, info in keys(type(value)).items()
            if not _is_left_out(inner := getattr(value, info.name), info) or info.name in value.always
        }
        return dict(sorted(rows.items()))
    if isinstance(value, Time):
        # Go writes a time that was given, and is its zero, as null.
        return str(value) or None
    if isinstance(value, Duration | str):
        return str(value)
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(inner) for key, inner in sorted(value.items())}
    return value


def _is_left_out(value: Any, info: FieldInfo) -> bool:
    """Returns whether Go leaves a field out: an optional one that is not given, or another that has its zero. An optional one
    that was given is written, so `imagePullSerial: false` stays."""
    is_optional = get_origin(info.type) in (types.UnionType, typing.Union)
    return value is None if is_optional else _is_zero(value)


def _is_zero(value: Any) -> bool:
    return value is None or value is False or value in ("", (), {}) or (type(value) is int and value == 0)
