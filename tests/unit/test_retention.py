"""Which backups are kept, whatever a rule and a clock say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.retention import Keep, Kept, Pruning, judge
from quorate.errors import ConfigError

NOW = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)


def taken(*ages_in_hours: float, verified: bool = True) -> list[Kept]:
    return [Kept(f"b{age:g}", NOW - timedelta(hours=age), verified) for age in ages_in_hours]


def goes(backups: list[Kept], rule: str, most_age: timedelta | None = None) -> set[str]:
    return set(judge(backups, Keep.parse(rule), NOW, most_age=most_age).goes())


def test_a_rule_keeps_the_newest_of_each_period_that_has_one() -> None:
    hours = taken(0.1, 0.2, 1, 2, 3)
    assert goes(hours, "2h") == {"b0.2", "b2", "b3"}
    # Three days without any do not count.
    assert goes(taken(1, 2, 80, 81, 110), "3d") == {"b2", "b81"}


def test_a_number_keeps_the_newest_whatever_their_age() -> None:
    assert goes(taken(1, 2, 3, 4000), "2") == {"b3", "b4000"}
    assert goes(taken(1, 2, 3, 4000), "1,1y") == {"b2", "b3", "b4000"}


def test_rules_are_added() -> None:
    assert goes(taken(1, 2, 30, 31, 800), "1h,2d,2m") == {"b2", "b31"}


def test_the_newest_verified_backup_is_never_deleted() -> None:
    backups = [*taken(1, 2, 3, verified=False), *taken(50)]
    assert goes(backups, "1h") == {"b2", "b3"}


def test_without_a_verified_one_nothing_is_deleted() -> None:
    found = judge(taken(1, 2, 3, verified=False), Keep.parse("1"), NOW)
    assert not found.goes() and "no backup here is verified" in found.refused


def test_backups_that_fail_do_not_eat_the_good_ones() -> None:
    backups = [*taken(1, 2, verified=False), *taken(60, 70, 80)]
    found = judge(backups, Keep.parse("1"), NOW, most_age=timedelta(hours=48))
    assert not found.goes() and "2026-11-25 00:30" in found.refused


def test_a_backup_of_the_future_is_kept_and_takes_no_place() -> None:
    assert goes(taken(-30, 1, 2), "1") == {"b2"}
    assert goes(taken(-0.01, 1), "1") == {"b1"}, "clocks of two hosts differ by seconds"


@pytest.mark.parametrize("text", ["", "x", "0", "0d", "7d,7d", "3,4", "7q", "-1d", "1.5d", "٣d"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Keep.parse(text)


ages = st.lists(st.tuples(st.integers(-100, 100_000), st.booleans()), max_size=30, unique_by=lambda one: one[0])
rules = st.sampled_from(["1", "3", "24h,7d,4w,6m", "1y", "2h,1w"])


@given(ages, rules, st.sampled_from([None, 48]))
def test_laws_of_every_rule(found: list[tuple[int, bool]], rule: str, hours: int | None) -> None:
    backups = [Kept(f"b{age}", NOW - timedelta(minutes=age), verified) for age, verified in found]
    pruning: Pruning = judge(backups, Keep.parse(rule), NOW, most_age=timedelta(hours=hours) if hours else None)
    gone = set(pruning.goes())
    left = [one for one in backups if one.id not in gone]
    assert {one.id for one in pruning.verdicts} == {one.id for one in backups}
    verified = [one for one in backups if one.is_verified and one.taken_at <= NOW + timedelta(minutes=5)]
    if verified:
        assert max(verified, key=lambda one: one.taken_at) in left
    else:
        assert not gone or any(one.is_verified for one in left)
    # A second run has nothing more to do.
    again = judge(left, Keep.parse(rule), NOW, most_age=timedelta(hours=hours) if hours else None)
    assert not again.goes()
