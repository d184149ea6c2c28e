r"""The words of a command, or of variables, as systemd and shells split them: quotes, escapes, continued lines, comments.

`--config=/srv/my\x20k.yaml` and `"--config=/srv/my k.yaml"` name one file. Read by blanks alone each of them named another one,
which is not there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

_COMMENT, _QUOTES = ("#", ";"), "\"'"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "s": " "}
_CODE = re.compile(r"x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")
_LAST_ASCII, _HALVES = 0x7F, (0xD800, 0xDFFF)
_MOST_NESTED = 4
_CONTINUED = re.compile(r"\\\r?\n")


def joined(text: str, between: str = "", comments: tuple[str, ...] = _COMMENT) -> str:
    """Returns a text with its continued lines as one, with `between` between them: a blank for a unit, nothing for a shell and
    for a file of variables. Comments are taken away first: what follows one counts, also where it ends in a backslash or
    stands between continued lines. `comments`: what begins one; in a script `;;` ends a case, and a command may follow."""
    # A line ends at a line feed, and at nothing else that Unicode calls an end.
    lines = [line for line in text.split("\n") if not line.lstrip().startswith(comments)]
    return _CONTINUED.sub(between, "\n".join(lines))


def words_of(text: str) -> list[str]:
    """Returns the words, each followed by those in it, where it holds blanks or quotes: `-c 'exec kubelet --a'`, and variables
    that are put in without quotes, whose own quotes systemd takes away."""
    return list(_all_words(text, _MOST_NESTED))


def _all_words(text: str, deepest: int) -> Iterator[str]:
    for word in _split(text):
        yield word
        if deepest and (len(word.split()) > 1 or any(quote in word for quote in _QUOTES)):
            yield from _all_words(word, deepest - 1)


def _split(text: str) -> Iterator[str]:
    letters: list[str] | None = None
    quote, at = "", 0
    while at < len(text):
        letter, at = text[at], at + 1
        if letter.isspace() and not quote:
            if letters is not None:
                yield _word(letters)
            letters = None
            continue
        letters = [] if letters is None else letters
        if letter == "\\" and at < len(text):
            found, taken = _escaped(text, at)
            letters.append(found)
            at += taken
        elif letter in _QUOTES and quote in ("", letter):
            quote = "" if quote else letter
        else:
            letters.append(letter)
    if letters is not None:
        yield _word(letters)


def _word(letters: list[str]) -> str:
    """Returns a word. `\\xc3\\xb6` is one letter in two bytes."""
    return "".join(letters).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _escaped(text: str, at: int) -> tuple[str, int]:
    """Returns what an escape stands for, and how many letters it has behind its backslash."""
    code = _CODE.match(text, at)
    if code is not None:
        number = int(code[2], 8) if code[2] else int(code[1] or code[3] or code[4], 16)
        if (code[1] or code[2]) and number > _LAST_ASCII:
            return bytes([number]).decode("ascii", "surrogateescape"), len(code[0])
        return chr(number) if number <= sys.maxunicode and not _HALVES[0] <= number <= _HALVES[1] else "\ufffd", len(code[0])
    return _ESCAPES.get(text[at], text[at]), 1
