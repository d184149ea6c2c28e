"""The autopilot as a static pod."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.manifests.pod import Object

_NAME = "quorate-autopilot"
_WRITABLE = {"state": "/var/lib/quorate", "tmp": "/tmp"}  # noqa: S108  # the pod's own


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
    mounts = [(f"certs-{number}", folder) for number, folder in enumerate(pod.folders)]

    def probe(path: str, **numbers: int) -> Object:
        return {"httpGet": {"host": pod.host, "path": path, "port": pod.port}, "timeoutSeconds": 5, **numbers}

    container: Object = {
        "name": _NAME,
        "image": pod.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["quorate", "autopilot", "run", *pod.flags],
        "env": [{"name": "XDG_STATE_HOME", "value": "/var/lib"}],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "livenessProbe": probe("/livez", initialDelaySeconds=15, periodSeconds=15, failureThreshold=8),
        "readinessProbe": probe("/readyz", periodSeconds=5, failureThreshold=3),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            # Keys of other users, as etcd's, are read; nothing else of root's is kept.
            "capabilities": {"add": ["DAC_READ_SEARCH"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            *({"name": name, "mountPath": folder, "readOnly": True} for name, folder in mounts),
            *({"name": name, "mountPath": folder} for name, folder in _WRITABLE.items()),
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        # No label of a control-plane component: kubeadm takes every pod with one for a part of its own.
        "metadata": {"name": _NAME, "namespace": "kube-system", "labels": {"app.kubernetes.io/name": _NAME}},
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [
                *({"name": name, "hostPath": {"path": folder, "type": "Directory"}} for name, folder in mounts),
                *({"name": name, "emptyDir": {}} for name in _WRITABLE),
            ],
        },
    }
