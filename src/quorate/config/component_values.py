"""Reads KubeletConfiguration and KubeProxyConfiguration as kubeadm does: into the Go types of the cluster's minor, and out.

A wrong type would pass through quorate and end the kubelet ("failed to decode"), and kubeadm would drop an unknown field. Both
are reported here, with line and path. What is returned is what Go writes: durations and quantities in their canonical form, and
no field that holds its zero, so that kubeadm's default is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import Struct

from quorate.config.component_fields import Field, children, fields_of, minors_of
from quorate.config.component_limits import refused, refused_key
from quorate.config.duration import Duration
from quorate.config.problems import Problems
from quorate.config.quantity import canonical
from quorate.config.times import Time
from quorate.core.suggestions import close_names, did_you_mean
from quorate.foreign.documents import Leaf, Mapping, Node, Sequence
from quorate.foreign.numbers import whole
from quorate.foreign.scalars import Scalar

Values: TypeAlias = dict[str, Any]
_WORDS = {
    "string": "a string",
    "bool": "true or false",
    "duration": "a duration such as 4m0s",
    "nanoseconds or duration": "a duration such as 5s, or a number of nanoseconds",
    "quantity": "a quantity such as 100Mi",
    "time": "a time such as 2026-01-02T15:04:05Z",
}
_ZEROES: dict[str, Any] = {
    "string": "",
    "bool": False,
    "duration": "0s",
    "nanoseconds or duration": 0,
    "quantity": "0",
    "time": None,
}
_REFUSED = object()


def zeroes(kind: str, minor: int, path: str = "") -> Values:
    """Returns what Go writes of an object in which nothing was set; `path` is empty for the document."""
    found = fields_of(kind, minor)
    made: Values = {}
    for name in children(kind, minor, path):
        at = f"{path}.{name}" if path else name
        field = found[at]
        if field.omitted:
            continue
        made[name] = zeroes(kind, minor, at) if field.type == "object" and not field.optional else _zero(field)
    return made


def _zero(field: Field) -> Any:
    if field.optional or field.type.startswith(("[]", "map[]")):
        return None
    return _ZEROES.get(field.type, 0)


def written(kind: str, minor: int, defaults: Values, given: Values) -> Values:
    """Returns what Go writes of `given` over `defaults`. An empty list that was given is no default's place, and is left out
    only then."""
    return _without_empty(kind, minor, over(over(zeroes(kind, minor), defaults), given), "")


def _without_empty(kind: str, minor: int, values: Values, path: str) -> Values:
    known = fields_of(kind, minor)
    made: Values = {}
    for name, value in values.items():
        at = f"{path}.{name}" if path else name
        field = known.get(at)
        if field is None or not (value in ([], {}) and field.omitted and not field.optional):
            made[name] = _inside(kind, minor, value, at)
    return made


def _inside(kind: str, minor: int, value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return _without_empty(kind, minor, value, path)
    if isinstance(value, list):
        return [_inside(kind, minor, item, f"{path}[]") for item in value]
    return value


def over(base: Values, upper: Values) -> Values:
    """Returns `upper` laid over `base`: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def given_values(document: Mapping, kind: str, minor: int, problems: Problems) -> Values:
    """Returns what a document sets, without apiVersion and kind. Unknown fields and wrong types are added to `problems`."""
    rows = tuple(row for row in document.rows if row[0] not in ("apiVersion", "kind"))
    return _Reading(kind, minor, problems).of_object(Mapping(rows, document.line), "", "")


