"""One loader for YAML and JSON that others wrote: configurations, kubeconfigs, cluster-info, ConfigMaps, manifests, patches,
records in etcd, files of state.

A few bytes can expand to gigabytes (aliases), take minutes (a megabyte in the pure-Python loader) or exhaust the stack
(brackets). So bytes, depth, values and aliases are counted while the text is read, before anything is built from it, and
nothing is ever constructed from a tag. Every failure is a `BadDocument` that names the place.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeAlias

import yaml

from quorate.errors import ConfigError
from quorate.foreign.scalars import Scalar, plain_scalar

MOST_BYTES = 1 << 20
_MOST_BYTES_WITHOUT_C = 1 << 17
"""The pure-Python scanner reads 50 kB a second."""

_FAST: Any = getattr(yaml, "CSafeLoader", None)
_Loader: Any = _FAST or yaml.SafeLoader
_MERGE, _BINARY = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:binary"
_TAGGED: dict[str, type] = {
    f"tag:yaml.org,2002:{name}": kind for name, kind in (("null", type(None)), ("bool", bool), ("int", int), ("float", float))
}

Value: TypeAlias = "Scalar | list[Value] | dict[str, Value]"


class BadDocument(ConfigError):
    """A text is not YAML or JSON, or exceeds a limit."""

    code = "document"
    next_step = "correct what the message names"


def empty(where: str) -> BadDocument:
    """Returns the error of a text that holds nothing: mostly that of a command that failed, or of a wrong path."""
    return BadDocument(
        f"{where} is empty", advice="see whether the path is right, and whether the command that wrote it failed"
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a document. `size`: in bytes. `depth`: of nested lists and mappings. `values`: scalars, lists and mappings
    together, counted again for each alias. Characters are counted the same way, up to four times `size`."""

    size: int = MOST_BYTES
    depth: int = 40
    values: int = 200_000
    aliases: int = 200


USUAL = Limits()
API_ANSWER = Limits(size=16 << 20, depth=100, values=1_000_000, aliases=0)
RECORD = Limits(size=1 << 16, depth=8, values=1_000, aliases=0)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar. `text`: as it was written. `line`: as of every node, from 1; in a mapping that of its key."""

    value: Scalar
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping, with its keys in the order of the text."""

    rows: tuple[tuple[str, Node], ...]
    line: int

    def get(self, key: str) -> Node | None:
        """Returns the node at `key`; None when there is none."""
        return next((value for name, value in self.rows if name == key), None)

    def text(self, key: str) -> str:
        """Returns the string at `key`; empty when there is none."""
        node = self.get(key)
        return node.value if isinstance(node, Leaf) and isinstance(node.value, str) else ""


Node: TypeAlias = Leaf | Sequence | Mapping
Fault: TypeAlias = Callable[[str, str, int], None]
"""Called with a key that cannot be used, what is wrong, and the line. If it returns, the entry is left out; with
`last_wins`, the last of equal keys wins."""


def read_nodes(content: bytes, where: str, fault: Fault, limits: Limits = USUAL, *, last_wins: bool = False) -> list[Node]:
    """Returns the documents of a YAML or JSON text, with their lines. Merge keys (`<<`) are followed. `last_wins`: equal keys
    are no fault, as Kubernetes reads everything but kubeadm's configuration. Raises `BadDocument`."""
    text = _text(content, where, limits)
    try:
        return list(_Reading(where, limits, fault, last_wins).documents(text))
    except yaml.YAMLError as error:
        raise BadDocument(f"{where} is neither YAML nor JSON: {_first_line(error)}", advice="correct the file") from None
    except RecursionError:
        raise BadDocument(f"{where} is nested too deeply") from None


def read_documents(content: bytes, where: str, limits: Limits = USUAL) -> list[Value]:
    """Returns the documents of a YAML or JSON text that are not empty, as plain values. Raises `BadDocument`. Merge keys (`<<`)
    are followed, and the last of equal keys wins, as in Kubernetes."""

    def fault(key: str, text: str, line: int) -> None:
        if not key:
            raise BadDocument(f"{where}, line {line}: {text}")

    return [value for node in read_nodes(content, where, fault, limits, last_wins=True) if (value := plain(node)) is not None]


def read_mapping(content: bytes, where: str, limits: Limits = USUAL) -> dict[str, Value]:
    """Returns the only document of a text, a mapping. Raises `BadDocument` for any other text."""
    found = read_documents(content, where, limits)
    if not found:
        raise empty(where)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise BadDocument(f"{where} is not one mapping")
    return found[0]


