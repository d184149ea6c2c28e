"""The one place that prints results: tables for people, JSON and YAML for programs (decision 24)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, Literal, TypeVar

import click

from quorate.cli.common import terminal
from quorate.errors import HostError
from quorate.foreign.text import visible

_MOST_IN_CELL, _MOST_IN_LINE = 300, 10_000
Row = Sequence[str]
Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("table", "json", "yaml")
API_VERSION = "quorate/v1"
KUBEADM_VERSION = "output.kubeadm.k8s.io/v1alpha3"
"""Of documents that are kubeadm's own: data with this `apiVersion` has kubeadm's fields."""


def output_option(*formats: str) -> Callable[[Command], Command]:
    """Returns the option `-o table|json|yaml`, or one with other `formats`. The first format is the default."""
    choices = formats or FORMATS
    return click.option("-o", "--output", "form", type=click.Choice(choices), default=choices[0], help="Output format.")


class Styled(str):
    """Text written by us that may contain escape sequences."""

    __slots__ = ()


def styled(text: str, *, fg: str | None = None, bold: bool | None = None, dim: bool | None = None) -> Styled:
    """Returns `text` in colour. `text` may be untrusted: its control characters are escaped."""
    return Styled(click.style(visible(text), fg=fg, bold=bold, dim=dim))


def echo(*parts: str, err: bool = False) -> None:
    """Prints one line, in colour where the terminal shows colours. Every part that is not `Styled` may be untrusted: its
    control characters are escaped, so that they cannot end the line or move the cursor."""
    line = "".join(part if isinstance(part, Styled) else visible(part, most=_MOST_IN_LINE, keep="\t") for part in parts)
    _write(f"{line}\n", err=err, color=terminal.colours(err=err))


def document(text: str | bytes, *, err: bool = False) -> None:
    """Prints a text of ours unchanged: JSON, YAML, a file, a script. The caller has quoted untrusted values by the rules of
    that format. Raises `StdoutClosed` or `HostError` as the write does."""
    _write(text, err=err)


class StdoutClosed(Exception):  # noqa: N818
    """The reader of stdout has closed it: nobody wants more. No OSError, of which click would make an exit code of 1."""


def _write(text: str | bytes, *, err: bool, color: bool | None = None) -> None:
    """Writes to stdout or stderr. Where stderr takes no write, nobody reads it. Where stdout takes none, the command
    ends, unless it changes something (`Printed.to_the_end`). Raises `StdoutClosed` or `HostError`."""
    if Printed.is_closed and not err:
        _lose(HostError("stdout is closed", state="only output is lost", advice="direct stdout into a file, or to /dev/null"))
        return
    try:
        click.echo(text, nl=False, err=err, color=color)
    except OSError as error:
        if err:
            return
        give_up_stdout()
        if not isinstance(error, BrokenPipeError):
            _lose(
                HostError(
                    f"stdout takes no write: {error.strerror}",
                    state="only output is lost",
                    advice="make room where stdout leads to",
                )
            )
        elif not Printed.to_the_end:
            raise StdoutClosed from None


def _lose(output: HostError) -> None:
    """Notes that output is lost. Raises it, unless the command changes something: that goes on."""
    Printed.lost = output
    if not Printed.to_the_end:
        raise output from None


def open_what_is_closed() -> None:
    """Opens /dev/null for stdin, stdout and stderr where the caller has closed them. The next file that is opened would get the
    free number, and what is printed would be written into it."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
            Printed.is_closed = Printed.is_closed or number == 1
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def escape_what_cannot_be_shown() -> None:
    """Makes stdout and stderr escape the characters that the encoding of the terminal does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_stdout() -> None:
    """Redirects stdout to /dev/null. The reader has closed the pipe, so that Python's flush at exit would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def give_up_stderr() -> None:
    """Redirects stderr to /dev/null, also for libraries."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def end_stdout(text: str) -> None:
    """Prints the last text; where stdout takes no write there is nobody to read it."""
    with suppress(StdoutClosed, HostError):
        document(text)


class Printed:
    """What a program has received on stdout so far, and in which `form` it asked for it. It must get one document, or events of
    which the last reports how the command ended."""

    shape: Literal["nothing", "document", "events"] = "nothing"
    form: Literal["text", "json", "yaml"] = "text"
    to_the_end: bool = False
    """Set while a command changes something and prints as it does: the change goes on without its output, which is `lost`."""
    lost: HostError | None = None
    is_closed: bool = False
    """The caller has closed stdout: what was asked for cannot be shown, to people or to programs. That is no success."""


def enveloped(kind: str, data: Mapping[str, object]) -> dict[str, object]:
    """Returns `data` with `apiVersion` and `kind`. A JSON Schema describes each kind (docs/reference/json.md)."""
    return {"apiVersion": API_VERSION, "kind": kind, **data}


def as_json(value: object, *, indent: int | None = None) -> str:
    """Returns a value as JSON. A command that prints none does not import json."""
    import json

    return json.dumps(value, indent=indent)


def emit(form: str, kind: str, data: Mapping[str, object], table: Callable[[], None]) -> None:
    """Prints `data` of `kind` in the chosen machine format, or calls `table` to print it for people."""
    if form == "json":
        Printed.shape = "document"
        document(as_json(enveloped(kind, data), indent=2) + "\n")
    elif form == "yaml":
        import yaml

        document(yaml.safe_dump(enveloped(kind, data), sort_keys=False))
    else:
        table()


def emit_event(event: Mapping[str, object]) -> None:
    """Prints one event of a run as one line of JSON."""
    Printed.shape = "events"
    document(as_json(event) + "\n")
    sys.stdout.flush()


def emit_document(event: Mapping[str, object]) -> None:
    """Prints one event of a run as one document of a YAML stream."""
    import yaml

    Printed.shape = "events"
    document(yaml.safe_dump(event, sort_keys=False, explicit_start=True))
    sys.stdout.flush()


def begin_events() -> None:
    """Declares that the command prints events, so that an error before the first one is an event too."""
    Printed.shape = "events"


def last_words(error: Mapping[str, object]) -> str:
    """Returns what ends stdout for a program when the command fails: the last event, or the one document, in one line of JSON
    for readers of lines. Empty where the program has its document, whose values report the failure: a second one would break
    its parser."""
    match Printed.shape:
        case "events" if Printed.form == "yaml":
            import yaml

            return yaml.safe_dump({"event": "error", "error": error}, sort_keys=False, explicit_start=True)
        case "events":
            return as_json({"event": "error", "error": error}) + "\n"
        case "nothing" if Printed.form == "yaml":
            import yaml

            return yaml.safe_dump(enveloped("Error", {"error": error}), sort_keys=False)
        case "nothing":
            return as_json(enveloped("Error", {"error": error})) + "\n"
        case _:
            return ""


def say_while_stopping(text: str, error: Mapping[str, object] | None = None) -> None:
    """Prints a line of our own from within a signal handler; `error` is also what ends stdout for a program."""
    os.write(2, f"\n{text}\n".encode())
    if error is not None and Printed.form != "text":
        with suppress(OSError):
            os.write(1, last_words(error).encode())


def print_table(headers: Row, rows: Sequence[Row]) -> None:
    """Prints columns padded to their widest cell, two blanks apart. On a terminal the headers are bold, and a table that is
    wider than the terminal is wrapped inside its cells; in a pipe each row is one line."""
    shown = [[visible(cell, most=_MOST_IN_CELL) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headers, *shown, strict=True)]
    if terminal.draws() and not _fits(shown, widths):
        from quorate.cli.common.wrapped import print_wrapped

        print_wrapped(headers, shown, terminal.width())
        return
    echo(styled(_line(headers, widths), bold=True))
    for row in shown:
        echo(_line(row, widths))


def _fits(rows: Sequence[Row], widths: Sequence[int]) -> bool:
    """Returns whether the table is as wide as `widths` says (a character that is not ASCII may take two columns), and no wider
    than the terminal."""
    return sum(widths) + 2 * (len(widths) - 1) <= terminal.width() and all(cell.isascii() for row in rows for cell in row)


def _line(cells: Row, widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def size(count: int) -> str:
    """Returns bytes in decimal units: 20 kB, 1.3 MB."""
    value, units = float(count), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if value >= 10 or units[0] == "B" else f"{value:.1f} {units[0]}"
