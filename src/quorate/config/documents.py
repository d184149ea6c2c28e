"""YAML or JSON text as a tree that knows its lines: bounded in size, depth and aliases, duplicate keys refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from quorate.config.problems import Problems
from quorate.errors import ConfigError

MOST_BYTES = 1 << 20
_MOST_DEPTH = 40
_MOST_EVENTS = 200_000
_MOST_ALIASES = 200

Scalar: TypeAlias = str | int | float | bool | None


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


def read_documents(content: bytes, problems: Problems) -> list[Mapping]:
    """The documents of a file, empty ones left out.

    Raises `ConfigError` for what is no YAML or too large; duplicate keys and documents that are no mappings are added to
    `problems`.
    """
    text = _text(content, problems.source)
    try:
        _check_bounds(text, problems.source)
        loader = _Loader(text)
        documents = [_convert(node, problems, 0) for node in _nodes(loader)]
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{problems.source} is neither YAML nor JSON: {_first_line(error)}", advice="correct the file"
        ) from None
    except RecursionError:
        raise ConfigError(f"{problems.source} is nested too deeply") from None
    for document in documents:
        if not isinstance(document, Mapping) and not _is_empty(document):
            problems.add("", "this document is not a mapping with apiVersion and kind", document.line)
    return [document for document in documents if isinstance(document, Mapping)]


class _Loader(yaml.SafeLoader):
    """Composes nodes; nothing is ever constructed from tags."""


def _nodes(loader: _Loader) -> Iterator[yaml.Node]:
    while loader.check_node():
        node = loader.get_node()
        if node is not None:
            yield node


def _text(content: bytes, source: str) -> str:
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{source} has {len(content)} bytes: a configuration has {MOST_BYTES} at most")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{source} is not text in UTF-8") from None


def _check_bounds(text: str, source: str) -> None:
    """Walk the events once before anything is built: a few bytes of aliases can stand for gigabytes."""
    depth = aliases = 0
    for events, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEPTH or events > _MOST_EVENTS or aliases > _MOST_ALIASES:
            raise ConfigError(f"{source} is nested too deeply, or has more aliases or values than a configuration can have")


def _convert(node: yaml.Node, problems: Problems, depth: int) -> Node:
    # Aliases share nodes: what was shallow as text may be deep, or endless, as a tree.
    if depth > _MOST_DEPTH:
        raise ConfigError(f"{problems.source} is nested too deeply")
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return Mapping(tuple(_rows(node, problems, depth)), line)
    if isinstance(node, yaml.SequenceNode):
        return Sequence(tuple(_convert(item, problems, depth + 1) for item in node.value), line)
    return Leaf(_scalar(node) if isinstance(node, yaml.ScalarNode) else None, str(node.value), line)


def _rows(node: yaml.MappingNode, problems: Problems, depth: int) -> Iterator[tuple[str, Node]]:
    seen: set[str] = set()
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
            problems.add("", "only plain keys can be used here", line)
            continue
        key = str(key_node.value)
        if key in seen:
            problems.add(key, "this key is here twice", line)
            continue
        seen.add(key)
        yield key, _convert(value_node, problems, depth + 1)


def _scalar(node: yaml.ScalarNode) -> Scalar:
    """By the tag that YAML 1.1 gives it, as Kubernetes does: yes, no, on and off are booleans; dates stay text."""
    constructor = yaml.constructor.SafeConstructor()
    kind = node.tag.rpartition(":")[2]
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return bool(constructor.construct_yaml_bool(node))
        if kind == "int":
            return int(constructor.construct_yaml_int(node))
        if kind == "float":
            return float(constructor.construct_yaml_float(node))
    except ValueError:
        return str(node.value)
    return str(node.value)


def _is_empty(node: Node) -> bool:
    return isinstance(node, Leaf) and node.value is None


def _first_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]


def plain(node: Node) -> object:
    """The tree as plain Python values, for parts of a file that are passed through."""
    match node:
        case Leaf(value=value):
            return value
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(rows=rows):
            return {key: plain(value) for key, value in rows}
