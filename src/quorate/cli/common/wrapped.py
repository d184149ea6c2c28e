"""A table that is wider than its terminal: cells wrap inside their columns, or each row becomes a paragraph with a blank line
after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quorate.cli.common.terminal import console

if TYPE_CHECKING:
    from rich.table import Table

_GAP = 2
_PROSE = 24
"""Columns that a cell of many words needs to be readable."""


def print_wrapped(headers: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> None:
    """Prints the rows within `room` columns of the terminal. Their text is visible (`foreign.text`)."""
    columns = list(zip(headers, *rows, strict=True))
    widths = shared_widths(columns, room - _GAP * (len(columns) - 1))
    # An older rich reads the width from the terminal; ours is the one that COLUMNS may name.
    console().print(_columns(headers, rows, widths) if widths else _paragraphs(headers, rows), width=room)


def shared_widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Returns the width of each column, together at most `room`; none when a column would be narrower than its longest word, or
    than prose can be read in. Columns that need little get it; the others share what is left."""
    full = [max(map(len, column)) for column in columns]
    least = [min(most, max(_PROSE, _longest_word(column))) for most, column in zip(full, columns, strict=True)]
    left = room - sum(least)
    if left < 0:
        return []
    widths, waiting = least, len(columns)
    for index in sorted(range(len(columns)), key=lambda one: full[one] - least[one]):
        given = min(full[index] - least[index], left // waiting)
        widths[index] += given
        left, waiting = left - given, waiting - 1
    return widths


def _longest_word(cells: Sequence[str]) -> int:
    return max((len(word) for cell in cells for word in cell.split()), default=0)


def _columns(headers: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for header, width in zip(headers, widths, strict=True):
        table.add_column(Text(header), width=width, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _paragraphs(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        for header, cell in zip(headers, row, strict=True):
            if cell:
                table.add_row(Text(header), Text(cell))
        table.add_row()
    return table
