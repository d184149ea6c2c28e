"""One place that prints results: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from io import TextIOWrapper
from typing import Any, Literal, TypeVar

import click

from quorate.foreign.text import visible

_MOST_IN_CELL, _MOST_IN_LINE = 300, 10_000
Row = Sequence[str]
Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("table", "json", "yaml")
API_VERSION = "quorate/v1"


def output_option(*formats: str) -> Callable[[Command], Command]:
    """`-o table|json|yaml`, or other formats."""
    choices = formats or FORMATS
    return click.option(
        "-o", "--output", "form", type=click.Choice(choices), default=choices[0], help="How to print the result."
    )


class Styled(str):
    """Text of our own that may hold escape sequences."""

    __slots__ = ()


def styled(text: str, *, fg: str | None = None, bold: bool | None = None, dim: bool | None = None) -> Styled:
    """Colours `text`, which may be a stranger's."""
    return Styled(click.style(visible(text), fg=fg, bold=bold, dim=dim))


def echo(*parts: str, err: bool = False) -> None:
    """Print one line. Every part but those that are `Styled` may be a stranger's: nothing in it ends the line or moves the
    cursor."""
    click.echo(
        "".join(part if isinstance(part, Styled) else visible(part, most=_MOST_IN_LINE, keep="\t") for part in parts), err=err
    )


def document(text: str | bytes, *, err: bool = False) -> None:
    """Print a text of ours as it is: JSON, YAML, a file, a script. What strangers wrote is quoted in it by its own rules."""
    click.echo(text, nl=False, err=err)


def say_while_stopping(text: str) -> None:
    """Print a line of our own from within a signal handler."""
    os.write(2, f"\n{text}\n".encode())


def escape_what_cannot_be_shown() -> None:
    """A terminal of another encoding shows the escape of a letter that it does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_stdout() -> None:
    """Whoever read our output has seen enough; stdout is gone, so Python must not flush it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Printed:
    """What a program has got on stdout so far: it must get one document, or events of which the last one says how it ended."""

    shape: Literal["nothing", "document", "events", "others"] = "nothing"
    """"others": a format of etcdctl or kubeadm, to which nothing is added."""


def enveloped(kind: str, data: Mapping[str, object]) -> dict[str, object]:
    """Returns `data` with the version of our formats and its kind, which a JSON Schema describes (docs/reference/json.md)."""
    return {"apiVersion": API_VERSION, "kind": kind, **data}


def emit(form: str, kind: str, data: Mapping[str, object], table: Callable[[], None]) -> None:
    """Print `data` of `kind` in the chosen machine format, or call `table` to print it for people."""
    if form == "json":
        Printed.shape = "document"
        document(json.dumps(enveloped(kind, data), indent=2) + "\n")
    elif form == "yaml":
        import yaml

        document(yaml.safe_dump(enveloped(kind, data), sort_keys=False))
    else:
        table()


def emit_event(event: Mapping[str, object]) -> None:
    """Print one event of a run, one JSON object a line."""
    Printed.shape = "events"
    document(json.dumps(event) + "\n")
    sys.stdout.flush()


def emit_error(error: Mapping[str, object]) -> None:
    """End what a program reads on stdout by saying what failed: as the last event, or as the one document."""
    match Printed.shape:
        case "events":
            emit_event({"event": "error", "error": error})
        case "nothing":
            emit("json", "Error", {"error": error}, lambda: None)
        case _:
            # It has its document, which says the same by its values; a second one would break the reader.
            pass


def print_table(headers: Row, rows: Sequence[Row]) -> None:
    """Columns padded to their widest cell; bold headers on a terminal only."""
    shown = [[visible(cell, most=_MOST_IN_CELL) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headers, *shown, strict=True)]
    echo(styled(_line(headers, widths), bold=True))
    for row in shown:
        echo(_line(row, widths))


def _line(cells: Row, widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def size(count: int) -> str:
    """Bytes for people: 20 kB, 1.3 MB."""
    value, units = float(count), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if value >= 10 or units[0] == "B" else f"{value:.1f} {units[0]}"


def stderr_is_terminal() -> bool:
    return sys.stderr.isatty()


def stdout_is_terminal() -> bool:
    return sys.stdout.isatty()
