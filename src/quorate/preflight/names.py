"""The names of kubeadm's checks, for --ignore-preflight-errors. kubeadm accepts any word there; a mistyped one is warned of."""

from __future__ import annotations

from collections.abc import Iterable

from quorate.core.suggestions import close, did_you_mean

CHECKS = (
    "all",
    "none",
    "ClockSkew",
    "ContainerRuntimeVersion",
    "ControlPlaneNodesReady",
    "CoreDNSMigration",
    "CoreDNSUnsupportedPlugins",
    "CRI",
    "CreateJob",
    "ExternalEtcdClientCertificates",
    "ExternalEtcdVersion",
    "Firewalld",
    "Hostname",
    "HTTPProxy",
    "HTTPProxyCIDR",
    "ImagePull",
    "IsDockerSystemdCheck",
    "IsPrivilegedUser",
    "KubeletVersion",
    "KubernetesVersion",
    "Mem",
    "NumCPU",
    "Service-Docker",
    "Service-Kubelet",
    "StaticPodManifest",
    "Swap",
    "SystemVerification",
)
"""Those of every release from 1.29 to 1.37, and ours; a release without a check ignores its name as kubeadm does."""

FAMILIES = ("DirAvailable-", "FileAvailable-", "FileContent-", "FileExisting-", "Port-")
"""Beginnings of names that end with a path, a program or a port."""

_BY_LETTERS = {name.lower(): name for name in (*CHECKS, *FAMILIES)}


def doubts(ignored: Iterable[str]) -> list[str]:
    """Returns a warning for each name that no check has, in any case of its letters."""
    return [_doubt(name) for name in ignored if not _is_known(name.lower())]


def _is_known(name: str) -> bool:
    return name in _BY_LETTERS or name.startswith(tuple(map(str.lower, FAMILIES)))


def _doubt(name: str) -> str:
    family, dash, end = name.partition("-")
    found = [_BY_LETTERS[one] for one in close(f"{family}{dash}".lower(), _BY_LETTERS) or close(name.lower(), _BY_LETTERS)][:1]
    question = did_you_mean([f"{one}{end}" if one.endswith("-") else one for one in found])
    return f"no preflight check is called {name}, so that nothing is ignored by it{f': {question}' if question else ''}"
