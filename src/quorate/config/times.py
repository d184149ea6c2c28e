"""Times as Kubernetes reads and writes them: RFC 3339 in, UTC and whole seconds out.

Go's reader takes more and less than Python's: an hour of one digit, a comma before the fraction, and offsets up to +24:60, but
neither a lower-case t or z, nor a date alone, nor the sixtieth second. Source: time.Parse of Go, and metav1.Time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})([.,][0-9]+)?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_MOST_OFFSET_HOURS, _MOST_OFFSET_MINUTES = 24, 60
_CYCLE = 400
"""The calendar repeats after as many years. Python has none before the year 1 or after 9999; an offset leads there."""
_MOST_SHOWN = 100
_ZERO = "0001-01-01T00:00:00Z"


class Time(str):
    """A time as Go writes it, such as 2030-01-02T15:04:05Z; empty for Go's zero, which says that there is none. Made by
    `parse`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Time:
        """Returns the time of a text. Raises ValueError for what Go's time.Parse refuses."""
        match = _RFC3339.fullmatch(text)
        moment = _moment(match) if match is not None else None
        if match is None or moment is None:
            raise ValueError(f"{text[:_MOST_SHOWN]!r} is not a time such as 2030-01-02T15:04:05Z or 2030-01-02T17:04:05+02:00")
        year = moment.year + int(match[1]) - _same_year(match[1])
        written = f"{_year(year)}-{moment:%m-%dT%H:%M:%S}Z"
        # A fraction is read to the nanosecond and never written, and yet it makes a time other than the zero.
        is_zero = written == _ZERO and not (match[7] or "")[1:10].strip("0")
        return cls("" if is_zero else written)

    @property
    def is_readable(self) -> bool:
        """Returns whether Kubernetes can read again what it writes: an offset can lead to the year 10000, or -1."""
        return _RFC3339.fullmatch(self) is not None

    @property
    def moment(self) -> datetime:
        """Returns the time as a datetime in UTC. Raises ValueError for one that Python has none for."""
        return datetime.strptime(self, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _moment(match: re.Match[str]) -> datetime | None:
    """Returns the time in UTC, in `_same_year`; None for one that there is not, such as February 30."""
    hours, minutes = int(match[9] or 0), int(match[10] or 0)
    if hours > _MOST_OFFSET_HOURS or minutes > _MOST_OFFSET_MINUTES:
        return None
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if match[8] == "-" else 1)
    try:
        month, day, hour, minute, second = (int(one) for one in match.group(2, 3, 4, 5, 6))
        return datetime(_same_year(match[1]), month, day, hour, minute, second, tzinfo=UTC) - offset
    except ValueError:
        return None


def _same_year(text: str) -> int:
    """Returns a year with the same days that is far from both ends of what Python has."""
    return int(text) % _CYCLE + _CYCLE


def _year(number: int) -> str:
    return f"-{-number:04d}" if number < 0 else f"{number:04d}"
