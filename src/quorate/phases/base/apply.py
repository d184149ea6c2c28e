"""Applies a phase's objects to the cluster; a dry run only names them."""

from __future__ import annotations

from collections.abc import Iterable

from quorate.kube.client import KubeClient
from quorate.kube.resources import Object
from quorate.phases.base.api_access import connected
from quorate.phases.base.context import Context
from quorate.report import PhaseLine, ResourceWritten


def apply_all(context: Context, kubeconfig: str, objects: Iterable[Object]) -> None:
    """Creates or updates each object; in a dry run only names it. Raises a `KubeError`."""
    wanted = list(objects)
    if context.dry_run:
        for value in wanted:
            context.report(PhaseLine("dryrun", f"would apply {named(value)}"))
        return
    with connected(context, kubeconfig) as client:
        put(context, client, wanted)


def put(context: Context, client: KubeClient, objects: Iterable[Object]) -> None:
    """Creates or updates each object, and reports it."""
    for value in objects:
        client.apply(value)
        context.report(ResourceWritten("object", named(value)))


def named(value: Object) -> str:
    metadata = value["metadata"]
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{value['kind']} {place}{metadata['name']}"
