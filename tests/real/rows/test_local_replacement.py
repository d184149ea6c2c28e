"""A local replacement that was cut off: it resumes, and its record is no consent for any other member."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import RunCli

from quorate.local import cluster
from quorate.local.home import Home
from real.rows.harness import Done, Point, Tool
from real.rows.local_tools import killed, remove, roles, runs, started

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
REFUSED = 4


def begin(home: Home, etcd: str) -> None:
    """Two voters, of which none may fail: a third one makes the margin 1, and a removal 0 again."""
    cluster.up(home, 1, etcd)
    cluster.join(home, "m3")


def replace_killed(tools: list[Tool], home: Home, point: str) -> Done:
    return killed(tools, home, Point(point, act="kill"), "etcd", "replace", "m3", "z1")


def replace(cli: RunCli, home: Home, *more: str) -> tuple[int, str]:
    done = cli("etcd", "replace", "m3", "z1", "--dir", str(home.layout.root), *more)
    return done.returncode, done.stdout + done.stderr


def record(home: Home) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(home.layout.replacement.read_text())
    return read


@pytest.mark.parametrize("more", [["--dry-run"], []], ids=["dry run", "real run"])
def test_a_replacement_that_was_finished_is_no_consent_for_the_next_member_of_that_name(
    home: Home, etcd36: str, tool_of: list[Tool], cli: RunCli, more: list[str]
) -> None:
    begin(home, etcd36)
    replace_killed(tool_of, home, "after MemberRemove")
    assert replace(cli, home)[0] == 0
    assert not home.layout.replacement.exists() and roles(home) == dict.fromkeys(("m1", "z1"), "voter")
    cluster.join(home, "m3")
    code, said = replace(cli, home, *more)
    assert code == REFUSED and "z1 is a voter already" in said and "--accept-reduced-tolerance" in said
    assert set(roles(home)) == {"m1", "m3", "z1"} and runs(home, "m3")


def test_a_record_that_stayed_counts_for_its_own_member_only(home: Home, etcd36: str, tool_of: list[Tool], cli: RunCli) -> None:
    """NEW left, and another member of its name came: the record, should it stay, says nothing of that one."""
    begin(home, etcd36)
    replace_killed(tool_of, home, "before MemberRemove")
    told = record(home)
    assert told["format"] == 1 and told["margin"] == 0 and told["old"] and told["new"]
    cluster.leave(home, "z1", accept_reduced_tolerance=True)
    assert not home.layout.replacement.exists()
    home.layout.replacement.write_text(json.dumps(told))
    cluster.join(home, "z1")
    code, said = replace(cli, home)
    assert code == REFUSED and set(roles(home)) == {"m1", "m3", "z1"}, said


def test_the_very_replacement_that_was_cut_off_resumes_where_the_margin_is_one_of_two_voters(
    home: Home, etcd36: str, tool_of: list[Tool], cli: RunCli
) -> None:
    """Three voters are one more than it began with: the removal lowers the margin of now, not that of its beginning."""
    begin(home, etcd36)
    replace_killed(tool_of, home, "before MemberRemove")
    assert set(roles(home)) == {"m1", "m3", "z1"}
    assert replace(cli, home, "--dry-run")[0] == 0
    code, said = replace(cli, home)
    assert code == 0 and set(roles(home)) == {"m1", "z1"}, said
    assert not home.layout.replacement.exists()


@pytest.mark.parametrize("point", ["before MemberAdd", "after MemberAdd", "after MemberPromote"])
def test_it_resumes_from_its_join_too(home: Home, etcd36: str, tool_of: list[Tool], cli: RunCli, point: str) -> None:
    begin(home, etcd36)
    replace_killed(tool_of, home, point)
    code, said = replace(cli, home)
    assert code == 0 and set(roles(home)) == {"m1", "z1"}, said


@pytest.mark.parametrize("more", [["--dry-run"], []], ids=["dry run", "real run"])
def test_nobody_is_replaced_by_nobody(home: Home, etcd36: str, cli: RunCli, more: list[str]) -> None:
    """A mistyped OLD joined NEW, as one voter more."""
    begin(home, etcd36)
    done = cli("etcd", "replace", "m33", "z1", "--dir", str(home.layout.root), *more)
    assert done.returncode == 3 and "no member 'm33'" in done.stderr, done
    assert set(roles(home)) == {"m1", "m3"}


@pytest.mark.parametrize("point", ["after MemberRemove", "before MemberAdd", "after MemberAdd"])
def test_it_resumes_when_the_dead_member_was_removed_before_the_join(
    home: Home, etcd36: str, tool_of: list[Tool], cli: RunCli, point: str
) -> None:
    cluster.up(home, 3, etcd36)
    cluster.kill(home, "m3")
    replace_killed(tool_of, home, point)
    assert replace(cli, home, "--dry-run")[0] == 0
    code, said = replace(cli, home)
    assert code == 0 and set(roles(home)) == {"m1", "m2", "z1"}, said
    assert not home.layout.replacement.exists()
    assert replace(cli, home)[0] == 3, "m3 is replaced: it is no member any more"


def test_a_join_of_ones_own_is_not_that_of_a_replacement_which_was_cut_off_before_it(
    home: Home, etcd36: str, tool_of: list[Tool], cli: RunCli
) -> None:
    begin(home, etcd36)
    replace_killed(tool_of, home, "renaming cluster.json")
    assert "z1" not in {row.name for row in home.load().members} and record(home)["new"] == ""
    cluster.join(home, "z1")
    code, said = replace(cli, home)
    assert code == REFUSED and set(roles(home)) == {"m1", "m3", "z1"}, said
    code, said = replace(cli, home, "--accept-reduced-tolerance")
    assert code == 0 and set(roles(home)) == {"m1", "z1"}, said


def test_a_record_of_a_newer_version_stops_the_replacement_and_stays(home: Home, etcd36: str, cli: RunCli) -> None:
    begin(home, etcd36)
    home.layout.replacement.write_text('{"format": 2, "oldName": "m3"}')
    home.layout.replacement.chmod(0o600)
    assert [replace(cli, home, *more)[0] for more in (["--dry-run"], [])] == [REFUSED, REFUSED]
    assert record(home) == {"format": 2, "oldName": "m3"} and set(roles(home)) == {"m1", "m3"}


def test_a_removal_that_is_refused_after_the_join_says_what_has_joined(home: Home, etcd36: str, tool_of: list[Tool]) -> None:
    """An operator removed another voter meanwhile: the margin would fall below that of the beginning."""
    cluster.up(home, 3, etcd36)
    stopped = started(tool_of, home, [Point("after MemberPromote")], "etcd", "replace", "m3", "z1")
    stopped.wait_stopped()
    remove(home, "m2")
    stopped.go_on()
    done = stopped.end()
    assert done.code == 1 and "z1 has joined" in done.err and "nothing was changed" not in done.err, done
    assert set(roles(home)) == {"m1", "m3", "z1"} and record(home)["margin"] == 1
