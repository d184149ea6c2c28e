r"""Numbers that others wrote, in the digits 0 to 9.

`\d`, isdecimal() and int() take the digits of every script, and int() takes blanks and underscores, too: 10.0.0.1:٣ would be
the port 3 here and no port for every program in Go. A test holds that nothing else is used on text of others.
"""

from __future__ import annotations

_MOST_DIGITS = 18


def are_digits(text: str) -> bool:
    """Returns whether a text is one or more of 0 to 9."""
    return text.isascii() and text.isdecimal()


def whole(text: str, most: int) -> int | None:
    """Returns a whole number from 0 to `most`, which has at most 18 digits; None for any other text. Zeros in front do not
    count, as for Go."""
    if not are_digits(text):
        return None
    digits = text.lstrip("0") or "0"
    value = int(digits) if len(digits) <= _MOST_DIGITS else most + 1
    return value if value <= most else None
