"""What a text may do to whoever reads it: nothing beyond a typed error."""

from __future__ import annotations

import json
import resource
import time
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from quorate.config.render import to_yaml
from quorate.errors import ConfigError
from quorate.foreign.documents import (
    API_ANSWER,
    RECORD,
    BadDocument,
    Limits,
    Mapping,
    Node,
    Value,
    read_documents,
    read_json,
    read_mapping,
    read_nodes,
)
from quorate.pki import kubeconfig

SECONDS = 2.0
MOST_MORE = 200 << 20


def laughs(levels: int = 12) -> bytes:
    """Aliases of aliases: 9 ** levels values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


BOMBS = {
    "aliases of aliases": laughs(),
    "brackets": b"[" * 100_000,
    "braces": b"{a: " * 20_000,
    "lines that go deeper": b"\n".join(b" " * n + b"a:" for n in range(2_000)),
    "a key in brackets": b"? " * 20_000,
    "a megabyte of rows": b"- a\n" * (1 << 18),
    "a megabyte of one word": b"a: " + b"x" * (1 << 20),
    "an endless tree": b"a: &a [*a]",
    "an unknown alias": b"a: *b",
    "an int without digits": b"a: !!int ''",
    "a float without digits": b"a: !!float ''",
    "a date that is none": b"a: !!timestamp x",
    "a python tag": b"a: !!python/object/apply:os.system [id]",
    "an int of 5000 digits": b"a: " + b"9" * 5000,
    "sixty times sixty": b"a: 1" + b":59" * 5000,
    "half a letter": b'a: "\\ud800"',
    "no UTF-8": b"\xff\xfe",
    "a NUL": b"a: \0",
    "two documents": b"a: 1\n---\nb: 2",
    "a tab": b"a:\n\t- b",
    "a binary": b"a: !!binary ====",
    "a set": b"a: !!set {x, y}",
    "a merge": b"a: &x {b: 1}\nc: {<<: *x}",
    "a list as a key": b"? [a]\n: b",
    "a key twice": b"a: 1\na: 2",
    "quadratic quotes": b'"' + b"\\" * 100_000,
    "anchors without end": b"&a " * 50_000,
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS.keys())
def test_a_text_costs_little_and_ends_in_values_or_a_typed_error(content: bytes) -> None:
    """Rows f1 and d3, and section 3 of what random mutation found."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for read in (read_documents, read_mapping, read_json):
        with suppress(BadDocument):
            read(content, "some file")
    with pytest.raises(ConfigError):
        kubeconfig.parse(content, "some.conf")
    assert time.process_time() - began < SECONDS * 4
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MORE


JSON_BOMBS = {
    "brackets": b"[" * 100_000,
    "brackets that close": b"[" * 900 + b"]" * 900,
    "objects": b'{"a":' * 50_000,
    "a million lists": b"[" + b"[]," * 400_000 + b"[]]",
    "infinity": b"[1e999]",
    "nan": b"[NaN]",
    "5000 digits": b"[" + b"9" * 5000 + b"]",
    "half a letter": b'["\\ud800"]',
    "half a letter in a key": b'{"\\udfff": 1}',
    "nothing": b"",
}


@pytest.mark.parametrize("content", JSON_BOMBS.values(), ids=JSON_BOMBS.keys())
@pytest.mark.parametrize("limits", [Limits(), RECORD, API_ANSWER])
def test_json_costs_little_and_ends_in_a_typed_error(content: bytes, limits: Limits) -> None:
    began = time.process_time()
    with pytest.raises(BadDocument, match="some answer"):
        read_json(content, "some answer", Limits(limits.size, min(limits.depth, 100), 100_000, 0))
    assert time.process_time() - began < SECONDS


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(PLAIN)
def test_json_is_read_back(value: Value) -> None:
    assert read_json(json.dumps(value).encode(), "x") == value


@given(st.dictionaries(st.from_regex(r"\A[a-z]{1,9}\Z"), PLAIN, min_size=1, max_size=4))
def test_yaml_is_read_back(value: dict[str, Value]) -> None:
    """What we write is read as it was, by the rules of Kubernetes and by those of YAML 1.1."""
    text = to_yaml(value)
    assert read_mapping(text.encode(), "x") == value
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("off", False),
        ("~", None),
        ("0x1f", 31),
        ("017", 15),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("2024-01-02", "2024-01-02"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("1.2.3", "1.2.3"),
        ("", None),
    ],
)
def test_scalars_are_what_kubernetes_takes_them_for(text: str, value: Value) -> None:
    assert read_mapping(f"a: {text}".encode(), "x") == {"a": value}


def test_an_alias_counts_as_often_as_it_repeats() -> None:
    limits = Limits(values=30)
    rows = "a: &a [1, 2, 3]\nb: [" + ", ".join(["*a"] * 3) + "]"
    assert read_mapping(rows.encode(), "x", limits)["b"] == [[1, 2, 3]] * 3
    with pytest.raises(BadDocument):
        read_mapping(rows.replace("*a]", "*a, *a, *a, *a, *a]").encode(), "x", limits)


def test_what_cannot_be_used_is_told_with_its_line() -> None:
    told: list[tuple[str, str, int]] = []
    read_nodes(b"a: 1\nb: 2\na: 3\n", "x", lambda *fault: told.append(fault))
    assert told == [("a", "this key appears twice", 3)]


LINES = """\
base: &base
  inner: 1
networking:
  # of what
  podSubnet:
    10.244.0.0/16
list:
- a
again: *base
text: |
  one
flow: {a: 1,
  b: [
    2]}
"""


def test_the_line_of_a_value_in_a_mapping_is_that_of_its_key() -> None:
    (document,) = read_nodes(LINES.encode(), "f", lambda *_: None)
    assert isinstance(document, Mapping)

    def line(*path: str) -> int:
        node: Node | None = document
        for part in path:
            assert isinstance(node, Mapping)
            node = node.get(part)
        assert node is not None
        return node.line

    assert [line(key) for key in ("base", "networking", "list", "again", "text", "flow")] == [1, 3, 7, 9, 10, 12]
    assert (line("networking", "podSubnet"), line("again", "inner"), line("flow", "b")) == (5, 2, 13)
