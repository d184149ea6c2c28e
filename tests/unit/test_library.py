"""The promises of the library that need no cluster."""

from __future__ import annotations

import inspect
import re
import typing

import pytest

import quorate
from quorate import Cluster, ConfigError, connect
from quorate.etcd.client.endpoint import Endpoint


def named_by(method: object) -> set[str]:
    """The names in the annotations of a method, as they are written."""
    notes = inspect.get_annotations(typing.cast("type", method))
    return {name for note in notes.values() for name in re.findall(r"[A-Z]\w+", str(note))}


def test_every_type_that_a_method_of_the_cluster_names_is_public() -> None:
    """`Start`, `Check` and `Remember` are functions by another name."""
    methods = [value for name, value in vars(Cluster).items() if inspect.isfunction(value) and not name.startswith("_")]
    named = set().union(*map(named_by, methods)) - {"Callable", "Sequence", "None", "Start", "Check", "Remember"}
    assert named - set(quorate.__all__) == set()


def test_every_public_name_is_there() -> None:
    assert [name for name in quorate.__all__ if not hasattr(quorate, name)] == []
    with pytest.raises(AttributeError):
        _ = quorate.nonsense


def test_text_is_no_list_of_endpoints() -> None:
    with pytest.raises(ConfigError, match="must be a list"), connect("127.0.0.1:2379"):
        pass


def test_a_cluster_after_its_block_says_that_it_is_closed() -> None:
    with connect(["127.0.0.1:1"]) as cluster:
        pass
    with pytest.raises(ConfigError, match="closed"):
        cluster.status()
    with pytest.raises(ConfigError, match="closed"):
        cluster.access.channel(Endpoint.parse("127.0.0.1:1"))
