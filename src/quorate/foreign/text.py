"""One exit for text of others: nothing in it can move the cursor, end a line, reverse the reading order, or run on without end.

The names of members, messages of servers, container logs and records are written by strangers. Printed raw, such a text can
clear the screen and draw "This node has joined the cluster"; put into a command to be pasted, it can run as root.
"""

from __future__ import annotations

import shlex
import unicodedata

MOST_LETTERS = 2000
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, *, most: int = MOST_LETTERS, keep: str = "") -> str:
    """Returns `text` as one line: every letter that is not drawn is written as its escape, but for those in `keep`; what is
    longer than `most` letters is cut."""
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    if shown.isprintable():
        return shown
    return "".join(letter if letter in keep else _letter(letter) for letter in shown)


def _letter(letter: str) -> str:
    # Not printable are controls, formats (bidi marks, zero-width letters, tags), halves of letters, private and unassigned
    # ones, and every blank but the plain one: terminals draw them as nothing, as anything, or obey them.
    if letter.isprintable():
        return letter
    if letter in _SHORT:
        return _SHORT[letter]
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def to_paste(*words: str) -> str:
    """Returns a command line for a shell: each word is one word whatever is in it, and what is not drawn is visible.

    A name with a control character is written as bash and zsh read it ($'...'): what is pasted is what is shown.
    """
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    escaped = "".join(_quoted(one) if one.isprintable() else _letter(one) for one in word)
    return f"$'{escaped}'"


def _quoted(letter: str) -> str:
    return f"\\{letter}" if letter in "\\'" else letter


def assignment(name: str, value: str) -> str:
    """Returns `NAME="value"` as sh and systemd's EnvironmentFile both read it back. Raises ValueError for a value that one of
    them cannot hold: a line break or NUL."""
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value):
        raise ValueError(f"the value of {name} has a control character")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return f'{name}="{escaped}"'
