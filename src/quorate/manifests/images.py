"""The image of each component, by the version of Kubernetes and the configuration."""

from __future__ import annotations

from quorate.config.defaults import IMAGE_REPOSITORY
from quorate.config.etcd_image import etcd_tag
from quorate.config.types import ClusterConfiguration, LocalEtcd
from quorate.config.versions import Tags, parse_version, tags_for

CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def component(config: ClusterConfiguration, name: str) -> str:
    """Returns the image of kube-apiserver, kube-controller-manager, kube-scheduler or kube-proxy."""
    return f"{config.image_repository}/{name}:{parse_version(config.kubernetes_version).tag}"


def etcd(config: ClusterConfiguration) -> str:
    local = config.etcd.local or LocalEtcd()
    return f"{local.image_repository or config.image_repository}/etcd:{etcd_tag(config)}"


def coredns(config: ClusterConfiguration) -> str:
    repository = config.dns.image_repository or config.image_repository
    # Only the public registry has CoreDNS one level deeper.
    path = f"{repository}/coredns" if repository == IMAGE_REPOSITORY else repository
    return f"{path}/coredns:{config.dns.image_tag or _tags(config).coredns}"


def pause(config: ClusterConfiguration) -> str:
    return f"{config.image_repository}/pause:{_tags(config).pause}"


def _tags(config: ClusterConfiguration) -> Tags:
    return tags_for(parse_version(config.kubernetes_version).minor)


def all_images(config: ClusterConfiguration) -> list[str]:
    """Returns all images in the order of kubeadm's `config images list`; an external etcd needs no image."""
    kubernetes = [component(config, name) for name in (*CONTROL_PLANE, "kube-proxy")]
    own_etcd = [etcd(config)] if config.etcd.external is None else []
    return [*kubernetes, coredns(config), pause(config), *own_etcd]
