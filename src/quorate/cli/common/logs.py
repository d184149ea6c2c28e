"""Where the log of a command goes: lines on stderr with -v, a file with --log-file. The library logs to loggers that are named
after its modules; here they get handlers."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

import click
from click.core import ParameterSource

from quorate.cli.common.output import document, echo, styled
from quorate.foreign.text import visible

_ROOT = "quorate"
_OURS = "quorate.cli."
"""What the command line itself logs is on stderr without a log, as progress or as the error."""

_MOST_LETTERS = 4000


_NAME = "_log_"
"""Begins the names of these parameters: no command has one of the same name."""


class Logs:
    """What the command line says about logs. `verbosity`: 1 for decisions and what was done, 2 for each request as well."""

    verbosity: ClassVar[int] = 0
    quiet: ClassVar[bool] = False
    file: ClassVar[str] = ""
    form: ClassVar[Literal["text", "json"]] = "text"


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
    """Gives the loggers of the library the handlers that the options name. Raises `HostError` for a file that is not trusted or
    cannot be opened."""
    logger = logging.getLogger(_ROOT)
    if any(isinstance(handler, _Handler) for handler in logger.handlers):
        return
    if Logs.file:
        from quorate.files import open_log

        _add(_ToFile(open_log(Path(Logs.file).absolute()), Logs.file), logging.DEBUG)
        logging.getLogger(__name__).info("%s begins", command, extra={"fields": {"command": command, "pid": os.getpid()}})
    if Logs.verbosity:
        _add(_ToStderr(), logging.INFO if Logs.verbosity == 1 else logging.DEBUG)


def _add(handler: _Handler, level: int) -> None:
    handler.setLevel(level)
    handler.setFormatter(_Json() if Logs.form == "json" else _Text())
    logger = logging.getLogger(_ROOT)
    logger.addHandler(handler)
    logger.setLevel(min(level, logger.level or level))


@contextmanager
def session() -> Iterator[None]:
    """Takes back the options and handlers of one command line at its end: a process may run several."""
    Logs.verbosity, Logs.quiet, Logs.file, Logs.form = 0, False, "", "text"
    try:
        yield
    finally:
        logger = logging.getLogger(_ROOT)
        for handler in [one for one in logger.handlers if isinstance(one, _Handler)]:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(logging.NOTSET)


class _Handler(logging.Handler):
    """A handler of ours. A log that cannot be written never ends the command: that is said once, and the log ends."""

    def __init__(self) -> None:
        super().__init__()
        self._ended = False

    def emit(self, record: logging.LogRecord) -> None:
        if self._ended:
            return
        try:
            self.write(self.format(record) + "\n")
        except OSError as error:
            self._ended = True
            with suppress(OSError):
                self.say(error)

    def write(self, line: str) -> None:
        raise NotImplementedError

    def say(self, error: OSError) -> None:
        """Says that the log ends."""


class _ToStderr(_Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(_OURS):
            super().emit(record)

    def write(self, line: str) -> None:
        document(line, err=True)


class _ToFile(_Handler):
    def __init__(self, fd: int, name: str) -> None:
        super().__init__()
        self._fd, self._name = fd, name

    def write(self, line: str) -> None:
        rest = line.encode(errors="backslashreplace")
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def say(self, error: OSError) -> None:
        echo(styled("warning:", fg="yellow", bold=True), f" the log {self._name} ends here: {error.strerror}", err=True)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._fd)
        super().close()


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = visible(record.getMessage(), most=_MOST_LETTERS)
        return f"{_moment(record)} {record.levelname.lower():7} {record.name} {text}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": _moment(record),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage()[:_MOST_LETTERS],
                "fields": getattr(record, "fields", {}),
            },
            default=str,
        )
