"""A word on stderr when a command is silent for long: it would seem stuck."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.report import Message, Report

_SILENT_SECONDS = 2.0
_WAITING = "still waiting: a member does not answer, there is no leader yet, or another removal is at work"


@contextmanager
def saying_that_it_waits(report: Report) -> Iterator[Report]:
    """Yields a report that adds one notice when nothing was reported for two seconds. Waiting for members that hang, or for a
    lost quorum, takes so long."""

    def say() -> None:
        from quorate.report import Notice

        report(Notice(_WAITING))

    with after_silence(say) as stop:

        def heard(message: Message) -> None:
            stop()
            report(message)

        yield heard


@contextmanager
def saying_it_once() -> Iterator[None]:
    """Says the same during the block, for a command that reports nothing. What draws progress is loaded only then: a short
    command never needs it."""

    def say() -> None:
        from quorate.cli.common.progress import progress
        from quorate.report import Notice

        with progress() as report:
            report(Notice(_WAITING))

    with after_silence(say):
        yield


@contextmanager
def after_silence(say: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Calls `say` when the block takes more than two seconds; yields what prevents it."""
    timer = threading.Timer(_SILENT_SECONDS, say)
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()
