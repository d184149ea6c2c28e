"""One loader for YAML and JSON that others wrote: configurations, kubeconfigs, cluster-info, ConfigMaps, manifests, patches,
records in etcd, files of state.

A few bytes can stand for gigabytes (aliases), for minutes (a megabyte in the pure-Python loader) or for the end of the stack
(brackets). So bytes, depth, values and aliases are counted while the text is read, before anything is built from it, and
nothing is ever constructed from a tag. Every failure is a `BadDocument` that says where.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import yaml

from quorate.errors import ConfigError

MOST_BYTES = 1 << 20
_MOST_BYTES_WITHOUT_C = 1 << 17
"""The pure-Python scanner reads 50 kB a second."""

_FAST: Any = getattr(yaml, "CSafeLoader", None)
_Loader: Any = _FAST or yaml.SafeLoader
_RESOLVER = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_MERGE = "tag:yaml.org,2002:merge"
_MOST_SCALAR = 256
"""No number, boolean or null is longer; what is, is text, and need not be matched by any rule."""

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = "Scalar | list[Value] | dict[str, Value]"


class BadDocument(ConfigError):
    """A text that is no YAML or JSON, or more than is read."""

    code = "document"
    next_step = "correct the text at the place that is named"


@dataclass(frozen=True, slots=True)
class Limits:
    """`depth`: of nested lists and mappings. `values`: scalars, lists and mappings together, each as often as an alias
    repeats it; so are the letters, of which there may be four times `size`."""

    size: int = MOST_BYTES
    depth: int = 40
    values: int = 200_000
    aliases: int = 200


USUAL = Limits()
API_ANSWER = Limits(size=16 << 20, depth=100, values=1_000_000, aliases=0)
RECORD = Limits(size=1 << 16, depth=8, values=1_000, aliases=0)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar. `text` is how it was written."""

    value: Scalar
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys in the order they were written."""

    rows: tuple[tuple[str, Node], ...]
    line: int

    def get(self, key: str) -> Node | None:
        return next((value for name, value in self.rows if name == key), None)

    def text(self, key: str) -> str:
        """The string at `key`, empty when there is none."""
        node = self.get(key)
        return node.value if isinstance(node, Leaf) and isinstance(node.value, str) else ""


Node: TypeAlias = Leaf | Sequence | Mapping
Fault: TypeAlias = Callable[[str, str, int], None]
"""Told of a key that cannot be used: the key, what is wrong, the line. What it returns from is left out of the mapping."""


def read_nodes(content: bytes, where: str, fault: Fault, limits: Limits = USUAL, *, merging: bool = False) -> list[Node]:
    """Returns the documents of a YAML or JSON text, with their lines. `merging`: read as Kubernetes reads what is no
    configuration of kubeadm's. Raises `BadDocument`."""
    text = _text(content, where, limits)
    try:
        return list(_Reading(where, limits, fault, merging).documents(text))
    except yaml.YAMLError as error:
        raise BadDocument(f"{where} is neither YAML nor JSON: {_first_line(error)}", advice="correct the file") from None
    except RecursionError:
        raise BadDocument(f"{where} is nested too deeply") from None


def read_documents(content: bytes, where: str, limits: Limits = USUAL) -> list[Value]:
    """Returns the documents of a YAML or JSON text that are not empty, as plain values. Raises `BadDocument`. Merge keys (`<<`)
    are followed, and of a key that is there twice the last one counts, as Kubernetes reads them."""

    def fault(key: str, text: str, line: int) -> None:
        if not key:
            raise BadDocument(f"{where}, line {line}: {text}")

    return [value for node in read_nodes(content, where, fault, limits, merging=True) if (value := plain(node)) is not None]


def read_mapping(content: bytes, where: str, limits: Limits = USUAL) -> dict[str, Value]:
    """Returns the one document of a text, a mapping. Raises `BadDocument`."""
    found = read_documents(content, where, limits)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise BadDocument(f"{where} is not one mapping")
    return found[0]


