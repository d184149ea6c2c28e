"""Reads a configuration into trees with line numbers; errors of form are added to the problems of the file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from quorate.config.problems import Problems
from quorate.foreign.documents import BadDocument, Leaf, Mapping, Node, read_json, read_nodes

_SEPARATOR = "---"


def read_documents(content: bytes, problems: Problems) -> list[Mapping]:
    """Returns the documents of a file that are not empty.

    Raises `ConfigError` for text that is not YAML or too large. Duplicate keys and documents that are not mappings are added to
    `problems`.
    """
    documents = read_nodes(content, problems.source, problems.add)
    for line, why in _refused_by_kubeadm(content.decode("utf-8-sig")):
        problems.add("", why, line)
    for document in documents:
        if not isinstance(document, Mapping) and not _is_empty(document):
            problems.add("", "this document is not a mapping with apiVersion and kind", document.line)
    return [document for document in documents if isinstance(document, Mapping)]


def _refused_by_kubeadm(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines that YAML allows and kubeadm does not: it cuts a file at its separators before it reads it, and takes a
    document that begins with a brace for JSON (1.29 to 1.37)."""
    lines = text.split("\n")
    separators = [number for number, line in enumerate(lines) if line.startswith(_SEPARATOR)]
    for number in separators:
        behind = lines[number].removeprefix(_SEPARATOR).strip()
        if behind and not behind.startswith("#"):
            yield number + 1, f"kubeadm allows nothing behind {_SEPARATOR}: begin the document on the next line"
    for begin, end in pairwise([-1, *separators, len(lines)]):
        document = "\n".join(lines[begin + 1 : end]).lstrip()
        if document.startswith("%"):
            yield begin + 2, "kubeadm does not read a directive of YAML: leave out the line that begins with %"
        elif document.startswith("{") and not _is_json(document):
            yield begin + 2, "kubeadm reads a document that begins with a brace as JSON, and this is none: write it as YAML"


def _is_json(text: str) -> bool:
    try:
        read_json(text.encode(), "this document")
    except BadDocument:
        return False
    return True


def _is_empty(node: Node) -> bool:
    return isinstance(node, Leaf) and node.value is None
