"""The common structure of the four static pods, as plain values in the shape of a Pod."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from quorate.config.duration import Duration
from quorate.config.schema import encode
from quorate.config.types import EnvVar

Object: TypeAlias = dict[str, Any]
NAMED_PORT_SINCE = 34
"""From this minor version on probes name their port, and no creationTimestamp is written."""

_PRIORITY = 2_000_001_000
_DEFAULT_WAIT = 240.0


@dataclass(frozen=True, slots=True)
class Probes:
    """The health endpoints of a component. `readiness` is empty where a component has none. `wait_seconds`: how long it may
    take to start."""

    host: str
    port: int
    scheme: str
    liveness: str
    readiness: str
    startup: str
    wait_seconds: float = _DEFAULT_WAIT


@dataclass(frozen=True, slots=True)
class Mount:
    """A path of the host, mounted at `target` in the container (the same path when empty). `kind`: the hostPath's type; a
    user's empty one is written as such."""

    name: str
    path: str
    kind: str = "DirectoryOrCreate"
    read_only: bool = True
    target: str = ""


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A component as a static pod; `mounts` in the order of the container's list."""

    name: str
    image: str
    command: Sequence[str]
    probes: Probes
    mounts: Sequence[Mount]
    requests: Mapping[str, str]
    env: Sequence[EnvVar]
    annotations: Mapping[str, str]
    minor: int


def wait_of(given: Duration | None) -> float:
    return given.seconds if given is not None else _DEFAULT_WAIT


def static_pod(spec: PodSpec) -> Object:
    """Returns the Pod as kubeadm of that minor version writes it."""
    metadata: Object = {"name": spec.name, "namespace": "kube-system"}
    metadata["labels"] = {"component": spec.name, "tier": "control-plane"}
    if spec.annotations:
        metadata["annotations"] = dict(spec.annotations)
    if spec.minor < NAMED_PORT_SINCE:
        metadata["creationTimestamp"] = None
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [_container(spec)],
            "hostNetwork": True,
            "priority": _PRIORITY,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [_volume(mount) for mount in sorted(spec.mounts, key=lambda mount: mount.name)],
        },
        "status": {},
    }


def _container(spec: PodSpec) -> Object:
    found: Object = {
        "name": spec.name,
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(spec.command),
        "resources": {"requests": dict(spec.requests)},
        "volumeMounts": [_volume_mount(mount) for mount in spec.mounts],
        **_probes(spec.probes, spec.minor),
    }
    if spec.env:
        found["env"] = [encode(variable) for variable in spec.env]
    if spec.minor >= NAMED_PORT_SINCE:
        found["ports"] = [{"containerPort": spec.probes.port, "name": "probe-port", "protocol": "TCP"}]
    return found


def _probes(probes: Probes, minor: int) -> Object:
    port: int | str = "probe-port" if minor >= NAMED_PORT_SINCE else probes.port

    def probe(path: str, **numbers: int) -> Object:
        get: Object = {"path": path, "port": port, "scheme": probes.scheme}
        if probes.host:
            get["host"] = probes.host
        return {"httpGet": get, "timeoutSeconds": 15, **numbers}

    tries = math.ceil(probes.wait_seconds / 10)
    found = {
        "livenessProbe": probe(probes.liveness, initialDelaySeconds=10, failureThreshold=8, periodSeconds=10),
        "startupProbe": probe(probes.startup, initialDelaySeconds=10, failureThreshold=tries, periodSeconds=10),
    }
    if probes.readiness:
        found["readinessProbe"] = probe(probes.readiness, failureThreshold=3, periodSeconds=1)
    return found


def _volume(mount: Mount) -> Object:
    return {"name": mount.name, "hostPath": {"path": mount.path, "type": mount.kind}}


def _volume_mount(mount: Mount) -> Object:
    found: Object = {"name": mount.name, "mountPath": mount.target or mount.path}
    if mount.read_only:
        found["readOnly"] = True
    return found
