"""Writes docs/reference: errors from the classes, JSON from its schemas (`make reference`). A test compares the two."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import quorate
from quorate.errors import QuorateError
from quorate.spelling import for_the_command_line

_ROOT = Path(__file__).resolve().parents[1]
ERRORS, JSON = (_ROOT / "docs" / "reference" / name for name in ("errors.md", "json.md"))
_SCHEMAS = _ROOT / "tests" / "contract" / "schemas" / "quorate-v1.json"
_HEAD_OF_ERRORS = """# Errors

Every failure is an error with a stable `code`. On a terminal it is the first line, its `state` and what to do `next`; with
`-o json` standard output ends with it, as a document or an event ([json.md](json.md)), and standard error has the document of
kind `Error` in one line: `{"apiVersion", "kind", "error": {"code", "message", "state", "advice", "exitCode"}}`, where `error`
also has `findings`, `problems` or `outcomes` where there are some.
A code keeps its meaning; removing one is a breaking change. A join or removal whose outcome is not known exits with 5, whatever
its code.

`make reference` writes this page from the classes.

| code | exit | meaning | what helps in general |
| --- | --- | --- | --- |
"""


_HEAD_OF_JSON = """# JSON

`-o json` prints one document on standard output, with `apiVersion` and `kind`; `-o yaml` prints the same. `init`, `join`
and `reset` print events instead, one JSON object a line; `etcd watch` and `token list` print one document a line. What
failed ends standard output: as a document of kind `Error`, or as an `error` event where events came before it. Where a
command has printed its document (`etcd status` and `etcd members` without a quorum, `etcd health`, `doctor`, `config
validate`), the exit code says that it is bad news. Progress and errors go to
standard error, where an error is the same document.

The schemas are in [tests/contract/schemas/quorate-v1.json](../../tests/contract/schemas/quorate-v1.json), JSON Schema
2020-12 with one definition for each kind and event; the tests hold every document that they see against them. Within
`quorate/v1` fields are added, never taken away or given another meaning: a reader passes over fields that it does not know.
Ids of members are hexadecimal, as etcdctl shows them; times are RFC 3339; `seconds` and `Seconds` are seconds.

What mirrors others is not ours and has nothing added: `etcd member list|add|promote|remove -w json` is etcdctl's, `config
images list`, `certs check-expiration` and `token list` are kubeadm's (`output.kubeadm.k8s.io/v1alpha3`). The second also has
`certificateAuthorities` of what kubeadm prints, and `error` where a certificate cannot be read, at which kubeadm ends.

`make reference` writes this page from the schemas.
"""


def classes() -> list[type[QuorateError]]:
    """Every class of error that the package has, sorted by code."""
    for module in pkgutil.walk_packages(quorate.__path__, "quorate."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(set(_below(QuorateError)), key=lambda kind: (kind.code, kind.__name__))


def _below(kind: type[QuorateError]) -> Iterator[type[QuorateError]]:
    yield kind
    for inner in kind.__subclasses__():
        if inner.__module__.startswith("quorate."):
            yield from _below(inner)


def meaning(kind: type[QuorateError]) -> str:
    """The first sentence of the docstring."""
    text = " ".join((kind.__doc__ or "").split())
    return text.split(". ")[0].rstrip(".").replace("|", "\\|")


def errors_page() -> str:
    """One row for each code: that of the class that introduced it."""
    rows: dict[str, str] = {}
    with for_the_command_line():
        for kind in sorted(classes(), key=lambda one: len(one.__mro__)):
            rows.setdefault(kind.code, f"| `{kind.code}` | {kind.exit_code} | {meaning(kind)} | {kind.in_general()} |")
    return _HEAD_OF_ERRORS + "\n".join(rows[code] for code in sorted(rows)) + "\n"


def json_page() -> str:
    """The kinds, events and values that the schemas define, each with its fields."""
    definitions = json.loads(_SCHEMAS.read_text())["$defs"]
    kinds = {name: one for name, one in definitions.items() if name[0].isupper()}
    events = {name.removeprefix("event-"): one for name, one in definitions.items() if name.startswith("event-")}
    values = {name: one for name, one in definitions.items() if name[0].islower() and not name.startswith("event-")}
    return (
        _HEAD_OF_JSON
        + "\n## Kinds\n\n"
        + _table("kind", kinds)
        + "\n## Events of `init`, `join` and `reset`\n\n"
        + _table("event", events)
        + "\n## Values within them\n\n"
        + _table("value", values)
    )


def _table(first: str, definitions: dict[str, dict[str, object]]) -> str:
    said = {"event"} if first == "event" else {"apiVersion", "kind"}
    rows = [f"| `{name}` | {one['description']} | {_fields(one, said)} |" for name, one in sorted(definitions.items())]
    return "\n".join([f"| {first} | what it is | fields |", "| --- | --- | --- |", *rows]) + "\n"


def _fields(definition: dict[str, object], said: set[str]) -> str:
    shapes = definition.get("oneOf", [definition])
    assert isinstance(shapes, list)
    return " or ".join(
        ", ".join(f"`{name}`" for name in shape.get("properties", {}) if name not in said) or "by name" for shape in shapes
    )


if __name__ == "__main__":
    ERRORS.write_text(errors_page())
    JSON.write_text(json_page())
