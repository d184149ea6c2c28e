"""The handlers and formats of a command's log. Only a command that has a log loads them, and `logging` with them."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from quorate.cli.common import logs
from quorate.cli.common.output import document, echo, styled
from quorate.errors import ConfigError, HostError
from quorate.foreign.text import visible

_ROOT = logging.getLogger("quorate")
_OURS = "quorate.cli."
"""What the command line itself logs is on stderr without a log, as progress or as the error."""

_MOST_LETTERS = 4000


def to_file(name: str, form: logs.Form, command: str) -> None:
    """Begins the log in a file. Raises `ConfigError` for one that is not trusted or cannot be opened."""
    from quorate.files import open_log

    try:
        fd = open_log(Path(name).absolute())
    except HostError as error:
        # The user named the file: the command line is wrong, not the host.
        advice = error.own_advice or "check the path given with --log-file"
        raise ConfigError(error.what, state=error.state, advice=advice) from error
    _add(_ToFile(fd, name), form, logging.DEBUG)
    logging.getLogger(logs.__name__).info("%s begins", command, extra={"fields": {"command": command, "pid": os.getpid()}})


def to_stderr(verbosity: int, form: logs.Form) -> None:
    """Begins the log on stderr. `verbosity`: 1 for decisions and what was done, 2 for each request as well."""
    _add(_ToStderr(), form, logging.INFO if verbosity == 1 else logging.DEBUG)


def _add(handler: _Handler, form: logs.Form, level: int) -> None:
    handler.setLevel(level)
    handler.setFormatter(_Json() if form == "json" else _Text())
    _ROOT.addHandler(handler)
    _ROOT.setLevel(min(level, _ROOT.level or level))


def end() -> None:
    """Ends every log of this command line."""
    for handler in [one for one in _ROOT.handlers if isinstance(one, _Handler)]:
        _ROOT.removeHandler(handler)
        handler.close()
    _ROOT.setLevel(logging.NOTSET)


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
