"""What forbids a restore, and how far the revision jumps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.decide_restore import LEAST_BUMP, Content, Place, Wish, against, bump
from quorate.core.versions import Version

RIGHT = Content(1 << 20, "right", 100, 10, Version(3, 6, 0), corrupt=False, no_space=False)
HERE, WISH = Place("/data", "nothing", 0, 1 << 40), Wish(Version(3, 6, 16), 2 << 30, "https://10.0.0.1:2380", set_aside=False)


def rules(content: Content = RIGHT, place: Place = HERE, wish: Wish = WISH) -> list[str]:
    return [one.rule for one in against(content, place, wish)]


def test_what_is_right_may_go() -> None:
    assert rules() == []
    assert rules(replace(RIGHT, written_by=None)) == []
    assert rules(wish=replace(WISH, engine=Version(3, 7, 0))) == []
    assert rules(place=replace(HERE, free=None)) == []


@pytest.mark.parametrize(
    ("content", "place", "wish", "rule"),
    [
        (replace(RIGHT, digest="wrong"), HERE, WISH, "digest"),
        (replace(RIGHT, digest="missing"), HERE, WISH, "digest"),
        (replace(RIGHT, problems=("page 7 is not whole",)), HERE, WISH, "damaged"),
        (replace(RIGHT, digest="missing", is_database=False, problems=("it begins otherwise",)), HERE, WISH, "no-snapshot"),
        (replace(RIGHT, corrupt=True), HERE, WISH, "corrupt"),
        (replace(RIGHT, written_by=Version(3, 7, 0)), HERE, WISH, "older-engine"),
        (replace(RIGHT, written_by=Version(3, 4, 0)), HERE, WISH, "newer-engine"),
        (replace(RIGHT, size=2 << 30), HERE, WISH, "quota"),
        (RIGHT, replace(HERE, runs=77), WISH, "in-use"),
        (RIGHT, replace(HERE, holds="data"), WISH, "has-data"),
        (RIGHT, replace(HERE, holds="something else"), replace(WISH, set_aside=True), "not-empty"),
        (RIGHT, replace(HERE, free=1 << 20), WISH, "no-room"),
    ],
)
def test_what_forbids_it(content: Content, place: Place, wish: Wish, rule: str) -> None:
    assert rules(content, place, wish) == [rule]


def test_data_that_is_set_aside_forbids_nothing() -> None:
    assert rules(place=replace(HERE, holds="data"), wish=replace(WISH, set_aside=True)) == []


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_the_revision_jumps_over_all_that_was_seen(own: int, seen: int) -> None:
    """From two above the highest that anybody saw, each watch of before ends."""
    after = own + bump(replace(RIGHT, revision=own), seen)
    assert after >= max(own, seen) + 2 and after >= own + LEAST_BUMP
