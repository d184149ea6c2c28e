"""Takes the messages of a stream as they come, and notices when none come any more."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from quorate.deadline import Cancel

T = TypeVar("T")
_HELD = 4
"""Messages, or what was made of many, that wait for the reader: a megabyte each of a snapshot."""
_SLICE_SECONDS = 0.1


class SilentStreamError(Exception):
    """A stream brought nothing for too long."""


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def pumped(source: Iterable[T], silence: float, cancel: Cancel | None) -> Iterator[T]:
    """Yields what a thread reads from `source`, and raises what that raises. Raises `SilentStreamError` where nothing came for
    `silence` seconds, and what a stop raises: in a read of the stream itself neither would be noticed. The caller ends the
    source."""
    arrived: queue.Queue[T | _End] = queue.Queue(_HELD)
    is_left = threading.Event()

    def hand_over(one: T | _End) -> None:
        while not is_left.is_set():
            try:
                arrived.put(one, timeout=_SLICE_SECONDS)
            except queue.Full:
                continue
            return

    def pump() -> None:
        try:
            for one in source:
                if is_left.is_set():
                    return
                hand_over(one)
        except BaseException as error:
            hand_over(_End(error))
        else:
            hand_over(_End(None))

    threading.Thread(target=pump, daemon=True).start()
    try:
        yield from _taken(arrived, silence, cancel)
    finally:
        is_left.set()


def _taken(arrived: queue.Queue[T | _End], silence: float, cancel: Cancel | None) -> Iterator[T]:
    heard = time.monotonic()
    while True:
        try:
            one = arrived.get(timeout=_SLICE_SECONDS)
        except queue.Empty:
            if cancel is not None and cancel.pending:
                cancel.check()
            if time.monotonic() - heard > silence:
                raise SilentStreamError from None
            continue
        if isinstance(one, _End):
            if one.error is not None:
                raise one.error
            return
        if cancel is not None and cancel.pending:
            cancel.check()
        yield one
        heard = time.monotonic()
