"""Writes docs/reference/errors.md from the classes: `make reference`. A test compares the two."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import quorate
from quorate.errors import QuorateError

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "errors.md"
HEAD = """# Errors

Every failure is an error with a stable `code`. On a terminal it is the first line, its `state` and what to do `next`; with
`-o json` it is one object on standard error: `{"error": {"code", "message", "state", "advice", "exitCode"}}`, with `findings`,
`problems` or `outcomes` where there are some. A code keeps its meaning; removing one is a breaking change. A join or removal
whose outcome is not known exits with 5, whatever its code.

`make reference` writes this page from the classes.

| code | exit | meaning | what helps in general |
| --- | --- | --- | --- |
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


def page() -> str:
    """One row for each code: that of the class that introduced it."""
    rows: dict[str, str] = {}
    for kind in sorted(classes(), key=lambda one: len(one.__mro__)):
        rows.setdefault(kind.code, f"| `{kind.code}` | {kind.exit_code} | {meaning(kind)} | {kind.next_step} |")
    return HEAD + "\n".join(rows[code] for code in sorted(rows)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
