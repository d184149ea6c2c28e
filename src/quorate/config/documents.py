"""Reads a configuration into trees with line numbers; errors of form are added to the problems of the file."""

from __future__ import annotations

from quorate.config.problems import Problems
from quorate.foreign.documents import Leaf, Mapping, Node, read_nodes


def read_documents(content: bytes, problems: Problems) -> list[Mapping]:
    """Returns the documents of a file that are not empty.

    Raises `ConfigError` for text that is not YAML or too large. Duplicate keys and documents that are not mappings are added to
    `problems`.
    """
    documents = read_nodes(content, problems.source, problems.add)
    for document in documents:
        if not isinstance(document, Mapping) and not _is_empty(document):
            problems.add("", "this document is not a mapping with apiVersion and kind", document.line)
    return [document for document in documents if isinstance(document, Mapping)]


def _is_empty(node: Node) -> bool:
    return isinstance(node, Leaf) and node.value is None
