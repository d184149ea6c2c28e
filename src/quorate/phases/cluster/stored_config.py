"""The configuration that a cluster keeps of itself, in ConfigMaps of kube-system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.config import types as v4
from quorate.config.duration import Duration
from quorate.config.load import Loaded, is_unknown_field, loads, noting
from quorate.config.validate import ALGORITHMS
from quorate.config.versions import DEFAULT, NEWEST, OLDEST, parse_version
from quorate.errors import ConfigError, PreflightFailed
from quorate.foreign.documents import Mapping as Tree
from quorate.foreign.documents import read_nodes
from quorate.foreign.values import mapping_of
from quorate.kube.client import KubeClient
from quorate.kube.errors import NotFound
from quorate.report import Notice, Report

_KUBEADM_CONFIG = "kubeadm-config"
_SOURCE = f"ConfigMap kube-system/{_KUBEADM_CONFIG}"


def stored_text(client: KubeClient, name: str, key: str) -> str:
    """Returns a text of a ConfigMap. Raises `PreflightFailed` when there is no such ConfigMap, `ConfigError` when it has no
    such key, and every `KubeError`."""
    try:
        found = client.get("ConfigMap", name, "kube-system")
    except NotFound:
        raise PreflightFailed(
            f"the cluster has no ConfigMap kube-system/{name}: it was not made by kubeadm or quorate",
            state="nothing was changed",
            advice="use the tool that made the cluster",
        ) from None
    text = mapping_of(found.get("data")).get(key)
    if not isinstance(text, str):
        raise ConfigError(f"ConfigMap kube-system/{name} has no {key}", state="nothing was changed")
    return text


def cluster_configuration(client: KubeClient, report: Report) -> Loaded:
    """Returns the stored ClusterConfiguration, without defaults. Fields that a newer tool stored are reported and ignored.
    Raises as `stored_text`, and `ConfigError` when it is not YAML."""
    return understood(cluster_text(client), report)


def cluster_text(client: KubeClient) -> str:
    """Returns the stored ClusterConfiguration as it is. Raises as `stored_text`."""
    return stored_text(client, _KUBEADM_CONFIG, "ClusterConfiguration")


def understood(text: str, report: Report) -> Loaded:
    """Returns what `cluster_configuration` returns, of its text. Raises `ConfigError`, also where other kinds are all that is
    there: defaults would stand for the whole configuration of a cluster."""
    stored = loads(text.encode(), _SOURCE)
    known = noting(stored, is_unknown_field)
    if known.cluster is None:
        raise _no_cluster()
    for note in known.notes[len(stored.notes) :]:
        report(Notice(note, "warning"))
    return known


@dataclass(frozen=True, slots=True)
class CertificateTerms:
    """What a stored configuration says of certificates. `fields`: of a ClusterConfiguration. `are_complete`: the kind of key
    and the validity of new certificates are known as well."""

    fields: Mapping[str, Any]
    are_complete: bool


def certificate_terms(text: str) -> CertificateTerms:
    """Returns what matters to certificates in a configuration that otherwise breaks a rule, or is of an API that we do not
    know: the cluster works with it, and its certificates end all the same. Raises `ConfigError` where the folder of the
    certificates is not known for certain."""
    document = _document(text)
    is_known = document.text("apiVersion") in (v4.V1BETA3, v4.V1BETA4)
    fields: dict[str, Any] = {"etcd": v4.Etcd(external=v4.ExternalEtcd())} if _has_external_etcd(document) else {}
    folder = document.text("certificatesDir")
    if folder or document.get("certificatesDir") is not None or not is_known:
        if not folder.startswith("/") or ".." in folder.split("/"):
            raise ConfigError(f"{_SOURCE}: its certificatesDir cannot be read", state="nothing was changed")
        fields["certificates_dir"] = folder
    for name, key in (("cluster_name", "clusterName"), ("kubernetes_version", "kubernetesVersion")):
        if document.text(key):
            fields[name] = document.text(key)
    if "kubernetes_version" in fields:
        fields["kubernetes_version"] = _nearest(fields["kubernetes_version"])
    try:
        # Of an API that we do not know, a field that is not there may have another name.
        return CertificateTerms(fields | (_new_ones(document) if is_known else {}), are_complete=is_known)
    except ValueError:
        return CertificateTerms(fields, are_complete=False)


def _document(text: str) -> Tree:
    def fault(key: str, what: str, line: int) -> None:
        if key.rpartition(".")[2] == "certificatesDir" or not key:
            raise ConfigError(f"{_SOURCE}, line {line}: {what}", state="nothing was changed")

    for document in read_nodes(text.encode(), _SOURCE, fault):
        is_group = isinstance(document, Tree) and document.text("apiVersion").startswith(f"{v4.GROUP}/")
        if isinstance(document, Tree) and is_group and document.text("kind") == "ClusterConfiguration":
            return document
    raise _no_cluster()


def _no_cluster() -> ConfigError:
    return ConfigError(f"{_SOURCE} has no ClusterConfiguration", state="nothing was changed")


def _has_external_etcd(document: Tree) -> bool:
    etcd = document.get("etcd")
    return isinstance(etcd, Tree) and isinstance(etcd.get("external"), Tree)


def _new_ones(document: Tree) -> dict[str, Any]:
    """Returns the kind of key and the validity of new certificates, where they are given. Raises ValueError."""
    fields: dict[str, Any] = {}
    if document.get("encryptionAlgorithm") is not None:
        fields["encryption_algorithm"] = document.text("encryptionAlgorithm")
        if fields["encryption_algorithm"] not in ALGORITHMS:
            raise ValueError
    if document.get("certificateValidityPeriod") is not None:
        fields["certificate_validity_period"] = Duration.parse(document.text("certificateValidityPeriod"))
        if fields["certificate_validity_period"] <= 0:
            raise ValueError
    return fields


def _nearest(version: str) -> str:
    """Returns the version, or the nearest one whose certificates are known here."""
    try:
        minor = parse_version(version).minor
    except ConfigError:
        return DEFAULT
    return version if OLDEST <= minor <= NEWEST else f"v1.{min(max(minor, OLDEST), NEWEST)}.0"
