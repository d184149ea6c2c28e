"""Quantities of Kubernetes (100Mi, 500m, 1e3) in the canonical form that Go writes.

The form: no fraction, the largest suffix that needs none, the kind of suffix that was given; nothing finer than a billionth.
Source: the documentation of apimachinery's resource.Quantity.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]{1,3})?")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_POWERS = {suffix: power for power, suffix in _DECIMAL.items()}
_EXACT = Context(prec=200)
_MOST = (1 << 63) - 1
_MOST_LETTERS = 100


def canonical(text: str) -> str:
    """Returns a quantity as Go writes it. Raises ValueError for a text that is none."""
    match = _QUANTITY.fullmatch(text.strip()) if len(text) <= _MOST_LETTERS else None
    if match is None:
        raise ValueError(f"{text[:_MOST_LETTERS]!r} is not a quantity such as 100Mi, 500m or 2")
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in _BINARY[1:]:
        return _binary(_capped(_EXACT.multiply(number, Decimal(1024) ** _BINARY.index(suffix))))
    exponent = suffix[:1] in ("e", "E") and suffix != "E"
    power = int(suffix[1:]) if exponent else _POWERS[suffix]
    return _decimal(_capped(number.scaleb(power, _EXACT)), exponent=exponent)


def _capped(value: Decimal) -> Decimal:
    """Returns the value rounded up to a billionth, and at most what an int64 holds."""
    value = max(min(value, Decimal(_MOST)), Decimal(-_MOST))
    return value.quantize(Decimal("1e-9"), ROUND_UP, _EXACT)


def _binary(value: Decimal) -> str:
    if value != value.to_integral_value() or abs(value) < 1024:
        # Below 1024 the kinds of suffix do not differ; fractions have decimal suffixes only.
        return _decimal(value, exponent=False)
    number, power = int(value), 0
    while number % 1024 == 0 and power + 1 < len(_BINARY):
        number, power = number // 1024, power + 1
    return f"{number}{_BINARY[power]}"


def _decimal(value: Decimal, *, exponent: bool) -> str:
    if value == 0:
        return "0"
    number, power = int(value.scaleb(9, _EXACT)), -9
    while number % 1000 == 0 and power < 18:
        number, power = number // 1000, power + 3
    if exponent:
        return f"{number}e{power}" if power else str(number)
    return f"{number}{_DECIMAL[power]}"
