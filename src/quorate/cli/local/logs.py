"""`quorate local logs`: the logs of the members, one after the other, and what is added to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.common.commands import command
from quorate.cli.common.exit_codes import READS
from quorate.cli.common.output import echo
from quorate.cli.local.completers import member_names
from quorate.cli.local.opening import dir_option, read_only
from quorate.errors import Interrupted
from quorate.host.daemon import tail
from quorate.host.log_file import LogFile

if TYPE_CHECKING:
    from quorate.local.home import Home

_SECONDS = 0.2


def print_last(home: Home, name: str | None, lines: int) -> None:
    """Prints the last `lines` lines of the member `name`, or of every member with its name before each line. Raises
    `ConfigError` for an unknown member."""
    names = _names(home, name)
    for one in names:
        paths = home.layout.member(one)
        _print(_label(one, names, name), [*tail(paths.output), *tail(paths.log)][-lines:])


def follow(home: Home, name: str | None, lines: int) -> None:
    """Prints as `print_last`, then new lines until a stop is requested, also of members that join meanwhile."""
    files: dict[str, tuple[LogFile, LogFile]] = {}
    while True:
        names = _names(home, name)
        for one in names:
            if one in files:
                found = [line for file in files[one] for line in file.new()]
            else:
                paths = home.layout.member(one)
                files[one] = (LogFile(paths.output), LogFile(paths.log))
                found = [line for file in files[one] for line in file.last()][-lines:]
            _print(_label(one, names, name), found)
        home.clock.sleep(_SECONDS)


def _names(home: Home, name: str | None) -> list[str]:
    saved = home.load()
    return [member.name for member in saved.members] if name is None else [saved.member(name).name]


def _label(one: str, names: list[str], asked: str | None) -> str:
    return "" if asked else f"{one:<{max(map(len, names))}}  "


def _print(label: str, lines: list[str]) -> None:
    for line in lines:
        echo(label, line)


@command(ends=READS)
@click.argument("name", required=False, shell_complete=member_names)
@click.option("-n", "--lines", type=click.IntRange(min=1), default=50, show_default=True, help="Number of lines of a member.")
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Print new lines as well, until Ctrl-C.")
@dir_option
@click.pass_context
def logs(ctx: click.Context, name: str | None, lines: int, is_followed: bool, folder: Path | None) -> None:
    """Print the last lines of the log of NAME, or of every member.

    \b
    Examples:
      quorate local logs m1
      quorate local logs --follow
    """
    try:
        with read_only(folder) as home:
            (follow if is_followed else print_last)(home, name, lines)
    except (Interrupted, KeyboardInterrupt):
        # Ctrl-C is how following ends: there is nothing to say about it.
        ctx.exit(Interrupted.exit_code)
