"""Text of strangers at the exits: nothing in it ends a line, moves the cursor, or becomes a command."""

from __future__ import annotations

import shlex
import subprocess
import unicodedata

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.cli.common import output
from quorate.cli.common.progress import PlainProgress, drawn
from quorate.foreign.text import OUR_FLAGS, assignment, to_paste, visible
from quorate.report import Event, Notice

HOSTILE = [
    "\x1b]0;title\x07\x1b[2J\nThis node has joined the cluster",
    "a\rb",
    "\x9b31m",
    "\u202eevil\u202c",
    "a\u2028b",
    "zero\u200bwidth",
    "tag\U000e0041",
    "half\ud800",
    "[/x][link=http://h]",
]
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_what_is_visible_is_one_line_of_what_is_drawn(text: str) -> None:
    shown = visible(text)
    assert all(unicodedata.category(letter)[0] != "C" and letter not in "\u2028\u2029" for letter in shown)
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="…")))
def test_what_is_drawn_stays_as_it_is(text: str) -> None:
    assert visible(text, most=len(text)) == text


def test_what_is_long_is_cut() -> None:
    assert len(visible("x" * 10_000_000)) == 2000
    assert visible("abc", most=2) == "a…"


@pytest.mark.parametrize("text", HOSTILE)
def test_every_exit_prints_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows i3.1, e2, e3.3, i12."""
    output.echo("member ", text)
    output.echo(output.styled(text, fg="red"))
    output.print_table(("NAME",), [(text,)])
    PlainProgress()(Notice(text, "warning"))
    PlainProgress()(Event("add", text, text))
    told = capsys.readouterr()
    lines = click.unstyle(told.out + told.err).split("\n")
    assert len(lines) == 7
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_rich_gets_no_markup(text: str) -> None:
    """Rows e3.1 and i6.2: a learner named [/x] ended `etcd add` on a terminal."""
    assert drawn(text).spans == []
    assert drawn(text).plain == visible(text)


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=3))
def test_a_command_to_paste_is_the_words_it_shows(words: list[str]) -> None:
    """Row i6.1, by the real shell."""
    printed = to_paste(*words)
    assert printed.isprintable()
    command = f"printf '%s\\0' {printed}"
    told = subprocess.run(["bash", "-c", command], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert told.stdout.decode().split("\0")[:-1] == words


def test_a_command_of_plain_words_is_not_quoted() -> None:
    assert to_paste("quorate", "etcd", "add", "n2") == "quorate etcd add n2"
    assert shlex.split(to_paste("a b", "$(id)")) == ["a b", "$(id)"]


NO_CONTROLS = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@settings(max_examples=40)
@given(NO_CONTROLS)
def test_a_shell_reads_an_assignment_back(value: str) -> None:
    """Row e1, by the real shell."""
    script = f'{assignment("X", value)}\nprintf %s "$X"'
    told = subprocess.run(["sh", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert told.stdout.decode() == value


@pytest.mark.parametrize("value", ["a\nLD_PRELOAD=/x", "a\0", "a\r", "\x1b"])
def test_a_value_that_ends_the_line_is_no_assignment(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        assignment("ETCD_NAME", value)


def test_a_command_of_etcd_has_the_flags_of_this_run_and_a_name_that_looks_like_one_has_none() -> None:
    """They were put into the quoted name of a member: what was pasted did not end."""
    before = OUR_FLAGS.set(("--endpoints=a:1", "--password-file=/p'x"))
    try:
        printed = to_paste("quorate", "etcd", "remove", "quorate etcd $(id)")
        assert shlex.split(printed) == [
            "quorate", "etcd", "--endpoints=a:1", "--password-file=/p'x", "remove", "quorate etcd $(id)",
        ]  # fmt: skip
        assert to_paste("quorate", "local", "up") == "quorate local up"
    finally:
        OUR_FLAGS.reset(before)
