"""The layout of help texts: as wide as the terminal, and examples that can still be pasted where it is narrow."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator

import click

_LEAST_COLUMNS = 30
_WORDS = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
_UNBROKEN = "\u2011"
"""Stands for a hyphen while lines are broken: a flag in two parts could not be searched for."""

_COMMENT = re.compile(r"\s{2,}(?=# )")


class Formatter(click.HelpFormatter):
    """Click's formatter, but for its limits of 50 and 80 columns. Paragraphs that begin with \\b are lines of commands: a long
    one goes on after a backslash, so that a shell still reads it as one."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        del max_width
        columns = shutil.get_terminal_size().columns
        super().__init__(indent_increment, width=width or max(columns, _LEAST_COLUMNS) - 1)

    def write(self, string: str) -> None:
        super().write(string.replace(_UNBROKEN, "-"))

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Writes the usage line; where not even the command fits into it, on several."""
        if len(f"Usage: {prog} ") < self.width:
            super().write_usage(prog, args, prefix)
        else:
            self.write("\n    ".join(_folded(f"Usage: {prog} {args}", self.width - 4, end="")) + "\n")

    def write_text(self, text: str) -> None:
        """Writes paragraphs, wrapped; those of commands line by line."""
        for number, paragraph in enumerate(re.split(r"\n[ \t]*\n", inspect.cleandoc(text))):
            if number:
                self.write("\n")
            if not paragraph.startswith("\b"):
                super().write_text(paragraph.replace("-", _UNBROKEN))
                continue
            for line in paragraph.splitlines()[1:]:
                for part in _folded(line, self.width - self.current_indent):
                    self.write(f"{'':{self.current_indent}}{part}\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Writes terms and their meanings in two columns. The first one takes at most a third of a narrow terminal."""
        most = min(col_max, max(self.width // 3, 10))
        super().write_dl([(self._term(first), second.replace("-", _UNBROKEN)) for first, second in rows], most, col_spacing)

    def _term(self, term: str) -> str:
        """Returns a term that is too long for a line, such as a flag with its choices, on several."""
        indent = " " * self.current_indent
        if len(indent) + len(term) <= self.width:
            return term
        return f"\n{indent}    ".join(_folded(term, self.width - self.current_indent - 4, end=""))


def _folded(line: str, width: int, *, end: str = " \\") -> Iterator[str]:
    """Yields a line in parts of at most `width` columns, where its words allow that. A comment comes before its command."""
    if len(line) <= width:
        yield line
        return
    indent = line[: len(line) - len(line.lstrip())]
    command, *comment = _COMMENT.split(line.strip(), maxsplit=1)
    for text in comment:
        yield from textwrap.wrap(text.removeprefix("# "), width, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    line, room = indent, width - len(end)
    for word in _pieces(_WORDS.findall(command)):
        if line.strip() and len(line) + len(word) > room:
            yield f"{line.rstrip()}{end}"
            line = f"{indent}    " if end else ""
        line += f"{word} "
    yield line.rstrip()


def _pieces(words: Iterable[str]) -> list[str]:
    """Returns the words, each flag together with its value."""
    pieces: list[str] = []
    for word in words:
        if pieces and pieces[-1].startswith("--") and not word.startswith("-") and " " not in pieces[-1]:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return pieces
