"""What would end the process waits until what belongs together is done."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from quorate.foreign.unbroken import unbroken


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_the_end_of_the_block(number: signal.Signals) -> None:
    came: list[str] = []
    before = signal.signal(number, lambda *_: came.append("signal"))
    try:
        with unbroken():
            for _ in range(3):
                os.kill(os.getpid(), number)
            came.append("done")
        assert came == ["done", "signal"], "it came, and once"
        os.kill(os.getpid(), number)
        assert came == ["done", "signal", "signal"], "the handler is back"
    finally:
        signal.signal(number, before)


def test_one_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with unbroken():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_works_as_it_is() -> None:
    done: list[bool] = []

    def work() -> None:
        with unbroken():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
