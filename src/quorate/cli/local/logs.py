"""`quorate local logs`: the logs of the members, one after the other, and what is added to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate.cli.common.output import echo
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
    logs: dict[str, tuple[LogFile, LogFile]] = {}
    while True:
        names = _names(home, name)
        for one in names:
            if one in logs:
                found = [line for file in logs[one] for line in file.new()]
            else:
                paths = home.layout.member(one)
                logs[one] = (LogFile(paths.output), LogFile(paths.log))
                found = [line for file in logs[one] for line in file.last()][-lines:]
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
