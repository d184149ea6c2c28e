"""What saves backups, as a static pod."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.manifests.own_pod import OwnPod, own_pod
from quorate.manifests.pod import Object

_WORK = "/var/tmp"  # noqa: S108  # the pod's own
_MOST_SECONDS = 7 * 86400.0
"""The longest time that the command line takes."""


@dataclass(frozen=True, slots=True)
class BackupPod:
    """`place`: a folder of the node, for the backups. `every`: seconds. `flags`: of `quorate etcd backup run`. `folders`: those
    of the node that the flags name."""

    image: str
    place: str
    every: float
    flags: tuple[str, ...]
    folders: tuple[str, ...]


def backup_pod(pod: BackupPod) -> Object:
    """Returns the Pod. It is never restarted because backups fail; it is not ready while the newest one is older than two
    periods."""
    most_age = min(2 * pod.every, _MOST_SECONDS)
    status = ["quorate", "etcd", "backup", "status", pod.place, f"--max-age={most_age:g}s"]
    probes: Object = {"readinessProbe": {"exec": {"command": status}, "periodSeconds": 60, "timeoutSeconds": 30}}
    command = ("etcd", "backup", "run", pod.place, *pod.flags)
    # A database is read by mapping it: its pages count until they are needed elsewhere.
    made = OwnPod("quorate-backup", pod.image, command, "1Gi", read_only=pod.folders, writable=(pod.place,), own=(_WORK,))
    return own_pod(made, probes)
