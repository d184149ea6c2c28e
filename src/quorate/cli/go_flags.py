"""Go spells the values of switches out (`--hex=true`, `--debug=false`); click does not read that."""

from __future__ import annotations

import re
from collections.abc import Sequence

SWITCHES = ("debug", "hex", "insecure-discovery", "insecure-skip-tls-verify", "insecure-transport")
_SPELLED_OUT = re.compile(rf"--({'|'.join(SWITCHES)})=(true|false|1|0|t|f)", re.IGNORECASE)


def plain_flags(arguments: Sequence[str]) -> list[str]:
    """The arguments as click reads them: switches as `--name` or `--no-name`, `-w=table` as two words."""
    return [part for argument in arguments for part in _short_value(_plain(argument))]


def _short_value(argument: str) -> list[str]:
    """Go lets a value follow a one-letter flag behind "=": -w=table."""
    match = re.fullmatch(r"(-[a-z])=(.+)", argument, re.DOTALL)
    return [match[1], match[2]] if match else [argument]


def _plain(argument: str) -> str:
    match = _SPELLED_OUT.fullmatch(argument)
    if match is None:
        return argument
    return f"--{match[1]}" if match[2].lower() in ("true", "1", "t") else f"--no-{match[1]}"
