"""The promises of the library that need no cluster."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from conftest import ROOT

import quorate
from quorate import Cluster, ConfigError, connect
from quorate.core.invariants import UnsafeStep
from quorate.deadline import DeadlineExceeded
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import NoAnswer, Unreachable


def named_by(method: object) -> set[str]:
    """The names in the annotations of a method, as they are written."""
    notes = inspect.get_annotations(typing.cast("type", method))
    return {name for note in notes.values() for name in re.findall(r"[A-Z]\w+", str(note))}


def test_every_type_that_a_method_of_the_cluster_names_is_public() -> None:
    """`Start`, `Check` and `Remember` are functions by another name."""
    methods = [value for name, value in vars(Cluster).items() if inspect.isfunction(value) and not name.startswith("_")]
    named = set().union(*map(named_by, methods)) - {"Callable", "Sequence", "None", "Start", "Check", "Remember"}
    assert named - set(quorate.__all__) == set()


def test_what_a_method_returns_can_be_shown_as_json() -> None:
    """A writer and a `Registration`'s pair aside, whose parts can."""
    methods = [value for name, value in vars(Cluster).items() if inspect.isfunction(value) and not name.startswith("_")]
    returned = {
        word for method in methods for word in re.findall(r"[A-Z]\w+", inspect.get_annotations(method).get("return", ""))
    }
    values = [kind for name in sorted(returned - {"None", "WriteProbe"}) for kind in _kinds(getattr(quorate, name))]
    assert len(values) > 8
    assert [kind.__name__ for kind in values if not hasattr(kind, "as_dict")] == []


def _kinds(found: object) -> list[type]:
    return [found] if isinstance(found, type) else list(typing.get_args(found))


def test_the_examples_of_the_document_are_typed(tmp_path: Path) -> None:
    """As whoever copies them into a project that is strict would find them."""
    blocks = [part.partition("```")[0] for part in (ROOT / "docs/library.md").read_text().split("```python\n")[1:]]
    given = "ENDPOINTS: list[str] = []\nCA = CERT = KEY = ''\n"
    for number, block in enumerate(blocks):
        (tmp_path / f"example_{number}.py").write_text(given + block)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_every_public_name_is_there() -> None:
    assert [name for name in quorate.__all__ if not hasattr(quorate, name)] == []
    with pytest.raises(AttributeError):
        _ = quorate.nonsense


def test_text_is_no_list_of_endpoints() -> None:
    with pytest.raises(ConfigError, match="must be a list") as refused, connect("a:2379, b:2379"):
        pass
    assert "['a:2379', 'b:2379']" in refused.value.what, "as etcdctl joins them"


def test_the_classes_that_the_document_names_for_errors() -> None:
    """Whoever catches what `quorate` exports catches all that a method raises."""
    assert issubclass(Unreachable, quorate.EtcdError) and issubclass(NoAnswer, quorate.EtcdError)
    assert issubclass(UnsafeStep, quorate.Refused) and issubclass(DeadlineExceeded, quorate.QuorateError)
    assert not issubclass(DeadlineExceeded, quorate.EtcdError | quorate.Refused)


def test_a_cluster_after_its_block_says_that_it_is_closed() -> None:
    with connect(["127.0.0.1:1"]) as cluster:
        pass
    with pytest.raises(ConfigError, match="closed"):
        cluster.status()
    with pytest.raises(ConfigError, match="closed"):
        cluster.access.channel(Endpoint.parse("127.0.0.1:1"))
