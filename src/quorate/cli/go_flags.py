"""Go spells the values of switches out (`--hex=true`, `--debug=false`); click does not read that."""

from __future__ import annotations

import re
from collections.abc import Sequence

SWITCHES = ("debug", "hex", "insecure-discovery", "insecure-skip-tls-verify", "insecure-transport")
_SPELLED_OUT = re.compile(rf"--({'|'.join(SWITCHES)})=(true|false|1|0|t|f)", re.IGNORECASE)


def plain_flags(arguments: Sequence[str]) -> list[str]:
    """The arguments with etcdctl's switches as `--name` or `--no-name`; everything else stays as it is."""
    return [_plain(argument) for argument in arguments]


def _plain(argument: str) -> str:
    match = _SPELLED_OUT.fullmatch(argument)
    if match is None:
        return argument
    return f"--{match[1]}" if match[2].lower() in ("true", "1", "t") else f"--no-{match[1]}"
