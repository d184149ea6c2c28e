"""Rewrites switches with a value (`--hex=true`, `--debug=false`), which Go accepts and click does not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

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
    "print-join-command",
    "print-manifest",
    "show-managed-fields",
    "skip-certificate-key-print",
    "skip-token-print",
    "upload-certs",
)
"""Switches of kubeadm that are off by default: with "=false" they are dropped.
The names are repeated here because start-up must not import all flags."""

_SPELLED_OUT = re.compile(rf"--({'|'.join((*SWITCHES, *OFF_UNLESS_GIVEN))})=(true|false|1|0|t|f)", re.IGNORECASE)


_VERBOSE = re.compile(r"(?:-v|--v|--verbose)(?:=?([0-9]{1,9}))?|-(v{2,9})")


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
        match = _VERBOSE.fullmatch(argument)
        if argument == "--":
            yield from (argument, *left)
            return
        if match is None:
            yield argument
            continue
        level = str(len(match[2])) if match[2] else match[1]
        if level is None:
            level = left.pop(0) if left and left[0].isascii() and left[0].isdigit() else "1"
        yield f"--verbose={level}"


def _short_value(argument: str) -> list[str]:
    """Splits `-w=table` into two words: Go accepts "=" after a one-letter flag."""
    match = re.fullmatch(r"(-[a-z])=(.+)", argument, re.DOTALL)
    return [match[1], match[2]] if match else [argument]


def _plain(argument: str) -> str | None:
    match = _SPELLED_OUT.fullmatch(argument)
    if match is None:
        return argument
    if match[2].lower() in ("true", "1", "t"):
        return f"--{match[1]}"
    return None if match[1].lower() in OFF_UNLESS_GIVEN else f"--no-{match[1]}"
