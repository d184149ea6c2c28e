"""Holds back what would end this process, for the few system calls that belong together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXCPU),
)
"""All that end a process, but for those that cannot be held, and those by which the kernel says that it is broken."""


@contextmanager
def unbroken() -> Iterator[None]:
    """Lets the block end before Ctrl-C, SIGTERM or another signal that ends this process counts: half of it would be a key with
    another's certificate. They are given afterwards as they came. Outside the main thread, to which Python gives signals,
    nothing is held back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _ENDING}
    # None: set by something that is not Python.
    held = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    for number in held:
        signal.signal(number, lambda got, _: came.append(got))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for got in dict.fromkeys(came):
            signal.raise_signal(got)
