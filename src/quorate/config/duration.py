"""Durations as Go writes them: 4m0s, 1h30m, 500ms; kept as nanoseconds."""

from __future__ import annotations

import re

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LARGEST = 2**63 - 1
_MOST_LETTERS = 100


class Duration(int):
    """A duration in nanoseconds."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Returns the duration of a text. Raises ValueError for what Go's time.ParseDuration refuses."""
        rest = text[1:] if text[:1] in ("-", "+") else text
        if rest == "0":
            return cls(0)
        # Longer texts are refused unread: the expression is quadratic on digits without a unit.
        parts = _PART.findall(rest) if len(rest) <= _MOST_LETTERS else []
        if not parts or "".join(number + unit for number, unit in parts) != rest:
            raise ValueError(f"{text[:_MOST_LETTERS]!r} is not a duration such as 4m0s, 1h30m or 500ms")
        total = sum(_nanoseconds(number, _UNITS[unit]) for number, unit in parts)
        if total > _LARGEST + text.startswith("-"):
            raise ValueError(f"{text!r} is longer than a duration can be (about 292 years)")
        return cls(-total if text.startswith("-") else total)

    @property
    def seconds(self) -> float:
        return int(self) / 10**9

    def __str__(self) -> str:
        """Returns what Go's String() returns: 0s, 1.5s, 4m0s, 8760h0m0s, 500ms."""
        value = abs(int(self))
        sign = "-" if self < 0 else ""
        if value < 10**9:
            return sign + _below_a_second(value)
        minutes, rest = divmod(value, 60 * 10**9)
        hours, minutes = divmod(minutes, 60)
        seconds = _decimal(rest, 10**9)
        if hours:
            return f"{sign}{hours}h{minutes}m{seconds}s"
        return f"{sign}{minutes}m{seconds}s" if minutes else f"{sign}{seconds}s"

    __repr__ = __str__


def _nanoseconds(number: str, unit: int) -> int:
    """Returns the nanoseconds of a number of units, cut off as by Go: 1.9ns is 1ns. It adds the fraction as a float64, and
    reads no more of its digits than an int64 holds."""
    whole, _, fraction = number.partition(".")
    read = 0
    scale = 1.0
    for digit in fraction:
        if read > _LARGEST // 10 or read * 10 + int(digit) > _LARGEST + 1:
            break
        read, scale = read * 10 + int(digit), scale * 10
    return int(whole or "0") * unit + int(float(read) * (unit / scale))


def _below_a_second(value: int) -> str:
    if value == 0:
        return "0s"
    for unit, size in (("ms", 10**6), ("µs", 10**3)):
        if value >= size:
            return f"{_decimal(value, size)}{unit}"
    return f"{value}ns"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    fraction = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


class Seconds(Duration):
    """A duration that may also be written as a number of seconds."""
