"""The kubelets that run on this host, by their command lines: what a process was given counts more than files that were edited
since it was started."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass

from quorate.host import proc

_NAME = "kubelet"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunningKubelet:
    """The words that a kubelet was started with, and the folder that it runs in."""

    words: tuple[str, ...]
    folder: str


def running_kubelets() -> list[RunningKubelet]:
    """Returns the kubelets of root that share this host's network, and see its root: one of a node in a container is no other's
    business. A unit may give its own view of some folders to one of this host (PrivateTmp)."""
    here, found = _sees(os.getpid()), []
    for pid in proc.pids():
        words = proc.command_line(pid, _MOST_BYTES)
        # A script that starts it may be the first word: `sh /srv/kubelet`.
        is_one = any(_is_kubelet(posixpath.basename(word)) for word in words[:2])
        if is_one and _sees(pid) == here and proc.real_uid(pid) == 0:
            found.append(RunningKubelet(tuple(words), proc.working_folder(pid) or "/"))
    return found


def _is_kubelet(name: str) -> bool:
    """Returns whether a program is called so, also with a version: `kubelet-v1.34.2`."""
    return name == _NAME or name.startswith((f"{_NAME}-", f"{_NAME}_", f"{_NAME}."))


def _sees(pid: int) -> tuple[str | None, str | None]:
    return proc.network_namespace(pid), proc.root(pid)
