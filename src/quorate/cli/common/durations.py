"""The one rule for durations on the command line: Go's notation (5s, 500ms, 1m30s), as in etcdctl, or seconds (60)."""

from __future__ import annotations

from dataclasses import dataclass

import click

from quorate.config.duration import Duration
from quorate.foreign.numbers import are_digits

_MOST_SECONDS = 7 * 24 * 3600.0
_MOST_SHOWN = 100


def parse(text: str) -> Duration:
    """Returns the duration of a text; a plain number is seconds. Raises ValueError for any other text."""
    return Duration.parse(f"{text}s" if are_digits(text.replace(".", "", 1)) else text)


@dataclass(frozen=True)
class Seconds(click.ParamType[float]):
    """A duration of at most a week. The value is in seconds, `least` at least."""

    least: float = 0.0
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            seconds = parse(text).seconds
        except ValueError:
            self.fail(f"{text[:_MOST_SHOWN]!r} is not a duration such as 60s, 500ms, 1m30s, or 60 (seconds)", param, ctx)
        if not self.least <= seconds <= _MOST_SECONDS:
            limits = f"at least {self.least:g}s and at most {_MOST_SECONDS / 3600:g}h"
            self.fail(f"{text} is out of range: give {limits}", param, ctx)
        return seconds


DURATION = Seconds()
WAIT = Seconds(0.001)
"""A limit: with 0 nothing could be waited for."""
