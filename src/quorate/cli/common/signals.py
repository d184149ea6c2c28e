"""Ctrl-C, a SIGTERM or a dropped terminal ask the command to stop; a second one stops the undo as well."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from quorate.cli.common.output import say_while_stopping
from quorate.deadline import Cancel
from quorate.errors import OutcomeUnknown

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def asking() -> Iterator[None]:
    """For a question to the user: the first Ctrl-C ends it, for nothing has begun that would have to be rolled back."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def cancelling(cancel: Cancel) -> Iterator[None]:
    """For the block, turn the signals into a request to stop.

    The handler does nothing but note it: whoever waits notices, so no effect is torn in the middle. The second signal
    leaves at once with exit code 5, for then nobody knows how far the undo came.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if cancel.requested:
            say_while_stopping("stopped in the middle: run the same command again: it looks, and resumes from there")
            os._exit(OutcomeUnknown.exit_code)
        cancel.request(signal.Signals(number).name)
        say_while_stopping("stopping: what can be rolled back is rolled back first (once more to leave at once)")

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
