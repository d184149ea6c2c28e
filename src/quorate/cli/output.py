"""One place that prints results: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

Row = Sequence[str]
Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("table", "json", "yaml")


def output_option(*formats: str) -> Callable[[Command], Command]:
    """`-o table|json|yaml`, or other formats."""
    choices = formats or FORMATS
    return click.option(
        "-o", "--output", "form", type=click.Choice(choices), default=choices[0], help="How to print the result."
    )


def emit(form: str, data: object, table: Callable[[], None]) -> None:
    """Print `data` in the chosen machine format, or call `table` to print it for people."""
    if form == "json":
        click.echo(json.dumps(data, indent=2))
    elif form == "yaml":
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False), nl=False)
    else:
        table()


def print_table(headers: Row, rows: Sequence[Row]) -> None:
    """Columns padded to their widest cell; bold headers on a terminal only."""
    widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
    click.echo(click.style(_line(headers, widths), bold=True))
    for row in rows:
        click.echo(_line(row, widths))


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
