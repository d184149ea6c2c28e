"""Paths of objects in the API, from their kinds and names. No I/O."""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io/v1"
_KINDS: dict[str, tuple[str, str, bool]] = {
    "ClusterRole": (_RBAC, "clusterroles", False),
    "ClusterRoleBinding": (_RBAC, "clusterrolebindings", False),
    "ConfigMap": ("v1", "configmaps", True),
    "DaemonSet": ("apps/v1", "daemonsets", True),
    "Deployment": ("apps/v1", "deployments", True),
    "Node": ("v1", "nodes", False),
    "Pod": ("v1", "pods", True),
    "Role": (_RBAC, "roles", True),
    "RoleBinding": (_RBAC, "rolebindings", True),
    "Secret": ("v1", "secrets", True),
    "Service": ("v1", "services", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
}
"""Kind to API version, plural, and whether the kind is namespaced."""


def api_version(kind: str) -> str:
    """Returns the API version of a kind."""
    return _KINDS[kind][0]


def collection(kind: str, namespace: str = "") -> str:
    """Returns the path of all objects of a kind, or of those in one namespace."""
    version, plural, namespaced = _KINDS[kind]
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespaced and namespace else f"{root}/{plural}"


def path(kind: str, name: str, namespace: str = "") -> str:
    """Returns the path of an object."""
    return f"{collection(kind, namespace)}/{name}"


def path_of(value: Object) -> str:
    """Returns the path of an object that is a value."""
    metadata = value["metadata"]
    return path(value["kind"], metadata["name"], metadata.get("namespace", ""))


def new(kind: str, name: str, namespace: str = "", **fields: Any) -> Object:
    """Returns an object with its kind, API version and metadata."""
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version(kind), "kind": kind, "metadata": metadata, **fields}
