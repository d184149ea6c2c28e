"""Progress on stderr: a live table of the joining members on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from quorate.cli.common import terminal
from quorate.cli.common.logs import Logs
from quorate.cli.common.output import echo, size, styled
from quorate.foreign.text import visible
from quorate.report import Event, Message, Notice, Report

_SECOND = 1.0

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text


@contextmanager
def progress() -> Iterator[Report]:
    """Yields a report that draws on stderr during the block, as plain lines where a log is between them. With --quiet it shows
    warnings only."""
    with ExitStack() as opened:
        is_live = terminal.draws(err=True) and not Logs.verbosity
        shown: Report = _LiveProgress(opened) if is_live else PlainProgress()

        def report(message: Message) -> None:
            log_message(message)
            if is_shown(message):
                shown(message)

        yield report


def dated_lines(message: Message) -> None:
    """Reports each message as a line of a log, with its time in UTC: for a run without an end."""
    from quorate.deadline import utc

    log_message(message)
    if not is_shown(message):
        return
    at = (utc(time.time()) or "").partition(".")[0]
    match message:
        case Notice():
            echo(f"{at}Z ", *_notice(message), err=True)
        case Event(member=member, phase=phase):
            echo(f"{at}Z {member} {phase}: {describe(message)}", err=True)


def is_shown(message: Message) -> bool:
    """Returns whether a message is for stderr: with --quiet only warnings are."""
    return not Logs.quiet or (isinstance(message, Notice) and message.level == "warning")


def log_message(message: Message) -> None:
    """Logs what is shown as progress. A log on stderr leaves it out: it would be there twice."""
    from quorate.loggers import logger

    log = logger(__name__)
    match message:
        case Notice(text=text, level=level):
            (log.warning if level == "warning" else log.info)("%s", text)
        case Event(phase=phase, member=member):
            fields = {key: value for key, value in asdict(message).items() if value is not None}
            log.info("%s %s: %s", member, phase, describe(message), extra={"fields": fields})


def describe(event: Event) -> str:
    """Returns an event's text with its numbers: lag, bytes received, rate, time left."""
    parts = [event.text]
    if event.lag_entries is not None and event.phase == "catch-up":
        behind = f"{event.lag_entries} entries behind"
        parts.append(behind if not event.lag_seconds else f"{behind} ({event.lag_seconds:g} s)")
        if event.received_bytes and event.total_bytes:
            parts.append(f"{size(event.received_bytes)} of {size(event.total_bytes)}")
    elif event.lag_entries is None and event.received_bytes is not None and event.total_bytes:
        parts.append(f"{size(event.received_bytes)} of {size(event.total_bytes)}")
        if event.bytes_per_second:
            parts.append(f"{size(event.bytes_per_second)}/s")
        if event.eta_seconds:
            parts.append(f"about {event.eta_seconds:.0f} s left")
    shown = ", ".join(dict.fromkeys(parts))
    return shown if event.seconds_left is None else f"{shown}; {event.seconds_left} s left"


@dataclass(slots=True)
class PlainProgress:
    """Prints one line per event. A member's line is not repeated within a second when only its numbers changed, and
    within ten when these count down."""

    began: float = field(default_factory=time.monotonic)
    _last: dict[str, tuple[str, float]] = field(default_factory=dict[str, tuple[str, float]])

    def __call__(self, message: Message) -> None:
        if isinstance(message, Notice):
            echo(*_notice(message), err=True)
            return
        now, told = time.monotonic(), f"{message.phase} {message.text}"
        before, at = self._last.get(message.member, ("", 0.0))
        if told == before and now - at < (_SECOND if message.seconds_left is None else 10 * _SECOND):
            return
        self._last[message.member] = (told, now)
        echo(f"{now - self.began:6.1f} s  {message.member:<4} {message.phase:<9} {describe(message)}", err=True)


def _color(notice: Notice) -> str:
    return "yellow" if notice.level == "warning" else "cyan"


def _notice(notice: Notice) -> tuple[str, str]:
    return styled(f"{notice.level}:", fg=_color(notice)), f" {notice.text}"


def drawn(text: str, style: str = "") -> Text:
    """Returns `text` for rich: markup in it, as in a member's name, is not interpreted, and control characters are escaped."""
    from rich.text import Text

    return Text(visible(text), style=style)


@dataclass(slots=True)
class _LiveProgress:
    """Redraws a table of the members. The display begins with the first event: a command that has no progress to show would
    leave escape codes and an empty line behind. Reports come from several threads."""

    opened: ExitStack
    began: float = field(default_factory=time.monotonic)
    _live: Live | None = None
    _rows: dict[str, tuple[Event, float]] = field(default_factory=dict[str, tuple[Event, float]])
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, message: Message) -> None:
        with self._one_at_a_time:
            if isinstance(message, Event):
                self._rows[message.member] = (message, time.monotonic() - self.began)
                self._display().update(self._table())
            elif self._live is None:
                echo(*_notice(message), err=True)
            else:
                self._live.console.print(drawn(f"{message.level}: ", style=_color(message)) + drawn(message.text))

    def _display(self) -> Live:
        if self._live is None:
            from rich.live import Live

            # What goes to stdout is the result. Into a pipe it must not be drawn above the display, on stderr.
            live = Live(console=terminal.console(err=True), refresh_per_second=8, redirect_stdout=terminal.draws())
            self._live = self.opened.enter_context(live)
        return self._live

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for header in ("MEMBER", "PHASE", "AFTER", "STATUS"):
            table.add_column(header, no_wrap=header != "STATUS", overflow="fold")
        for name, (event, at) in self._rows.items():
            table.add_row(*map(drawn, (name, event.phase, f"{at:.1f} s", describe(event))))
        return table
