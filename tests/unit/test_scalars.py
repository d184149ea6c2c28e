"""Unquoted scalars: each row was read by kubeadm 1.34.4 (`config validate`, `config migrate`) as it says here."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from quorate.config.render import to_yaml
from quorate.errors import ConfigError
from quorate.foreign.documents import read_documents, read_nodes
from quorate.foreign.scalars import plain_scalar

READ = {
    "6443": 6443,
    "6443.0": 6443.0,
    "6.443e3": 6443.0,
    "014453": 6443,
    "0o14453": 6443,
    "0x192b": 6443,
    "0b11": 3,
    "6_443": 6443,
    "-5": -5,
    "+5": 5,
    "089": 89.0,
    ".5": 0.5,
    "1:46:40": "1:46:40",
    "2020-01-01": "2020-01-01",
    "1.2.3.4": "1.2.3.4",
    "0x": "0x",
    "_1": "_1",
    "yes": True,
    "y": True,
    "On": True,
    "oN": "oN",
    "n": False,
    "OFF": False,
    "~": None,
    "": None,
    "Null": None,
    "nil": "nil",
    "18446744073709551615": 18446744073709551615,
    "18446744073709551616": 18446744073709551616.0,
}


@pytest.mark.parametrize("text", READ)
def test_a_scalar_is_what_kubernetes_reads(text: str) -> None:
    value = plain_scalar(text)
    assert value == READ[text] and type(value) is type(READ[text])


def test_a_long_scalar_is_text() -> None:
    assert plain_scalar("1" * 300) == "1" * 300


@given(st.text(alphabet="0123456789+-._eExXobyYnNtrufalsinOF~:", max_size=12))
def test_text_that_is_written_is_read_as_text(text: str) -> None:
    """By readers with either set of rules."""
    written = to_yaml({"a": text})
    assert read_documents(written.encode(), "x") == [{"a": text}]
    assert yaml.safe_load(written) == {"a": text}


def test_merge_keys_are_followed_and_a_key_that_both_have_is_there_twice() -> None:
    faults: list[str] = []

    def fault(key: str, text: str, line: int) -> None:
        faults.append(f"{line} {key}: {text}")

    read_nodes(b"a: &a {x: 1}\nb: {<<: *a, y: 2}", "f", fault)
    assert faults == []
    read_nodes(b"a: {<<: {x: 1}, x: 2}", "f", fault)
    read_nodes(b"a: {<<: [{x: 1}, {x: 2}]}", "f", fault)
    read_nodes(b"a: {<<: x}", "f", fault)
    assert faults == [
        "1 a.x: this key appears twice: one of them comes from a merge key (<<)",
        "1 a.x: this key appears twice: one of them comes from a merge key (<<)",
        "1 a: a merge key (<<) takes a mapping, or a list of mappings",
    ]


def test_a_fault_has_its_whole_path() -> None:
    faults: list[str] = []

    def fault(key: str, text: str, line: int) -> None:
        faults.append(f"{line} {key}: {text}")

    read_nodes(b"a:\n  b:\n  - c: 1\n  - c: 1\n    c: 2\n  d: 1\n  d: 1\ne: {? [1] : 2}\n", "f", fault)
    assert faults == [
        "5 a.b[1].c: this key appears twice",
        "7 a.d: this key appears twice",
        "8 e: only plain keys can be used here",
    ]


def test_where_the_last_wins_it_does_so_in_the_order_of_the_text() -> None:
    assert read_documents(b"a: {<<: {x: 1}, x: 2}", "f") == [{"a": {"x": 2}}]
    assert read_documents(b"a: {x: 2, <<: {x: 1}}", "f") == [{"a": {"x": 1}}]
    assert read_documents(b"a: {<<: [{x: 1}, {x: 2, y: 3}]}", "f") == [{"a": {"x": 1, "y": 3}}]
    assert read_documents(b'a: "<<"', "f") == [{"a": "<<"}]
    with pytest.raises(ConfigError, match="a merge key"):
        read_documents(b"<<: 5", "f")


def test_tags_are_taken_where_they_fit() -> None:
    text = b"a: !!str 5\nb: !!float 5\nc: !!int x\nd: !!bool yes\ne: ! 5\nf: !mine 5"
    assert read_documents(text, "f") == [{"a": "5", "b": 5.0, "c": "x", "d": True, "e": "5", "f": "5"}]
