"""Kubeconfig files for users outside the control plane."""

from __future__ import annotations

from quorate.phases.base.context import Context
from quorate.phases.node import kubeconfigs
from quorate.phases.node.kubeconfigs import File
from quorate.pki import kubeconfig
from quorate.pki.kubeconfig import Identity
from quorate.secret import Secret


def user_kubeconfig(context: Context, name: str, groups: tuple[str, ...], token: Secret[str] | None) -> bytes:
    """Returns a kubeconfig with a new client certificate, or with the token when there is one. It holds a secret and is for
    its user only."""
    ca_pem = kubeconfigs.ca_pem(context)
    if token is None:
        return kubeconfigs.make(context, File("user", name, groups), ca_pem, f"the kubeconfig of {name}")
    return kubeconfig.render(
        Identity(name, token=token),
        server=kubeconfigs.shared_server(context),
        ca_pem=ca_pem,
        cluster=context.cluster.cluster_name,
        minor=context.minor,
    )