def read_json(content: bytes, where: str, limits: Limits = USUAL) -> Value:
    """Returns a JSON text as plain values. Raises `BadDocument`."""
    text = _text(content, where, limits)
    if sum(map(text.count, "[{,")) > limits.values:
        raise BadDocument(f"{where} has too many values")
    try:
        value: Value = json.loads(text, parse_float=_finite, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise BadDocument(f"{where} is not JSON: {reason}") from None
    _check_tree(value, where, limits, half_letters="\\u" in text)
    return value


def read_object(content: bytes, where: str, limits: Limits = USUAL) -> dict[str, Value]:
    """Returns a JSON object, read as `read_json`. Raises `BadDocument`."""
    value = read_json(content, where, limits)
    if not isinstance(value, dict):
        raise BadDocument(f"{where} is not a JSON object")
    return value


def plain(node: Node) -> Value:
    """Returns a tree as plain Python values, for parts of a file that are passed through."""
    match node:
        case Leaf(value=value):
            return value
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(rows=rows):
            return {key: plain(value) for key, value in rows}


def _text(content: bytes, where: str, limits: Limits) -> str:
    if len(content) > limits.size:
        raise BadDocument(f"{where} has more than {limits.size} bytes", advice="see whether it is the right file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadDocument(f"{where}, line {line}: this is not text in UTF-8", advice="save it as UTF-8") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text[:40])
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_tree(value: Value, where: str, limits: Limits, *, half_letters: bool) -> None:
    """Checks depth and strings, without recursion. `half_letters`: an escape may have put a lone surrogate into a string, which
    cannot be written or sent."""
    level: list[Value] = [value]
    for _ in range(limits.depth + 1):
        if half_letters and not all(_is_encodable(text) for one in level for text in _texts(one)):
            raise BadDocument(f"{where} has half a character (a lone surrogate)")
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


_TWICE = "this key appears twice"
_TWICE_BY_MERGE = f"{_TWICE}: one of them comes from a merge key (<<)"


@dataclass(slots=True)
class _Reading:
    """One pass over the events of a text. `anchors`: the nodes that aliases may repeat, each with its number of values, its
    height and its number of characters. `way`: the keys and indices that lead to the node that is read."""

    where: str
    limits: Limits
    fault: Fault
    last_wins: bool
    values: int = 0
    letters: int = 0
    aliases: int = 0
    anchors: dict[str, tuple[Node, int, int, int]] = field(default_factory=dict[str, tuple[Node, int, int, int]])
    way: list[str | int] = field(default_factory=list[str | int])

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
            raise BadDocument(f"{self.where} is nested too deeply, or has too many aliases or values")

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> tuple[Node, int]:
        """Returns a node and the height of the tree below it."""
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
            # Unknown, or the alias is inside the node that it repeats: an endless tree.
            raise BadDocument(f"{self.where}, line {_line(event)}: this alias names no complete node before it")
        node, size, height, letters = found
        self.aliases += 1
        self.letters += letters
        self._count(size, depth + height)
        return node, height

    def _leaf(self, event: yaml.ScalarEvent, line: int) -> Leaf:
        text = event.value
        self.letters += len(text)
        if not text.isascii() and not _is_encodable(text):
            raise BadDocument(f"{self.where}, line {line}: half a character (a lone surrogate)")
        return Leaf(_scalar(event), text, line)

    def _sequence(self, events: Iterator[yaml.Event], line: int, depth: int) -> tuple[Sequence, int]:
        items: list[Node] = []
        height = 0
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            self.way.append(len(items))
            node, below = self._node(event, events, depth + 1)
            self.way.pop()
            items.append(node)
            height = max(height, below + 1)
        return Sequence(tuple(items), line), height

    def _mapping(self, events: Iterator[yaml.Event], line: int, depth: int) -> tuple[Mapping, int]:
        rows: dict[str, Node] = {}
        merged: set[str] = set()
        height = 0
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            at = _line(event)
            key, _ = self._node(event, events, depth + 1)
            self.way.append(key.text if isinstance(key, Leaf) else "?")
            value, below = self._node(next(events), events, depth + 1)
            self.way.pop()
            if value.line != at:
                # A block begins below its key, and an alias repeats what is elsewhere: people look for the key.
                value = replace(value, line=at)
            height = max(height, below + 1)
            if _is_merge(event):
                more = self._merged_rows(value, at)
                self._count(len(more), depth)
                for name, inner in more:
                    self._set(rows, name, inner, at, _TWICE_BY_MERGE)
                merged |= {name for name, _ in more}
            elif isinstance(key, Leaf):
                self._set(rows, key.text, value, at, _TWICE_BY_MERGE if key.text in merged else _TWICE)
            else:
                self.fault(self._path(), "only plain keys can be used here", at)
        return Mapping(tuple(rows.items()), line), height

    def _path(self, *last: str) -> str:
        """Returns where the reading is, as kubeadm writes it: apiServer.extraArgs[0].name."""
        parts = (f"[{one}]" if isinstance(one, int) else f".{one}" for one in (*self.way, *last))
        return "".join(parts).removeprefix(".")

    def _set(self, rows: dict[str, Node], key: str, value: Node, line: int, twice: str) -> None:
        if key in rows:
            self.fault(self._path(key), twice, line)
        if key not in rows or self.last_wins:
            rows[key] = value

    def _merged_rows(self, node: Node, line: int) -> list[tuple[str, Node]]:
        """Returns the rows that a merge key adds: of a mapping, or of a list of mappings, of which the first wins, and so is
        set last."""
        parts = reversed(node.items) if isinstance(node, Sequence) else [node]
        rows: list[tuple[str, Node]] = []
        for part in parts:
            if isinstance(part, Mapping):
                rows += part.rows
            else:
                self.fault(self._path(), "a merge key (<<) takes a mapping, or a list of mappings", line)
        return rows


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _is_merge(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and (
        event.tag == _MERGE or (event.tag is None and event.implicit[0] and event.value == "<<")
    )


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    """Returns the value of a scalar: quoted ones are text, a tag of YAML is taken where it fits."""
    if event.tag is None or event.tag == "!":
        return plain_scalar(event.value) if event.implicit[0] and event.tag is None else str(event.value)
    if event.tag == _BINARY:
        return _decoded(event.value)
    wanted = _TAGGED.get(event.tag)
    value = plain_scalar(event.value)
    if wanted is float and type(value) is int:
        return float(value)
    # A tag that does not fit its text (!!int '', !!bool x), or none of these: text.
    return value if wanted is not None and type(value) is wanted else str(event.value)


def _decoded(text: str) -> str:
    """Returns the text of a !!binary, as Go reads it: `ZXRjZA==` is etcd. Raises for what is no base64, as it does."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode(errors="replace")
    except ValueError:
        raise yaml.YAMLError("a !!binary that is not base64") from None


def _first_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0] if str(error) else "it cannot be read"
