"""A program of ours as a static pod: on the host's network, without root's powers; it writes only to what it is given."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.manifests.pod import Object

_STATE, _TMP = "/var/lib/quorate", "/tmp"  # noqa: S108  # the pod's own


@dataclass(frozen=True, slots=True)
class OwnPod:
    """`command`: with its flags. `read_only`: folders of the node that it reads; `writable`: those to which it writes. `own`:
    more folders that are empty when it starts."""

    name: str
    image: str
    command: tuple[str, ...]
    memory: str
    read_only: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


def own_pod(pod: OwnPod, probes: Object) -> Object:
    """Returns the Pod. It has no label of a control-plane component: kubeadm takes every pod with one for a part of its own."""
    read: Object = {"readOnly": True}
    # What is mounted on the node later, as a share may be, is seen in the pod, too.
    written: Object = {"mountPropagation": "HostToContainer"}
    of_node = [
        *((f"certs-{number}", folder, read) for number, folder in enumerate(pod.read_only)),
        *((f"data-{number}", folder, written) for number, folder in enumerate(pod.writable)),
    ]
    own = [(f"own-{number}", folder) for number, folder in enumerate((_STATE, _TMP, *pod.own))]
    container: Object = {
        "name": pod.name,
        "image": pod.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["quorate", *pod.command],
        "env": [{"name": "XDG_STATE_HOME", "value": "/var/lib"}],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": pod.memory}},
        **probes,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            # Keys of other users, as etcd's, are read; nothing else of root's is kept.
            "capabilities": {"add": ["DAC_READ_SEARCH"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            *({"name": name, "mountPath": folder, **how} for name, folder, how in of_node),
            *({"name": name, "mountPath": folder} for name, folder in own),
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name, "namespace": "kube-system", "labels": {"app.kubernetes.io/name": pod.name}},
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [
                *({"name": name, "hostPath": {"path": folder, "type": "Directory"}} for name, folder, _ in of_node),
                *({"name": name, "emptyDir": {}} for name, _ in own),
            ],
        },
    }
