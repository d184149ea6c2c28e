"""What the terminal at stdout or stderr can show. Nothing is drawn or coloured where it would leave escape codes behind."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def draws(*, err: bool = False) -> bool:
    """Returns whether stdout, or stderr, is a terminal that can move its cursor. TERM=dumb says that it cannot."""
    return _stream(err=err).isatty() and os.environ.get("TERM") != "dumb"


def colours(*, err: bool = False) -> bool:
    """Returns whether text there may be coloured or bold: on a terminal, without NO_COLOR (https://no-color.org)."""
    return draws(err=err) and not os.environ.get("NO_COLOR")


def can_show(text: str, *, err: bool = False) -> bool:
    """Returns whether the encodings of the stream and of the locale have every character of `text`. Under LC_ALL=POSIX Python
    writes UTF-8 nevertheless, to a terminal that expects ASCII."""
    import locale

    try:
        for encoding in (_stream(err=err).encoding, locale.getencoding()):
            text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def width() -> int:
    """Returns the columns of the terminal, or those that COLUMNS names."""
    import shutil

    return shutil.get_terminal_size().columns


def console(*, err: bool = False) -> Console:
    """Returns rich's view of the stream. Its own rules for colours are not ours: FORCE_COLOR would put them into pipes, and
    NO_COLOR leaves bold text."""
    from rich.console import Console

    return Console(
        stderr=err,
        color_system="standard" if colours(err=err) else None,
        force_terminal=draws(err=err),
        markup=False,
        emoji=False,
        highlight=False,
    )


def _stream(*, err: bool) -> TextIO:
    return sys.stderr if err else sys.stdout
