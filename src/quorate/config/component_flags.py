"""Which flags a component has in which version.

The table is `component_flags.json`, which engines/component_flags.py writes from sources and from the built programs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from quorate.core.suggestions import close, did_you_mean
from quorate.foreign.documents import read_object

_TABLE = Path(__file__).with_name("component_flags.json")
ETCD = "etcd"
_ETCD_SERIES = range(4, 8)


@lru_cache(maxsize=1)
def table() -> dict[str, dict[str, int | None]]:
    """Returns the flags of each component, with the last minor that has them; None when the newest has."""
    found: Any = read_object(_TABLE.read_bytes(), _TABLE.name)
    return dict(found)


def written(name: str) -> str:
    """Returns a flag's name as components register it: Kubernetes' take _ for -."""
    return name.replace("_", "-")


def gone(component: str, minor: int, name: str) -> str | None:
    """Returns what is wrong with a flag that this version no longer has; None for any other. `minor`: of Kubernetes, or of
    etcd 3."""
    last = table()[component].get(written(name))
    if last is None or last >= minor:
        return None
    return f"--{name} is no flag of {_of(component, minor)}: the last that had it is {_version(component, last)}"


def unknown(component: str, name: str) -> str | None:
    """Returns a doubt about a flag that no version in the table has; None for a flag that some version has. It is a doubt only:
    a component that was built by somebody else can have flags of its own."""
    known = table()[component]
    if written(name) in known:
        return None
    if name.startswith("-"):
        return f"{name!r}: an argument is named without dashes in front"
    present = [flag for flag, last in known.items() if last is None]
    # Who had a flag that went is not helped by one that looks like it: --secure-port=0 is not --insecure-port=0.
    went = any(written(name) in flags for flags in table().values())
    question = "" if went else did_you_mean([f"--{one}" for one in close(written(name), present)[:1]])
    oldest = "etcd 3.4" if component == ETCD else "Kubernetes 1.20"
    return f"{component} is not known to have a flag --{name} in any version from {oldest} on" + (
        f"; {question}" if question else ""
    )


def etcd_minor(version: tuple[int, int, int] | None) -> int | None:
    """Returns the minor of an etcd whose flags are known; None for any other, and for an image whose tag is no version."""
    return version[1] if version is not None and version[0] == 3 and version[1] in _ETCD_SERIES else None


def _of(component: str, minor: int) -> str:
    return f"etcd 3.{minor}" if component == ETCD else f"{component} in Kubernetes 1.{minor}"


def _version(component: str, minor: int) -> str:
    return f"3.{minor}" if component == ETCD else f"1.{minor}"
