"""Ctrl-C, SIGTERM or a closed terminal asks the command to stop; a second signal also stops the undo (decision 5)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from quorate.cli.common.output import say_while_stopping
from quorate.deadline import Cancel
from quorate.errors import OutcomeUnknown

_IN_THE_MIDDLE = (
    "stopped in the middle, outcome unknown: run the same command again, it looks and resumes; "
    "'quorate etcd unlock' shows joins that were cut off"
)
_ROLLING_BACK = "rolling back what can be rolled back"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def asking() -> Iterator[None]:
    """Lets the first Ctrl-C end the command during a question to the user: nothing has begun that needs a rollback."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def cancelling(cancel: Cancel, first: str = _ROLLING_BACK) -> Iterator[None]:
    """Turns the signals into a request to stop, during the block. `first`: what the command does before it ends.

    The handler only records the request. Code that waits checks it, so no effect is cut off in the middle. The second signal
    exits at once with code 5, because it is then unknown how far the undo got.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if cancel.requested:
            say_while_stopping(_IN_THE_MIDDLE, OutcomeUnknown("stopped in the middle", state=_IN_THE_MIDDLE).as_dict())
            os._exit(OutcomeUnknown.exit_code)
        cancel.request(signal.Signals(number).name)
        say_while_stopping(f"stopping: {first} (a second signal exits at once)")

    with _handled_by(handle):
        yield


@contextmanager
def ending(cancel: Cancel) -> Iterator[None]:
    """Turns the signals into a request to stop a command that only reads, during the block. Nothing is rolled back, so there is
    nothing to say; a second signal ends it where it is, by way of whatever restores the terminal."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if cancel.requested:
            raise KeyboardInterrupt
        cancel.request(signal.Signals(number).name)

    with _handled_by(handle):
        yield


@contextmanager
def _handled_by(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
