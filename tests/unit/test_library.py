"""The promises of the library that need no cluster."""

from __future__ import annotations

import ast
import copy
import inspect
import os
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT

import quorate
from quorate import Cluster, ConfigError, connect
from quorate.core.invariants import UnsafeStep
from quorate.core.membership import Member, pick
from quorate.deadline import DeadlineExceeded
from quorate.errors import NoSuchMember
from quorate.etcd.client.endpoint import Endpoint, TlsFiles, load_tls
from quorate.etcd.client.errors import NoAnswer, TlsRefused, Unreachable
from quorate.spelling import _IN_PYTHON, for_the_command_line

from . import views


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


def cluster() -> Cluster:
    with connect(["127.0.0.1:1"]) as opened:
        return opened


def methods() -> list[tuple[str, str]]:
    """Each argument of each public method, but for those that a program may write a class for."""
    found = [(name, getattr(Cluster, name)) for name in vars(Cluster) if not name.startswith("_")]
    return [
        (name, argument)
        for name, method in found
        if inspect.isfunction(method)
        for argument, note in inspect.get_annotations(method).items()
        if argument != "return" and note != "Runtime"
    ]


@pytest.mark.parametrize(("name", "argument"), methods())
def test_every_argument_of_a_method_has_its_type(name: str, argument: str) -> None:
    given = {one: _sample(note) for one, note in inspect.get_annotations(getattr(Cluster, name)).items() if one != "return"}
    with pytest.raises(ConfigError, match=rf"^{argument} must be .*, not Odd$") as refused:
        getattr(cluster(), name)(**{**given, argument: Odd()})
    assert refused.value.state == "nothing was changed"


class Odd:
    """A value that no argument takes."""


def _sample(note: str) -> object:
    """A value that an argument takes; nothing is done with it."""
    match note.partition("[")[0].partition(" ")[0]:
        case "str":
            return ""
        case "bool":
            return False
        case "Sequence":
            return []
        case "Start" | "Callable" | "Check" | "Remember":
            return print
        case name:
            return object.__new__(getattr(quorate, name)) if name != "Runtime" else Odd()


CONNECTIONS: list[tuple[dict[str, object], str]] = [
    ({"endpoints": [2379]}, "endpoints[0] must be text, not int"),
    ({"endpoints": None}, "endpoints must be a list of text, not None"),
    ({"endpoints": "a:1,b:2"}, "endpoints must be a list of text, not text: ['a:1', 'b:2']"),
    ({"endpoints": "https://u:secret@a:1"}, "endpoints must be a list of text, not text"),
    ({"timeout": "5s"}, "timeout must be a number, not text"),
    ({"timeout": True}, "timeout must be a number, not bool"),
    ({"timeout": 0}, "timeout must be seconds above 0, not 0"),
    ({"timeout": float("nan")}, "timeout must be seconds above 0, not nan"),
    ({"report": 5}, "report must be a function, not int"),
    ({"cancel": 5}, "cancel must be a Cancel or None, not int"),
    ({"ca": 5}, "ca must be text, a path or None, not int"),
    ({"user": "root", "password": b"secret"}, "password must be text or None, not bytes"),
]


@pytest.mark.parametrize(("given", "problem"), CONNECTIONS, ids=str)
def test_every_argument_of_connect_has_its_type(given: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        connect(**{"endpoints": ["127.0.0.1:1"], **given})  # type: ignore[arg-type]
    assert refused.value.what == problem


def test_values_that_programs_make_have_types_too() -> None:
    with pytest.raises(ConfigError, match=r"^wanted\[0\] must be a Wanted, not text$"):
        cluster().converge(["m1"])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match=r"^wanted must be a list of Wanted, not text: "):
        cluster().converge("m1")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^peer_url: 'notaurl' is not a URL"):
        quorate.Wanted("m1", "notaurl")
    with pytest.raises(ConfigError, match=r"^name must be text, not int$"):
        quorate.Wanted(1, "http://127.0.0.1:2380")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^stall_seconds must be a number, not text$"):
        quorate.JoinPolicy(stall_seconds="60s")  # type: ignore[arg-type]
    twice = [quorate.Wanted("m1", "http://127.0.0.1:2380"), quorate.Wanted("m1", "http://127.0.0.1:2381")]
    with pytest.raises(ConfigError, match=r"^the wanted members have the name m1 twice"):
        cluster().converge(twice)
    with pytest.raises(ConfigError, match=r"^timeout must be a number, not text$"):
        replace(cluster(), timeout="5s")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'force'"):
        cluster().remove("m1", force=True)  # type: ignore[call-arg]


