"""Where the log of a command goes: lines on stderr with -v, a file with --log-file. The library logs to loggers that are named
after its modules; here they get handlers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, TypeAlias

import click
from click.core import ParameterSource

Form: TypeAlias = Literal["text", "json"]
_NAME = "_log_"
"""Begins the names of these parameters: no command has one of the same name."""


class Logs:
    """What the command line says about logs. `verbosity`: 1 for decisions and what was done, 2 for each request as well.
    `open`: the log has begun."""

    verbosity: ClassVar[int] = 0
    quiet: ClassVar[bool] = False
    file: ClassVar[str] = ""
    form: ClassVar[Form] = "text"
    open: ClassVar[bool] = False


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Stores a value that was given, before or after the name of the subcommand: the last one counts."""
    if ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE:
        setattr(Logs, str(param.name).removeprefix(_NAME), value)


class LogOption(click.Option):
    """An option that every command has."""


def _option(*spelling: str, **settings: Any) -> LogOption:
    return LogOption(spelling, expose_value=False, callback=_remember, **settings)


OPTIONS = (
    _option(
        *("-v", "--verbose", f"{_NAME}verbosity"),
        type=int,
        metavar="[LEVEL]",
        help="Log on stderr: 1 what is decided and done, 2 also each request and each wait. -vv is level 2.",
    ),
    _option("-q", "--quiet", f"{_NAME}quiet", is_flag=True, help="No progress on stderr; warnings and errors stay."),
    _option(
        "--log-file", f"{_NAME}file", type=click.Path(), metavar="FILE", help="Append everything to FILE, whatever -v says."
    ),
    _option("--log-format", f"{_NAME}form", type=click.Choice(["text", "json"]), help="Of -v and --log-file.  [default: text]"),
)


def begin(command: str) -> None:
    """Gives the loggers of the library the handlers that the options name. Raises `ConfigError` for a file that is not trusted
    or cannot be opened."""
    if Logs.open or not (Logs.file or Logs.verbosity):
        return
    from quorate.cli.common import log_handlers

    Logs.open = True
    if Logs.file:
        log_handlers.to_file(Logs.file, Logs.form, command)
    if Logs.verbosity:
        log_handlers.to_stderr(Logs.verbosity, Logs.form)


@contextmanager
def session() -> Iterator[None]:
    """Takes back the options and handlers of one command line at its end: a process may run several."""
    Logs.verbosity, Logs.quiet, Logs.file, Logs.form, Logs.open = 0, False, "", "text", False
    try:
        yield
    finally:
        if Logs.open:
            from quorate.cli.common import log_handlers

            log_handlers.end()
