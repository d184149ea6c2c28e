"""Command lines of components: kubeadm's defaults, overridden by the user's extra arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from quorate.config.types import Arg
from quorate.config.versions import KubernetesVersion

_KEPT_SINCE = {34: 4, 35: 1}
"""From these patch versions on, and in every later minor version, the user's arguments keep their order, after the defaults
(kubernetes 135400)."""


def merged(defaults: Mapping[str, str], extra: Sequence[Arg], version: KubernetesVersion) -> list[Arg]:
    """Returns the defaults merged with the extra arguments. A name that the user gives drops the default of that name; given
    several times, it comes several times."""
    given = {arg.name for arg in extra}
    base = [Arg(name, value) for name, value in sorted(defaults.items()) if name not in given]
    if version.minor > max(_KEPT_SINCE) or version.patch >= _KEPT_SINCE.get(version.minor, 1 << 30):
        return [*base, *extra]
    return sorted([*base, *extra], key=lambda arg: (arg.name, arg.value))


def command_line(program: str, defaults: Mapping[str, str], extra: Sequence[Arg], version: KubernetesVersion) -> list[str]:
    return [program, *flags(merged(defaults, extra, version))]


def flags(args: Iterable[Arg]) -> list[str]:
    return [f"--{arg.name}={arg.value}" for arg in args]


def value_of(args: Iterable[Arg], name: str, default: str) -> str:
    """Returns the last value given for a flag: the one that the component will use."""
    values = [arg.value for arg in args if arg.name == name]
    return values[-1] if values else default
