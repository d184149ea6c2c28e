"""The autopilot as a static pod."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.manifests.own_pod import OwnPod, own_pod
from quorate.manifests.pod import Object


@dataclass(frozen=True, slots=True)
class AutopilotPod:
    """`flags`: of `quorate autopilot run`. `host`, `port`: where it serves its health, on this node. `folders`: the folders of
    the certificates that the flags name."""

    image: str
    flags: tuple[str, ...]
    host: str
    port: int
    folders: tuple[str, ...]


def autopilot_pod(pod: AutopilotPod) -> Object:
    """Returns the Pod. It restarts when no look has ended for long, and never because etcd is down."""

    def probe(path: str, **numbers: int) -> Object:
        return {"httpGet": {"host": pod.host, "path": path, "port": pod.port}, "timeoutSeconds": 5, **numbers}

    probes = {
        "livenessProbe": probe("/livez", initialDelaySeconds=15, periodSeconds=15, failureThreshold=8),
        "readinessProbe": probe("/readyz", periodSeconds=5, failureThreshold=3),
    }
    command = ("autopilot", "run", *pod.flags)
    return own_pod(OwnPod("quorate-autopilot", pod.image, command, "512Mi", read_only=pod.folders), probes)
