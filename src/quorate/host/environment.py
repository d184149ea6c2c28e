"""The environment of the programs that we start: what they need, and none of our secrets.

What a process is started with is in /proc/PID/environ as long as it runs: an etcd that inherits ETCDCTL_PASSWORD keeps it
for months.
"""

from __future__ import annotations

from collections.abc import Mapping

_PASSED_ON = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "GOMAXPROCS",
        "GOMEMLIMIT",
        "GOGC",
    }
)
_OURS = ("ETCDCTL_", "QUORATE_")


def for_programs(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns what programs that we choose get of our environment. etcd itself would refuse a flag that is set both ways."""
    return {name: value for name, value in environment.items() if name in _PASSED_ON}


def for_hooks(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns what the user's own commands get: the user's environment without what is meant for us."""
    return {name: value for name, value in environment.items() if not name.startswith(_OURS)}
