"""Which backups are kept: pure, so that a rule can be shown before it deletes anything.

A keep rule keeps the newest backup of each of the last N hours, days, weeks, months or years that have one. Periods without a
backup do not count: after a month without any, `7d` still keeps seven days.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quorate.errors import ConfigError

_RULE = re.compile(r"([0-9]{1,5})([hdwmy]?)")
_NEWEST = ""


def _week(at: datetime) -> str:
    year, week, _ = at.isocalendar()
    return f"{year}-{week}"


_PERIODS: Mapping[str, Callable[[datetime], str]] = {
    "h": lambda at: f"{at:%Y-%m-%d %H}",
    "d": lambda at: f"{at:%Y-%m-%d}",
    "w": _week,
    "m": lambda at: f"{at:%Y-%m}",
    "y": lambda at: f"{at:%Y}",
}
_NAMES = {"h": "hourly", "d": "daily", "w": "weekly", "m": "monthly", "y": "yearly"}


@dataclass(frozen=True, slots=True)
class Keep:
    """`newest`: how many of the newest are kept whatever their age; `periods`: by `h`, `d`, `w`, `m` and `y` how many periods
    keep their newest one."""

    newest: int = 0
    periods: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def parse(cls, text: str) -> Keep:
        """Returns the rule of a text such as `24h,7d,4w,6m`; a number without a letter counts backups. Raises `ConfigError`."""
        newest, periods = 0, dict[str, int]()
        for part in text.split(","):
            match = _RULE.fullmatch(part.strip())
            if match is None or not int(match[1]):
                raise ConfigError(
                    f"{part.strip()!r} is no keep rule", advice="write for example 24h,7d,4w,6m, or 10 for the newest ten"
                )
            number, letter = int(match[1]), match[2]
            if newest if letter == _NEWEST else periods.get(letter, 0):
                raise ConfigError(f"{text!r} has two rules for the same period")
            if letter == _NEWEST:
                newest = number
            else:
                periods[letter] = number
        return cls(newest, periods)


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup to be judged. `id`: its name; `taken_at`: in UTC; `is_verified`: it was read again, and was whole; `is_damaged`:
    it was not at the last look."""

    id: str
    taken_at: datetime
    is_verified: bool
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a backup is kept; it goes where `reasons` is empty."""

    id: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a rule decides, newest first. `refused`: why nothing is deleted at all, whatever the verdicts; empty otherwise;
    `leans_on`: the newest verified backup, for which others may go; empty where there is none."""

    verdicts: tuple[Verdict, ...]
    refused: str = ""
    leans_on: str = ""

    def goes(self) -> tuple[str, ...]:
        return () if self.refused else tuple(one.id for one in self.verdicts if not one.reasons)


def judge(backups: Sequence[Kept], keep: Keep, now: datetime, *, most_age: timedelta | None = None) -> Pruning:
    """Judges the backups of one cluster. The newest verified one is always kept: without it a store of damaged files would be
    all that is left. `most_age`: where the newest verified one is older, nothing is deleted, because backups that fail since
    then must not eat the good ones. Those of the future, by the clock of this host, are kept and fill no period: a clock that
    ran ahead once would otherwise hold a place for ever. Damaged ones fill no place, either, and are kept until a newer one is
    verified: a part of them may be all that is left of their time."""
    ordered = sorted(backups, key=lambda one: (one.taken_at, one.id), reverse=True)
    reasons: dict[str, list[str]] = {one.id: [] for one in ordered}
    past = [one for one in ordered if one.taken_at <= now + _SKEW and not one.is_damaged]
    for one in ordered:
        if one.taken_at > now + _SKEW:
            reasons[one.id].append("its time is in the future")
    newest_verified = next((one for one in past if one.is_verified), None)
    for one in ordered:
        if one.is_damaged and (newest_verified is None or one.taken_at >= newest_verified.taken_at):
            reasons[one.id].append("damaged, and none that is newer is verified")
    if newest_verified is not None:
        reasons[newest_verified.id].append("newest verified")
    for one in past[: keep.newest]:
        reasons[one.id].append("newest")
    for letter, number in keep.periods.items():
        for one in _newest_of_each(past, _PERIODS[letter], number):
            reasons[one.id].append(_NAMES[letter])
    verdicts = tuple(Verdict(one.id, tuple(reasons[one.id])) for one in ordered)
    leans_on = newest_verified.id if newest_verified is not None else ""
    return Pruning(verdicts, _why_nothing(newest_verified, now, most_age), leans_on)


_SKEW = timedelta(minutes=5)
"""By how much the clocks of two hosts may differ."""


def _newest_of_each(ordered: Sequence[Kept], period: Callable[[datetime], str], number: int) -> list[Kept]:
    found: dict[str, Kept] = {}
    for one in ordered:
        found.setdefault(period(one.taken_at.astimezone(UTC)), one)
    return list(found.values())[:number]


def _why_nothing(newest_verified: Kept | None, now: datetime, most_age: timedelta | None) -> str:
    if newest_verified is None:
        return "no backup here is verified"
    if most_age is not None and now - newest_verified.taken_at > most_age:
        return (
            f"the newest verified backup is of {newest_verified.taken_at:%Y-%m-%d %H:%M} UTC: newer ones fail, or are not made"
        )
    return ""
