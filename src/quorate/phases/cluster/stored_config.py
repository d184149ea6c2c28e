"""The configuration that a cluster keeps of itself, in ConfigMaps of kube-system."""

from __future__ import annotations

from quorate.config.load import Loaded, is_unknown_field, loads, noting
from quorate.errors import ConfigError, PreflightFailed
from quorate.foreign.values import mapping_of
from quorate.kube.client import KubeClient
from quorate.kube.errors import NotFound
from quorate.report import Notice, Report

_KUBEADM_CONFIG = "kubeadm-config"


def stored_text(client: KubeClient, name: str, key: str) -> str:
    """Returns a text of a ConfigMap. Raises `PreflightFailed` when there is no such ConfigMap, `ConfigError` when it has no
    such key, and every `KubeError`."""
    try:
        found = client.get("ConfigMap", name, "kube-system")
    except NotFound:
        raise PreflightFailed(
            f"the cluster has no ConfigMap kube-system/{name}: it was not made by kubeadm or quorate",
            state="nothing was changed",
        ) from None
    text = mapping_of(found.get("data")).get(key)
    if not isinstance(text, str):
        raise ConfigError(f"ConfigMap kube-system/{name} has no {key}", state="nothing was changed")
    return text


def cluster_configuration(client: KubeClient, report: Report) -> Loaded:
    """Returns the stored ClusterConfiguration, without defaults. Fields that a newer tool stored are reported and ignored.
    Raises as `stored_text`, and `ConfigError` when it is not YAML."""
    text = stored_text(client, _KUBEADM_CONFIG, "ClusterConfiguration")
    stored = loads(text.encode(), f"ConfigMap kube-system/{_KUBEADM_CONFIG}")
    known = noting(stored, is_unknown_field)
    for note in known.notes[len(stored.notes) :]:
        report(Notice(note, "warning"))
    return known
