"""One exit for text of others: it cannot move the cursor, end a line, reverse the reading order, or be endless.

Member names, server messages, container logs and records are written by others. Printed raw, such a text can clear the screen
and draw "This node has joined the cluster". In a command to be pasted, it can run as root.
"""

from __future__ import annotations

from contextvars import ContextVar

MOST_LETTERS = 2000
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, *, most: int = MOST_LETTERS, keep: str = "") -> str:
    """Returns `text` as one line. Each character that is not drawn is escaped, but for those in `keep`. A text of more than
    `most` characters is cut."""
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    if shown.isprintable():
        return shown
    return "".join(letter if letter in keep else _letter(letter) for letter in shown)


def _letter(letter: str) -> str:
    # Not printable: controls, formats (bidi marks, zero-width characters, tags), lone surrogates, private and unassigned code
    # points, and every blank but the plain one. Terminals draw them as nothing, as anything, or obey them.
    if letter.isprintable():
        return letter
    if letter in _SHORT:
        return _SHORT[letter]
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def to_paste(*words: str) -> str:
    """Returns a command line for a shell. Each word stays one word, and characters that are not drawn are visible.

    A name with a control character is written as bash and zsh read it ($'...'): what is pasted is what is shown. A command of
    `quorate etcd` gets the connection flags of this run (`OUR_FLAGS`): without them it would be about
    another cluster's member.
    """
    if words[:2] == ("quorate", "etcd"):
        words = (*words[:2], *OUR_FLAGS.get(), *words[2:])
    return " ".join(map(_word, words))


OUR_FLAGS: ContextVar[tuple[str, ...]] = ContextVar("connection", default=())
"""The connection flags of the running command, for the commands that it advises."""


def _word(word: str) -> str:
    if word.isprintable():
        import shlex

        return shlex.quote(word)
    escaped = "".join(_quoted(one) if one.isprintable() else _letter(one) for one in word)
    return f"$'{escaped}'"


def _quoted(letter: str) -> str:
    return f"\\{letter}" if letter in "\\'" else letter


def assignment(name: str, value: str) -> str:
    """Returns `NAME="value"` as sh and systemd's EnvironmentFile both read it back. Raises ValueError for a control character,
    such as a line break or NUL: one of them cannot hold it."""
    import unicodedata

    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value):
        raise ValueError(f"the value of {name} has a control character")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return f'{name}="{escaped}"'
