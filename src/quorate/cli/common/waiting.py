"""Words on stderr when a command is silent for long: it would seem stuck. They name what is waited for, where that is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.deadline import SystemClock
    from quorate.etcd.client.connections import Access
    from quorate.report import Message, Report

_SILENT_SECONDS = 2.0
_AGAIN_SECONDS = 5.0
_LATE_SECONDS = 1.0
_MOST_NAMED = 5


@contextmanager
def saying_what_is_waited_for(report: Report, what: Callable[[], str]) -> Iterator[Report]:
    """Yields a report that adds a notice when nothing was reported for two seconds, and again every five seconds of silence.
    `what` returns what is waited for then; empty where that is unknown."""

    def say(seconds: float) -> None:
        from quorate.report import Notice

        report(Notice(_words(seconds, what())))

    with after_silence(say) as stir:

        def heard(message: Message) -> None:
            stir()
            report(message)

        yield heard


@contextmanager
def saying_it_alone(what: Callable[[], str]) -> Iterator[None]:
    """Says the same during the block, for a command that reports nothing. What draws progress is loaded only then: a short
    command never needs it."""

    def say(seconds: float) -> None:
        from quorate.cli.common.progress import progress
        from quorate.report import Notice

        with progress() as report:
            report(Notice(_words(seconds, what())))

    with after_silence(say):
        yield


def _words(seconds: float, what: str) -> str:
    return f"still waiting, {seconds:.0f} s{f': {what}' if what else ''}"


def waited_for(clock: SystemClock | None, access: Access | None) -> str:
    """Returns what a run waits for now: the members that owe an answer, each with the request, or else the goal of its wait."""
    late = access.unanswered(_LATE_SECONDS) if access else []
    if late:
        more = f" and {len(late) - _MOST_NAMED} more" if len(late) > _MOST_NAMED else ""
        return f"no answer yet from {', '.join(late[:_MOST_NAMED])}{more}"
    goals = clock.goals[-1:] if clock else []
    return f"until {goals[0]}" if goals else ""


_MOST_JOIN_SECONDS = 0.5


@contextmanager
def after_silence(say: Callable[[float], None]) -> Iterator[Callable[[], None]]:
    """Calls `say` with the seconds since the block began: when it is silent for two seconds, and every five seconds of silence
    after that. Yields what ends a silence."""
    began = time.monotonic()
    heard, ended = [began], threading.Event()

    def watch() -> None:
        due = began + _SILENT_SECONDS
        while not ended.wait(max(0.0, due - time.monotonic())):
            now, since = time.monotonic(), heard[0]
            quiet = _SILENT_SECONDS if since == began else _AGAIN_SECONDS
            if now - since < quiet:
                due = since + quiet
                continue
            say(now - began)
            due = began + _AGAIN_SECONDS * ((now - began) // _AGAIN_SECONDS + 1)

    def stir() -> None:
        heard[0] = time.monotonic()

    thread = threading.Thread(target=watch, name="quorate-waiting", daemon=True)
    thread.start()
    try:
        yield stir
    finally:
        ended.set()
        # Not for ever: a reader of stderr that has stopped reading would hold up the result.
        thread.join(_MOST_JOIN_SECONDS)