def test_a_pem_text_is_no_path_and_is_not_shown() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIIBsecret\n-----END PRIVATE KEY-----\n"
    for name in ("ca", "cert", "key"):
        with pytest.raises(ConfigError, match=rf"^{name} was given the text of a PEM file$") as refused:
            connect(["127.0.0.1:1"], **{name: pem})  # type: ignore[arg-type]
        assert "secret" not in str(refused.value.as_dict())


def test_a_connection_without_its_block_says_how_to_open_one() -> None:
    connection = connect(["127.0.0.1:1"])
    for name in ("status", "remove", "timeout"):
        with pytest.raises(ConfigError, match=f"^{name} is a part of the cluster") as refused:
            getattr(connection, name)
        assert refused.value.advice == f"with connect(...) as cluster: cluster.{name}"
    assert (
        not hasattr(connection, "nonsense") and not hasattr(connection, "__copy__") and not hasattr(connection, "_repr_html_")
    )
    assert copy.copy(connection) is not connection
    with connection as one, connection as other:
        assert isinstance(one, Cluster) and one is not other


def test_a_type_checker_finds_the_missing_block(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("from quorate import connect\n\nconnect(['a:1']).status()\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "program.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'has no attribute "status"' in done.stdout


def test_a_member_is_found_as_a_value_by_its_id_alone() -> None:
    first, second = Member(0xA, "m1", ("http://h1:2380",)), Member(0xB, "a", ("http://h2:2380",))
    view = replace(views.view(0), members=(first, second))
    assert pick(view, first) is first and pick(view, second) is second and pick(view, "m1") is first
    with pytest.raises(ConfigError, match="names several members"):
        pick(view, "a")
    with pytest.raises(NoSuchMember, match=r"^'c' is not a member"):
        pick(view, Member(0xC, "m1", ("http://h1:2380",)))


def test_a_whole_id_means_that_member_whatever_others_are_called() -> None:
    """A learner had a voter's id as its name: 'name it by its hex id' was the advice, and the id is what was typed."""
    voter, learner = Member(0x8E9E05C52164694D, "m1", ("http://h1:2380",)), Member(0xA, "8e9e05c52164694d", ("http://h2:2380",))
    view = replace(views.view(0), members=(voter, learner))
    assert pick(view, "8e9e05c52164694d") is voter and pick(view, "8E9E05C52164694D") is voter
    assert pick(view, "000000000000000a") is learner and pick(view, "http://h2:2380") is learner
    short = replace(view, members=(replace(learner, name="b"), Member(0xB, "m2", ("http://h3:2380",))))
    with pytest.raises(ConfigError, match="names several members") as raised:
        pick(short, "b")
    assert pick(short, raised.value.advice.rpartition(" ")[2]).id in (0xA, 0xB), "the advice is not ambiguous"


def test_an_option_is_spelled_as_its_reader_passes_it() -> None:
    files = TlsFiles(cert=Path("client.crt"))
    with pytest.raises(ConfigError) as for_programs:
        load_tls(files)
    with for_the_command_line(), pytest.raises(ConfigError) as for_people:
        load_tls(files)
    assert (for_programs.value.advice, for_people.value.advice) == ("pass both cert and key", "pass both --cert and --key")
    refused = TlsRefused("the handshake failed")
    with for_the_command_line():
        assert refused.advice == "check --cacert, --cert and --key"
    assert refused.advice == "check ca, cert and key"


def test_advice_below_the_command_line_names_no_option_by_itself() -> None:
    """As `spelled` writes it: whoever calls the library has no flags."""
    rooms = [ROOT / "src/quorate/core", ROOT / "src/quorate/etcd"]
    files = [*(path for room in rooms for path in room.rglob("*.py")), *(ROOT / "src/quorate").glob("*.py")]
    found = [
        f"{path.name}:{line}: {text}"
        for path in files
        if path.name != "arguments.py"
        for line, text in texts(ast.parse(path.read_text()))
        if any(flag in re.findall(r"--[a-z-]+", text) for flag in _IN_PYTHON)
    ]
    # In the lists of flags that are looked through.
    assert [one for one in found if not re.search(r": --[a-z-]+$", one)] == []


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module, but for docstrings and what `spelled` is given."""
    passed = {
        id(part)
        for node in ast.walk(tree)
        for part in (
            node.args
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "spelled"
            else [node.value]
            if isinstance(node, ast.Expr)
            else []
        )
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            yield node.lineno, node.value
