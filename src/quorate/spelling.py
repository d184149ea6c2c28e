"""How texts that advise an option spell it: as a flag on the command line, as an argument where a program calls the library.
Whoever reads one has no use for the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_IN_PYTHON = {
    "--absence": "absence_seconds",
    "--accept-reduced-tolerance": "accept_reduced_tolerance=True",
    "--cacert": "ca",
    "--cert": "cert",
    "--endpoints": "endpoints",
    "--keep-on-failure": "keep_on_failure=True",
    "--key": "key",
    "--password-file": "password",
    "--timeout": "timeout or stall_seconds",
    "--user": "user",
}
"""Options of the command line, and what the library has for them."""


class _Reader:
    """Who reads the texts of this process. No context variable: threads of a command write to the same reader."""

    is_at_command_line = False


@contextmanager
def for_the_command_line() -> Iterator[None]:
    """Spells options as flags during the block."""
    before, _Reader.is_at_command_line = _Reader.is_at_command_line, True
    try:
        yield
    finally:
        _Reader.is_at_command_line = before


def spelled(*flags: str) -> str:
    """Returns the options as whoever runs this process passes them: never call it at import, when that is unknown."""
    return _listed(flags if _Reader.is_at_command_line else [_IN_PYTHON[flag] for flag in flags])


def _listed(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
