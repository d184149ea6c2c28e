"""Whether a component reads the value of a flag: true or false, numbers, durations, addresses and feature gates.

The types are in `component_flag_types.json`, which engines/component_flags.py writes: what the built programs say themselves. A
flag whose type is not there, and what a component makes of a value that it could read, are not judged.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from quorate.config import rules
from quorate.config.component_flags import written
from quorate.config.duration import Duration
from quorate.foreign.documents import read_object
from quorate.foreign.numbers import whole

_TABLE = Path(__file__).with_name("component_flag_types.json")
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_MOST_LETTERS = 80
_OCTAL = re.compile(r"([+-]?)0((?:_?[0-7])+)")
_DIGITS = r"[0-9](?:_?[0-9])*"
_FLOAT = re.compile(
    rf"[+-]?(?:inf|infinity|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?)|nan", re.IGNORECASE
)
_HEX_FLOAT = re.compile(r"[+-]?0x_?(?:[0-9a-f]+(?:_[0-9a-f]+)*\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?[0-9]+", re.IGNORECASE)
_MOST_FLOAT32 = 3.4028235677973366e38
_BLANKS = " \t\n\v\f\r\x85\xa0"
"""What Go's TrimSpace takes away, of one byte or two."""
_GATES = "gates"
_PREFIX = "kube:"
"""Since 1.31 a gate may be given with the component that has it; this is the one of all of Kubernetes' own."""


@lru_cache(maxsize=1)
def types() -> dict[str, dict[str, str]]:
    found: Any = read_object(_TABLE.read_bytes(), _TABLE.name)
    return dict(found)


def refused(component: str, minor: int | None, name: str, value: str) -> Iterator[str]:
    """Yields why a component ends with the value of a flag. `minor`: of Kubernetes, for its feature gates; None when it is not
    known."""
    kind = types()[component].get(written(name), "")
    if kind == _GATES:
        yield from _gates(value, minor)
    elif kind and not _READERS[kind](value):
        yield f"{value!r} is not {_WORDS[kind]}: {component} ends with it"


def _gates(value: str, minor: int | None) -> Iterator[str]:
    given: dict[str, bool] = {}
    for part in (one.strip() for one in value.split(",")):
        name, _, switch = (one.strip() for one in part.partition("="))
        if part and not _boolean(switch):
            yield f"{part!r} is not a feature gate with a value: NAME=true or NAME=false"
        elif part:
            given[name.removeprefix(_PREFIX)] = switch in _TRUE
    if minor is None:
        return
    from quorate.config.component_gates import Gates

    for name, why in Gates(minor, given).unusable():
        yield f"{name}: {why}"


def _boolean(text: str) -> bool:
    return text in (*_TRUE, *_FALSE)


def _whole(least: int, most: int) -> Callable[[str], bool]:
    def reads(text: str) -> bool:
        if not text.isascii() or text != text.strip() or len(text) > _MOST_LETTERS or (least == 0 and text[:1] in "+-"):
            return False
        # 017 is octal for Go, and nothing for Python.
        octal = _OCTAL.fullmatch(text)
        try:
            return least <= (int(octal[1] + octal[2].lstrip("_"), 8) if octal else int(text, 0)) <= most
        except ValueError:
            return False

    return reads


def _level(text: str) -> bool:
    return whole(text, (1 << 31) - 1) is not None


def _fraction(most: float) -> Callable[[str], bool]:
    def reads(text: str) -> bool:
        if not text.isascii() or len(text) > _MOST_LETTERS:
            return False
        try:
            if _HEX_FLOAT.fullmatch(text):
                return abs(float.fromhex(text.replace("_", ""))) <= most
            value = float(text.replace("_", "")) if _FLOAT.fullmatch(text) else None
        except (ValueError, OverflowError):
            return False
        # An infinity that is not written as one is a number that is too large.
        return value is not None and (value != value or abs(value) <= most or "inf" in text.lower())  # noqa: PLR0124

    return reads


def _duration(text: str) -> bool:
    try:
        Duration.parse(text)
    except ValueError:
        return False
    return True


def _address(text: str) -> bool:
    plain = text.strip(_BLANKS)
    if not plain:
        return True
    try:
        # Strictly: no zeros before the numbers of an IPv4 address.
        ipaddress.ip_address(plain)
    except ValueError:
        return False
    return "%" not in plain


def _address_with_zeros(text: str) -> bool:
    return not text or rules.is_address(text)


_READERS: dict[str, Callable[[str], bool]] = {
    "bool": _boolean,
    "int32": _whole(-(1 << 31), (1 << 31) - 1),
    "int64": _whole(-(1 << 63), (1 << 63) - 1),
    "uint": _whole(0, (1 << 64) - 1),
    "uint32": _whole(0, (1 << 32) - 1),
    "float32": _fraction(_MOST_FLOAT32),
    "float64": _fraction(sys.float_info.max),
    "duration": _duration,
    "ip": _address,
    "ip-with-zeros": _address_with_zeros,
    "level": _level,
}
_NUMBER, _NOT_NEGATIVE = "a whole number", "a whole number of 0 or more"
_WORDS = {
    "bool": "true or false",
    "int32": f"{_NUMBER} of 32 bits",
    "int64": _NUMBER,
    "uint": _NOT_NEGATIVE,
    "uint32": _NOT_NEGATIVE,
    "float32": "a number",
    "float64": "a number",
    "duration": "a duration such as 1m30s",
    "ip": "an IP address",
    "ip-with-zeros": "an IP address",
    "level": _NOT_NEGATIVE,
}
