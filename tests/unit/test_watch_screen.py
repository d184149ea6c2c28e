"""The picture of `etcd watch`: what matters is in sight on every size of terminal, and the curves have one axis."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from quorate.cli.etcd.watch_history import Frame, History, curve, most_in
from quorate.cli.etcd.watch_screen import Shown, picture, shortened
from quorate.core.membership import Alarm, ClusterView, NoResponse
from quorate.etcd.client.errors import Unavailable
from unit.views import answer, member, view

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DEAD = NoResponse("nothing listens at 10.0.0.6:2379: its etcd does not run")
SIZES = [(40, 10), (60, 12), (80, 24), (120, 40), (300, 60), (40, 4), (20, 5)]


def seven_of_which_two_are_dead() -> ClusterView:
    answers = {number: answer(number) for number in range(1, 6)}
    return view(7, answers={**answers, 6: DEAD, 7: DEAD})


def shown(*views: ClusterView | None, plain: bool = False) -> Shown:
    """What is drawn after these looks; None is one that no member answered."""
    history, frame = History(), Frame(AT, None, None, {})
    for one in views:
        if one is None:
            history.miss()
            frame = Frame(AT, None, Unavailable("no member answers"), {})
        else:
            frame = Frame(AT, one, None, history.add(one))
    return Shown(frame, history.last, tuple(history.looks), "https://10.0.0.1:2379", plain)


def lines(drawn: Shown, width: int, height: int) -> list[str]:
    return [line.plain.rstrip() for line in picture(drawn, width, height)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_size_shows_how_many_may_fail(width: int, height: int) -> None:
    seen = lines(shown(seven_of_which_two_are_dead()), width, height)
    assert len(seen) <= height and all(cell_len(line) <= width for line in seen)
    assert "1 more may fail" in seen[1]


@pytest.mark.parametrize(("width", "height"), SIZES[:5])
def test_every_member_is_in_sight_where_there_is_room(width: int, height: int) -> None:
    seen = lines(shown(seven_of_which_two_are_dead()), width, height)
    rows = [line.split() for line in seen if line.split()[:1] in [[f"m{number}"] for number in range(1, 8)]]
    assert [row[0] for row in rows[:7]] == [f"m{number}" for number in range(1, 8)]
    assert rows[0][1:3] == ["leader", "healthy"] and rows[5][1:4] == ["voter", "no", "answer"]


def test_where_not_all_have_room_the_dead_are_shown() -> None:
    seen = lines(shown(seven_of_which_two_are_dead()), 60, 6)
    assert [line.split()[0] for line in seen[-3:-1]] == ["m6", "m7"]
    assert seen[-1] == "and 4 more, for which there is no room"


def test_the_time_and_the_cluster_are_shown() -> None:
    first = lines(shown(view(3)), 80, 24)[0]
    assert first == "03:04:05  cluster 63  m1 leads  at https://10.0.0.1:2379"


def test_what_is_bad_has_a_colour() -> None:
    alarmed = replace(seven_of_which_two_are_dead(), alarms=(Alarm(2, "NOSPACE"),), linearizable=False)
    styles = {line.plain.split("  ")[0].strip(): str(line.style) for line in picture(shown(alarmed), 80, 24) if line.plain}
    assert styles["m6"] == "red" and styles["m1"] == "" and styles["alarm NOSPACE on m2"] == "red"
    assert styles["this member list is one member's own copy and may be stale"] == "yellow"
    lost = shown(view(3, answers={1: answer(1), 2: DEAD, 3: DEAD}))
    assert str(picture(lost, 80, 24)[1].style) == "bold red"


def test_a_member_that_lags_is_yellow() -> None:
    behind = view(3, answers={1: answer(1, commit=5000, applied=5000), 2: answer(2, applied=100), 3: answer(3, applied=5000)})
    assert [str(line.style) for line in picture(shown(behind), 80, 24)[-3:]] == ["", "yellow", ""]


def test_curves_have_one_time_axis_and_gaps() -> None:
    """A member that died has a gap at the end, one that came later a gap at the beginning: the rest lines up."""
    with_two = view(3, answers={1: answer(1), 2: answer(2), 3: DEAD})
    seen = lines(shown(with_two, view(3), None, with_two, view(3)), 80, 24)
    place = next(line for line in seen if line.startswith("NAME")).index("LAG OVER TIME")
    assert [line[place:] for line in seen if line.startswith("m")] == ["▁▁ ▁▁", "▁▁ ▁▁", " ▁  ▁"]


def test_curves_have_one_scale() -> None:
    looks = [{1: 0, 2: 70}, {1: 10, 2: 0}]
    assert most_in(looks) == 70
    assert [curve(looks, key, most=70, plain=False) for key in (1, 2)] == ["▁▂", "█▁"]
    assert [curve(looks, key, most=70, plain=True) for key in (1, 2)] == ["_.", "#_"]


def test_a_cluster_that_cannot_be_read_keeps_what_was_seen() -> None:
    seen = lines(shown(view(3), None), 80, 24)
    assert seen[1] == "the cluster cannot be read: no member answers"
    assert [line.split()[:3] for line in seen if line.startswith("m")] == [
        ["m1", "leader", "unknown"],
        ["m2", "voter", "unknown"],
        ["m3", "voter", "unknown"],
    ]


def test_before_the_first_look_it_says_so() -> None:
    assert lines(shown(), 80, 24)[1] == "asking the members"


def test_without_block_characters_all_is_ascii() -> None:
    long = replace(view(3), members=tuple(replace(member(one), name=f"knoten-ä-{'x' * 40}-{one}") for one in (1, 2, 3)))
    for width, height in SIZES:
        assert all(line.isascii() and len(line) <= width for line in lines(shown(long, plain=True), width, height))


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_long_name_keeps_what_tells_it_apart(width: int) -> None:
    long = replace(view(3), members=tuple(replace(member(one), name=f"control-plane-of-west-{one}") for one in (1, 2, 3)))
    names = [line.split()[0] for line in lines(shown(long), width, 24) if line.startswith("contr")]
    assert len(set(names)) == len(names) == 3 and all(len(name) >= 12 for name in names)


def test_names_of_others_are_drawn_and_nothing_else() -> None:
    evil = replace(view(1), members=(replace(member(1), name="[red]\x1b[2J\n日本"),))
    seen = lines(shown(evil), 80, 24)
    assert any("[red]\\x1b[2J\\n日本" in line for line in seen) and all(line.isprintable() for line in seen)


def test_a_short_name_is_not_touched() -> None:
    assert shortened("m1", 4, plain=False) == "m1  "
    assert shortened("node-a-very-long-1", 9, plain=False) == "node…ng-1"
    assert cell_len(shortened("日本日本日本", 5, plain=False)) == 5
