"""Phase addon: CoreDNS and kube-proxy."""

from __future__ import annotations

from typing import Any

from quorate.config.components import PROXY, proxy_configuration
from quorate.config.networks import service_address
from quorate.config.render import to_yaml
from quorate.kube import addons
from quorate.kube.resources import Object
from quorate.manifests import images
from quorate.phases.base.api_access import connected
from quorate.phases.base.apply import apply_all
from quorate.phases.base.context import Context
from quorate.phases.cluster.upload_config import config_hash
from quorate.phases.node import kubeconfigs
from quorate.phases.node.static_pods import patch_set

PHASE = "addons"


def coredns(context: Context, kubeconfig: str) -> None:
    """Applies CoreDNS. An existing deployment keeps its number of replicas."""
    if context.cluster.dns.disabled:
        return
    objects = coredns_objects(context, _replicas(context, kubeconfig))
    apply_all(context, kubeconfig, objects)
    context.say(PHASE, "Applied essential addon: CoreDNS")


def coredns_objects(context: Context, replicas: int = 2) -> list[Object]:
    network = context.cluster.networking
    address = service_address(network.service_subnet, 10)
    made = addons.coredns(images.coredns(context.cluster), network.dns_domain, address, replicas)
    patches = patch_set(context)
    return [patches.apply("corednsdeployment", one) if one["kind"] == "Deployment" else one for one in made]


def _replicas(context: Context, kubeconfig: str) -> int:
    if context.dry_run:
        return 2
    with connected(context, kubeconfig) as client:
        there = client.find("Deployment", "coredns", "kube-system")
    return int(there["spec"].get("replicas", 2)) if there else 2


def kube_proxy(context: Context, kubeconfig: str) -> None:
    if context.cluster.proxy.disabled:
        return
    apply_all(context, kubeconfig, kube_proxy_objects(context))
    context.say(PHASE, "Applied essential addon: kube-proxy")


def kube_proxy_objects(context: Context) -> list[Object]:
    given: Any = context.components.get(PROXY)
    config = proxy_configuration(
        context.cluster, dict(given) if given else None, context.minor, context.endpoint.advertise_address
    )
    env = [{"name": name, "value": value} for name, value in context.host.proxy_env.items()]
    image = images.component(context.cluster, "kube-proxy")
    text = to_yaml(config).rstrip("\n")
    return addons.kube_proxy(image, text, kubeconfigs.shared_server(context), env, "" if given else config_hash(text))