class _Reading(Struct, frozen=True):
    """One pass over a document. `where`: the path in the file (taints[0].key); `path`: the same in the table (taints[].key)."""

    kind: str
    minor: int
    problems: Problems

    def of_object(self, node: Node, path: str, where: str) -> Values:
        if not isinstance(node, Mapping):
            self._refuse(node, where, "a mapping")
            return {}
        made: Values = {}
        known = fields_of(self.kind, self.minor)
        for name, value in node.rows:
            at, there = (f"{path}.{name}", f"{where}.{name}") if path else (name, name)
            field = known.get(at)
            if field is None or "[" in name:
                self.problems.add_unknown(there, self._unknown(name, path, at), value.line)
            else:
                read = self._of(value, field.type, at, there)
                if read is not _REFUSED and not _is_unset(read, field):
                    made[name] = read
        return made

    def _unknown(self, name: str, path: str, at: str) -> str:
        minors = minors_of(self.kind, at)
        if minors is not None:
            since, until = minors
            when = f"since 1.{since}" if since > self.minor else f"until 1.{until}"
            return f"{self.kind} has no such field in Kubernetes 1.{self.minor}: it is there {when}"
        known = children(self.kind, self.minor, path)
        question = did_you_mean(close_names(name, known)[:1])
        return f"{self.kind} has no such field in Kubernetes 1.{self.minor}" + (f"; {question}" if question else "")

    def _refuse(self, node: Node, where: str, wanted: str) -> object:
        from quorate.config.wrong_types import must_be

        self.problems.add(where, must_be(wanted, node), node.line)
        return _REFUSED

    def _of(self, node: Node, kind: str, path: str, where: str) -> Any:
        if isinstance(node, Leaf) and node.value is None:
            return None
        if kind == "object":
            return self.of_object(node, path, where)
        if kind.startswith("map[]"):
            return self._entries(node, kind.removeprefix("map[]"), path, where)
        if kind.startswith("[]"):
            return self._items(node, kind.removeprefix("[]"), path, where)
        value = _scalar(node, kind)
        if value is _REFUSED:
            return self._refuse(node, where, _WORDS.get(kind, _number_words(kind)))
        field = fields_of(self.kind, self.minor).get(path)
        if field is None or not _is_unset(value, field):
            self._limit(refused(self.kind, self.minor, path, value), node, where)
        return value

    def _limit(self, why: str | None, node: Node, where: str) -> None:
        if why is not None:
            self.problems.add(where, why, node.line)

    def _items(self, node: Node, kind: str, path: str, where: str) -> Any:
        if not isinstance(node, Sequence):
            return self._refuse(node, where, "a list")
        made = [self._of(_given(item, kind), kind, f"{path}[]", f"{where}[{number}]") for number, item in enumerate(node.items)]
        return [over(self._empty_item(kind, path), item) if isinstance(item, dict) else item for item in made]

    def _empty_item(self, kind: str, path: str) -> Values:
        return zeroes(self.kind, self.minor, f"{path}[]") if kind == "object" else {}

    def _entries(self, node: Node, kind: str, path: str, where: str) -> Any:
        if not isinstance(node, Mapping):
            return self._refuse(node, where, "a mapping of names to values")
        for key, value in node.rows:
            self._limit(refused_key(self.kind, self.minor, path, key), value, f"{where}.{key}")
        return {key: self._of(_given(value, kind), kind, f"{path}[]", f"{where}.{key}") for key, value in node.rows}


def _given(node: Node, kind: str) -> Node:
    """Returns an item of a list, or the value of a key. Go's null there is the zero of its type, unlike that of a field, which
    leaves the default: `featureGates: {Some: null}` switches the gate off."""
    is_null = isinstance(node, Leaf) and node.value is None
    return Leaf(_ZEROES.get(kind, 0), "", node.line) if is_null and not kind.startswith(("[]", "map[]", "object")) else node


def _is_unset(value: Any, field: Field) -> bool:
    """Returns whether Go cannot tell the value from one that was not given."""
    if value is None:
        return True
    if field.optional or isinstance(value, list | dict):
        return False
    return value in ("", 0, False) or (field.type != "string" and value in ("0s", "0"))


def _scalar(node: Node, kind: str) -> Any:
    """Returns the value of a scalar as Go writes it, or `_REFUSED`."""
    if not isinstance(node, Leaf):
        return _REFUSED
    try:
        read = _READERS.get(kind)
        return read(node.value) if read is not None else _in_range(_number(node.value), kind)
    except ValueError:
        return _REFUSED


def _text(value: Scalar) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _boolean(value: Scalar) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _time(value: Scalar) -> str | None:
    """Returns a time; None for Go's zero, which it writes as null."""
    return str(Time.parse(_text(value))) or None


def _duration(value: Scalar) -> str:
    return str(Duration.parse(_text(value)))


def _nanoseconds(value: Scalar) -> str | int | float:
    return _duration(value) if isinstance(value, str) else _in_range(_number(value), "int64")


def _quantity(value: Scalar) -> str:
    return canonical(value if isinstance(value, str) else _json_number(value))


def _json_number(value: Scalar) -> str:
    """Returns a number of a file as the JSON that kubeadm makes of its YAML has it: 0.00001, 1e-7, 1e+21."""
    if isinstance(value, float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124
        power = Decimal(repr(value)).adjusted() if value else 0
        if -6 <= power < 21:
            return f"{Decimal(repr(value)):f}".removesuffix(".0")
        number, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
        return f"{number}e{int(exponent):+d}"
    return str(_number(value))


_READERS: dict[str, Callable[[Scalar], Any]] = {
    "string": _text,
    "bool": _boolean,
    "time": _time,
    "duration": _duration,
    "nanoseconds or duration": _nanoseconds,
    "quantity": _quantity,
}
"""By type; each raises ValueError. What is not here is a number."""


def _number(value: object) -> int | float:
    """Returns a number; one without a fraction as a whole number, which is how it is written in JSON. Raises ValueError."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    # bool is an int for Python, not for a file.
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value and abs(value) != float("inf"):  # noqa: PLR0124
        return value
    raise ValueError(value)


def _in_range(value: int | float, kind: str) -> int | float:
    if kind.startswith("float"):
        return value
    least, most = _range(kind)
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(value)
    return value


def _range(kind: str) -> tuple[int, int]:
    bits = whole(kind[-2:], 64) or 64
    return (0, (1 << bits) - 1) if kind.startswith("uint") else (-(1 << bits - 1), (1 << bits - 1) - 1)


def _number_words(kind: str) -> str:
    return "a number" if kind.startswith("float") else "a whole number" + (" of 0 or more" if kind.startswith("uint") else "")