def read_json(content: bytes, where: str, limits: Limits = USUAL) -> Value:
    """Returns a JSON text as plain values. Raises `BadDocument`."""
    text = _text(content, where, limits)
    if sum(map(text.count, "[{,")) > limits.values:
        raise BadDocument(f"{where} has more values than are read")
    try:
        value: Value = json.loads(text, parse_float=_finite, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise BadDocument(f"{where} is not JSON: {reason}") from None
    _check_tree(value, where, limits, half_letters="\\u" in text)
    return value


def read_object(content: bytes, where: str, limits: Limits = USUAL) -> dict[str, Value]:
    """As `read_json`, a JSON object. Raises `BadDocument`."""
    value = read_json(content, where, limits)
    if not isinstance(value, dict):
        raise BadDocument(f"{where} is not a JSON object")
    return value


def plain(node: Node) -> Value:
    """The tree as plain Python values, for parts of a file that are passed through."""
    match node:
        case Leaf(value=value):
            return value
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(rows=rows):
            return {key: plain(value) for key, value in rows}


def _text(content: bytes, where: str, limits: Limits) -> str:
    if len(content) > limits.size:
        raise BadDocument(f"{where} has more than {limits.size} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadDocument(f"{where} is not text in UTF-8") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text[:40])
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_tree(value: Value, where: str, limits: Limits, *, half_letters: bool) -> None:
    """Without recursion. `half_letters`: half of a letter beyond 16 bits may be in a string by its escape; nothing that is
    written or sent can hold it."""
    level: list[Value] = [value]
    for _ in range(limits.depth + 1):
        if half_letters and not all(_is_encodable(text) for one in level for text in _texts(one)):
            raise BadDocument(f"{where} holds half a character")
        level = [
            inner for one in level if isinstance(one, list | dict) for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise BadDocument(f"{where} is nested too deeply")


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(slots=True)
class _Reading:
    """One walk over the events of a text. `anchors`: what aliases may repeat: the node, how many values it stands for, how deep
    it is."""

    where: str
    limits: Limits
    fault: Fault
    merging: bool
    values: int = 0
    letters: int = 0
    aliases: int = 0
    anchors: dict[str, tuple[Node, int, int, int]] = field(default_factory=dict[str, tuple[Node, int, int, int]])

    def documents(self, text: str) -> Iterator[Node]:
        if _FAST is None and len(text) > _MOST_BYTES_WITHOUT_C:
            raise BadDocument(f"{self.where} is too large to be read without PyYAML's C library")
        events = iter(yaml.parse(text, Loader=_Loader))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors.clear()
                node, _ = self._node(next(events), events, 0)
                yield node

    def _count(self, more: int, depth: int) -> None:
        self.values += more
        if (
            self.letters > 4 * self.limits.size
            or self.values > self.limits.values
            or depth > self.limits.depth
            or self.aliases > self.limits.aliases
        ):
            raise BadDocument(f"{self.where} is nested too deeply, or has more aliases or values than are read")

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> tuple[Node, int]:
        """Returns a node and how deep the tree below it is."""
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event, depth)
        before, letters = self.values, self.letters
        self._count(1, depth)
        line = _line(event)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node, height = self._leaf(event, line), 0
        elif isinstance(event, yaml.SequenceStartEvent):
            node, height = self._sequence(events, line, depth)
        else:
            node, height = self._mapping(events, line, depth)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = (node, self.values - before, height, self.letters - letters)
        return node, height

    def _repeated(self, event: yaml.AliasEvent, depth: int) -> tuple[Node, int]:
        found = self.anchors.get(event.anchor or "")
        if found is None:
            # Unknown, or the alias is inside what it repeats: a tree without end.
            raise BadDocument(f"{self.where}, line {_line(event)}: this alias repeats nothing that is complete")
        node, size, height, letters = found
        self.aliases += 1
        self.letters += letters
        self._count(size, depth + height)
        return node, height

    def _leaf(self, event: yaml.ScalarEvent, line: int) -> Leaf:
        text = event.value
        self.letters += len(text)
        if not text.isascii() and not _is_encodable(text):
            raise BadDocument(f"{self.where}, line {line}: holds half a character")
        return Leaf(_scalar(event), text, line)

    def _sequence(self, events: Iterator[yaml.Event], line: int, depth: int) -> tuple[Sequence, int]:
        items: list[Node] = []
        height = 0
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            node, below = self._node(event, events, depth + 1)
            items.append(node)
            height = max(height, below + 1)
        return Sequence(tuple(items), line), height

    def _mapping(self, events: Iterator[yaml.Event], line: int, depth: int) -> tuple[Mapping, int]:
        rows: dict[str, Node] = {}
        merged: list[Node] = []
        height = 0
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            at = _line(event)
            key, _ = self._node(event, events, depth + 1)
            value, below = self._node(next(events), events, depth + 1)
            height = max(height, below + 1)
            if isinstance(key, Leaf) and isinstance(event, yaml.ScalarEvent) and _tag(event) == _MERGE and self.merging:
                merged.append(value)
            elif not isinstance(key, Leaf) or (isinstance(event, yaml.ScalarEvent) and _tag(event) == _MERGE):
                self.fault("", "only plain keys can be used here", at)
            else:
                if key.text in rows:
                    self.fault(key.text, "this key is here twice", at)
                if key.text not in rows or self.merging:
                    rows[key.text] = value
        for name, value in [row for one in merged for row in _merged_rows(one)]:
            rows.setdefault(name, value)
        self._count(len(rows) if merged else 0, depth)
        return Mapping(tuple(rows.items()), line), height


def _merged_rows(node: Node) -> tuple[tuple[str, Node], ...]:
    """The rows that a merge key brings: of a mapping, or of the mappings of a list, the first of which counts."""
    if isinstance(node, Mapping):
        return node.rows
    if isinstance(node, Sequence):
        return tuple(row for item in node.items if isinstance(item, Mapping) for row in item.rows)
    return ()


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _tag(event: yaml.ScalarEvent) -> str:
    if event.tag is not None and event.tag != "!":
        return str(event.tag)
    if event.tag == "!" or len(event.value) > _MOST_SCALAR:
        return "tag:yaml.org,2002:str"
    return str(_RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit))  # type: ignore[no-untyped-call]


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    """By the tag that YAML 1.1 gives it, as Kubernetes does: yes, no, on and off are booleans; dates stay text."""
    kind = _tag(event).rpartition(":")[2]
    node = yaml.ScalarNode(_tag(event), event.value)
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return bool(_CONSTRUCTOR.construct_yaml_bool(node))
        if kind == "int":
            return int(_CONSTRUCTOR.construct_yaml_int(node))
        if kind == "float":
            return float(_CONSTRUCTOR.construct_yaml_float(node))
    except (ValueError, KeyError, IndexError, AttributeError, OverflowError):
        # A tag that does not fit its text: !!int '', !!bool x.
        return str(event.value)
    return str(event.value)


def _first_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0] if str(error) else "it cannot be read"
