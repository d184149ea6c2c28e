"""Roles and bindings that kubeadm creates, by phase. Pure."""

from __future__ import annotations

from quorate.kube.resources import Object, new

TOKEN_GROUP = "system:bootstrappers:kubeadm:default-node-token"  # noqa: S105
NODES = "system:nodes"
CLUSTER_ADMINS = "kubeadm:cluster-admins"
_GROUP = "rbac.authorization.k8s.io"


def _subject(kind: str, name: str) -> Object:
    return {"apiGroup": _GROUP, "kind": kind, "name": name}


def _ref(kind: str, name: str) -> Object:
    return {"apiGroup": _GROUP, "kind": kind, "name": name}


def _rule(resources: list[str], verbs: list[str], names: list[str] | None = None, groups: str = "") -> Object:
    found: Object = {"apiGroups": [groups], "resources": resources, "verbs": verbs}
    return {**found, "resourceNames": names} if names else found


def cluster_binding(name: str, role: str, subject: Object) -> Object:
    """Returns a binding of a cluster role to one subject."""
    return new("ClusterRoleBinding", name, roleRef=_ref("ClusterRole", role), subjects=[subject])


def cluster_admins() -> Object:
    """Returns the binding that gives admin.conf all rights, since 1.29."""
    return cluster_binding(CLUSTER_ADMINS, "cluster-admin", _subject("Group", CLUSTER_ADMINS))


def readers(name: str, namespace: str, resource: str, what: str, groups: list[str]) -> list[Object]:
    """Returns a role that may get one object, and its binding to groups."""
    role = new("Role", name, namespace, rules=[_rule([resource], ["get"], [what])])
    subjects = [_subject("Group", group) for group in groups]
    return [role, new("RoleBinding", name, namespace, roleRef=_ref("Role", name), subjects=subjects)]


def kubeadm_config() -> list[Object]:
    return readers("kubeadm:nodes-kubeadm-config", "kube-system", "configmaps", "kubeadm-config", [TOKEN_GROUP, NODES])


def kubelet_config() -> list[Object]:
    return readers("kubeadm:kubelet-config", "kube-system", "configmaps", "kubelet-config", [NODES, TOKEN_GROUP])


def kubeadm_certs() -> list[Object]:
    return readers("kubeadm:kubeadm-certs", "kube-system", "secrets", "kubeadm-certs", [TOKEN_GROUP])


def cluster_info() -> list[Object]:
    """Returns the role and binding that let anonymous users read cluster-info."""
    name = "kubeadm:bootstrap-signer-clusterinfo"
    role = new("Role", name, "kube-public", rules=[_rule(["configmaps"], ["get"], ["cluster-info"])])
    anybody = [_subject("User", "system:anonymous")]
    return [role, new("RoleBinding", name, "kube-public", roleRef=_ref("Role", name), subjects=anybody)]


def node_bootstrap() -> list[Object]:
    """Returns the rights of nodes that log in with a token, and with their own certificate."""
    tokens, nodes = _subject("Group", TOKEN_GROUP), _subject("Group", NODES)
    requests = "system:certificates.k8s.io:certificatesigningrequests"
    return [
        new("ClusterRole", "kubeadm:get-nodes", rules=[_rule(["nodes"], ["get"])]),
        cluster_binding("kubeadm:get-nodes", "kubeadm:get-nodes", tokens),
        cluster_binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", tokens),
        cluster_binding("kubeadm:node-autoapprove-bootstrap", f"{requests}:nodeclient", tokens),
        cluster_binding("kubeadm:node-autoapprove-certificate-rotation", f"{requests}:selfnodeclient", nodes),
    ]


def coredns() -> list[Object]:
    role = new(
        "ClusterRole",
        "system:coredns",
        rules=[
            _rule(["endpoints", "services", "pods", "namespaces"], ["list", "watch"]),
            _rule(["endpointslices"], ["list", "watch"], groups="discovery.k8s.io"),
        ],
    )
    account = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    return [role, cluster_binding("system:coredns", "system:coredns", account)]


def kube_proxy() -> list[Object]:
    account = {"kind": "ServiceAccount", "name": "kube-proxy", "namespace": "kube-system"}
    return [
        cluster_binding("kubeadm:node-proxier", "system:node-proxier", account),
        *readers("kube-proxy", "kube-system", "configmaps", "kube-proxy", [TOKEN_GROUP]),
    ]
