"""Holds back what would end this process, for the few system calls that belong together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NOT_HELD = frozenset(
    {
        *(signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS),
        *(signal.SIGWINCH, signal.SIGURG),
    }
)
"""What cannot be held, what ends no process, and what says that this one is broken."""
_ENDING = tuple(sorted(signal.valid_signals() - _NOT_HELD))


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
