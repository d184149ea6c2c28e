"""The environment of the programs that we start: what they need, and none of our secrets.

/proc/PID/environ shows the initial environment as long as a process runs: an etcd that inherits ETCDCTL_PASSWORD shows it for
months.
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
    """Returns the variables that our own programs get. etcd refuses to start with a flag that a variable sets too."""
    return {name: value for name, value in environment.items() if name in _PASSED_ON}


def for_hooks(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of the user's own commands: the user's, without the variables that are meant for us."""
    return {name: value for name, value in environment.items() if not name.startswith(_OURS)}
