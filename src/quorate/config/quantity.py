"""Quantities of Kubernetes (100Mi, 500m, 1e3) in the form that Go writes.

The canonical form: no fraction, the largest suffix that needs none, the kind of suffix that was given; nothing finer than a
billionth. A text that Go can read at once, and whose number has none of the digits that the canonical form would move into the
suffix, is written as it was given, even `+1` and `007`. Source: the documentation of apimachinery's resource.Quantity, and what
kubeadm writes.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal

_QUANTITY = re.compile(
    r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]{1,3})?"
)
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_POWERS = {suffix: power for power, suffix in _DECIMAL.items()}
_EXACT = Context(prec=1200)
_MOST = (1 << 63) - 1
_MOST_LETTERS = 100
_MOST_DIGITS = 18
"""Decimal digits that an int64 surely holds."""
_FINEST = -9


def canonical(text: str) -> str:
    """Returns a quantity as Go writes it. Raises ValueError for a text that is none."""
    text = text.strip()
    match = _QUANTITY.fullmatch(text) if len(text) <= _MOST_LETTERS else None
    if match is None:
        raise ValueError(f"{text[:_MOST_LETTERS]!r} is not a quantity such as 100Mi, 500m or 2")
    whole, fraction, suffix = (match[2] or "").lstrip("0") or "0", match[3] or match[4] or "", match[5] or ""
    number = Decimal(f"{match[1]}{whole}.{fraction or '0'}")
    if suffix in _BINARY[1:]:
        power = _BINARY.index(suffix)
        if not fraction and _is_kept_binary(whole, power):
            return text
        return _binary(_capped(_rounded(_EXACT.multiply(number, Decimal(1024) ** power))))
    exponent = suffix[:1] in ("e", "E") and suffix != "E"
    power = int(suffix[1:]) if exponent else _POWERS[suffix]
    if _is_kept_decimal(whole + fraction, power - len(fraction)):
        return text
    return _decimal(_rounded(number.scaleb(power, _EXACT)), exponent=exponent)


def _is_kept_decimal(digits: str, power: int) -> bool:
    is_read_at_once = len(digits) <= _MOST_DIGITS and power >= _FINEST
    return is_read_at_once and power % 3 == 0 and not digits.endswith("000") and not digits.startswith("0")


def _is_kept_binary(digits: str, power: int) -> bool:
    is_read_at_once = len(digits) + 3 * power <= 14 and int(digits) << (10 * power) <= _MOST
    return is_read_at_once and int(digits) % 8 != 0


def _rounded(value: Decimal) -> Decimal:
    """Returns the value rounded up to a billionth, away from zero."""
    return value.quantize(Decimal("1e-9"), ROUND_UP, _EXACT)


def _capped(value: Decimal) -> Decimal:
    """Returns at most what an int64 holds: numbers with other suffixes have no bound."""
    return max(min(value, Decimal(_MOST)), Decimal(-_MOST))


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
    number, power = int(value.scaleb(9, _EXACT)), _FINEST
    while number % 1000 == 0 and (exponent or power < 18):
        number, power = number // 1000, power + 3
    if exponent:
        return f"{number}e{power}" if power else str(number)
    return f"{number}{_DECIMAL[power]}"
