"""Rewrites switches with a value (`--hex=true`, `--debug=false`), which Go accepts and click does not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from quorate.foreign.numbers import are_digits

SWITCHES = ("debug", "hex", "insecure-discovery", "insecure-skip-tls-verify", "insecure-transport")
OFF_UNLESS_GIVEN = (
    "abandon-etcd-member",
    "allow-deprecated-api",
    "allow-experimental-api",
    "allow-missing-template-keys",
    "cleanup-tmp-dir",
    "control-plane",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "force",
    "keep-on-failure",
    "occupy-the-seat",
    "print-join-command",
    "print-manifest",
    "show-managed-fields",
    "skip-certificate-key-print",
    "skip-token-print",
    "standby",
    "upload-certs",
)
"""Switches of kubeadm that are off by default: with "=false" they are dropped.
The names are repeated here because start-up must not import all flags."""

_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")
_VERBOSE = r"(?:-v|--v|--verbose)(?:=?([0-9]{1,9}))?|-(v{2,9})"


def plain_flags(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments as click reads them: switches as `--name` or `--no-name`, `-w=table` as two words, and every
    spelling of a verbosity as `--verbose=2`."""
    arguments = list(_with_verbosity(arguments))
    plain = [_plain(argument) for argument in arguments]
    return [part for argument in plain if argument is not None for part in _short_value(argument)]


def _with_verbosity(arguments: Sequence[str]) -> Iterator[str]:
    """Yields the arguments, with `-v`, `-vv`, `-v 2`, `-v=2` and `--v=2` as `--verbose=LEVEL`. kubeadm wants a level, other
    programs none: a number that follows is one, a command that follows is not."""
    left = list(arguments)
    while left:
        argument = left.pop(0)
        # Compiling a pattern costs more than all other arguments together.
        match = re.fullmatch(_VERBOSE, argument) if argument.startswith(("-v", "--v")) else None
        if argument == "--":
            yield from (argument, *left)
            return
        if match is None:
            yield argument
            continue
        level = str(len(match[2])) if match[2] else match[1]
        if level is None:
            level = left.pop(0) if left and are_digits(left[0]) else "1"
        yield f"--verbose={level}"


def _short_value(argument: str) -> list[str]:
    """Splits `-w=table` into two words: Go accepts "=" after a one-letter flag."""
    flag, _, value = argument.partition("=")
    is_short = len(flag) == 2 and flag[0] == "-" and "a" <= flag[1] <= "z"
    return [flag, value] if is_short and value else [argument]


def _plain(argument: str) -> str | None:
    flag, _, value = argument.partition("=")
    name = flag.removeprefix("--").lower()
    if not flag.startswith("--") or name not in (*SWITCHES, *OFF_UNLESS_GIVEN) or value.lower() not in (*_TRUE, *_FALSE):
        return argument
    if value.lower() in _TRUE:
        return flag
    return None if name in OFF_UNLESS_GIVEN else f"--no-{flag.removeprefix('--')}"
