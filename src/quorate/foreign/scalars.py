"""The values of unquoted YAML scalars, by the rules of the Go library with which Kubernetes reads its files.

The library is go.yaml.in/yaml/v2. Its rules are neither those of YAML 1.1 nor of 1.2: `y` and `on` are booleans, `0o17` and
`017` are octal, `1e3` is a number, and `1:46:40` is text. A reader by other rules would check one value and let the component
that reads the file next see another.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None

_TRUE, _FALSE = ("y", "yes", "true", "on"), ("n", "no", "false", "off")
_WORDS: dict[str, Scalar] = {"": None, "~": None}
_WORDS |= {
    spelling: value
    for words, value in ((_TRUE, True), (_FALSE, False), (("null",), None))
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
}
_WORDS |= {spelling: float("nan") for spelling in (".nan", ".NaN", ".NAN")}
_WORDS |= {f"{sign}{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")}

_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_MOST_LETTERS = 256
"""No number is longer: a longer scalar is text, and is matched against no rule."""


def plain_scalar(text: str) -> Scalar:
    """Returns the value of an unquoted scalar. Dates stay text, as in the JSON that Kubernetes makes of them."""
    if len(text) > _MOST_LETTERS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    # Underscores separate digits only after a sign or a digit.
    number = text if text.startswith(".") else text.replace("_", "") if text[0] in "+-0123456789" else ""
    if _INTEGER.fullmatch(number) and _LEAST <= (value := _integer(number)) <= _MOST:
        return value
    return float(number) if _FLOAT.fullmatch(number) else text


def _integer(text: str) -> int:
    digits = text.lstrip("+-").lower()
    base = {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2]) or (8 if len(digits) > 1 and digits[0] == "0" else 10)
    value = int(digits, base)
    return -value if text.startswith("-") else value
