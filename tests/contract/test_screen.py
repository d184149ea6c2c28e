"""What is on a terminal: colours only where they are wanted, no escape codes for nothing, tables of any width."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import RunCli
from screens import started, terminal

from quorate.cli.common.wrapped import shared_widths

PRINT = (
    "import sys; from quorate.cli.common.output import print_table; "
    "import json; headers, *rows = json.loads(sys.argv[1]); print_table(headers, rows)"
)
MEMBERS = [
    ("ID", "NAME", "ROLE", "HEALTH", "CLIENT URLS"),
    ("5a6ecc9254b98d25", "m1", "leader", "healthy", "https://127.0.0.1:22033"),
    (
        "b87e589c7a1546e",
        "m2",
        "voter",
        "no answer: nothing listens at 127.0.0.1:2: its etcd does not run",
        "https://127.0.0.1:2",
    ),
]


def printed(rows: object, columns: int, **environment: str) -> tuple[list[str], bytes]:
    with started([sys.executable, "-c", PRINT, json.dumps(rows)], columns, 60, environment) as shown:
        assert shown.end() == 0
        return shown.lines, bytes(shown.raw)


def test_an_error_is_red_on_a_terminal(tmp_path: Path) -> None:
    with terminal("local", "status", "--dir", str(tmp_path)) as shown:
        assert shown.end() == 3
        assert shown.lines[0].startswith("error: there is no local cluster")
        assert shown.colour("error:") == "red"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_no_escape_code_where_none_is_wanted(environment: dict[str, str], tmp_path: Path) -> None:
    with terminal("local", "status", "--dir", str(tmp_path), environment=environment) as shown:
        assert shown.end() == 3
        assert b"\x1b" not in shown.raw and b"error: there is no" in shown.raw
    for columns in (40, 80, 300):
        assert b"\x1b" not in printed(MEMBERS, columns, **environment)[1]


def test_an_empty_no_color_is_none(tmp_path: Path) -> None:
    with terminal("local", "status", "--dir", str(tmp_path), environment={"NO_COLOR": ""}) as shown:
        shown.end()
        assert shown.colour("error:") == "red"


def test_a_pipe_has_no_escape_code_whatever_is_forced(cli: RunCli, tmp_path: Path) -> None:
    done = cli("local", "status", "--dir", str(tmp_path), FORCE_COLOR="1", TERM="xterm-256color")
    assert "\x1b" not in done.stderr


def test_a_command_without_progress_draws_nothing() -> None:
    """A live display without content was an empty line and two escape codes before every command."""
    with terminal("etcd", "status", "--endpoints", "127.0.0.1:1", environment={"NO_COLOR": "1"}) as shown:
        shown.end()
        assert b"\x1b" not in shown.raw and shown.lines[0].startswith("error: ")


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 300])
def test_a_table_fits_its_terminal_and_loses_nothing(columns: int) -> None:
    lines, _ = printed(MEMBERS, columns)
    assert all(len(line) <= columns for line in lines)
    words = " ".join(lines).split()
    for row in MEMBERS:
        for cell in row:
            assert all(word in words for word in cell.split()), (cell, lines)


def test_a_table_with_room_is_that_of_a_pipe() -> None:
    lines, _ = printed(MEMBERS, 300)
    piped = subprocess.run([sys.executable, "-c", PRINT, json.dumps(MEMBERS)], capture_output=True, text=True, check=True)
    assert lines == piped.stdout.splitlines() and len(lines) == 3


def test_columns_wrap_inside_themselves() -> None:
    lines, _ = printed(MEMBERS, 100)
    assert lines[0].split() == ["ID", "NAME", "ROLE", "HEALTH", "CLIENT", "URLS"]
    place = lines[0].index("HEALTH")
    wrapped = [line for line in lines[2:] if line[place:].strip()]
    assert len(wrapped) > 1 and all(not line[:place].strip() for line in wrapped[1:])


def test_rows_become_paragraphs_where_columns_have_no_room() -> None:
    lines, _ = printed(MEMBERS, 40)
    assert lines[:6] == [
        "ID           5a6ecc9254b98d25",
        "NAME         m1",
        "ROLE         leader",
        "HEALTH       healthy",
        "CLIENT URLS  https://127.0.0.1:22033",
        "",
    ]


def test_text_of_others_is_drawn_and_nothing_else() -> None:
    lines, raw = printed([("NAME", "HEALTH"), ("[red]a\x1b[2J", "words " * 30)], 60, NO_COLOR="1")
    assert b"\x1b" not in raw and "[red]a\\x1b[2J" in lines[1]


def test_widths_are_shared() -> None:
    assert shared_widths([("ID", "a" * 10), ("TEXT", "word " * 20), ("NEXT", "word " * 10)], 80) == [10, 35, 35]
    assert shared_widths([("ID", "a" * 10), ("TEXT", "b" * 50)], 50) == []
