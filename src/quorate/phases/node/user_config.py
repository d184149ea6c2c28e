"""A kubeconfig for a user who is not one of the control plane's own."""

from __future__ import annotations

from quorate.phases.base.context import Context
from quorate.phases.node import kubeconfigs
from quorate.phases.node.kubeconfigs import File
from quorate.pki import kubeconfig
from quorate.pki.kubeconfig import Identity
from quorate.secret import Secret


def user_kubeconfig(context: Context, name: str, groups: tuple[str, ...], token: Secret[str] | None) -> bytes:
    """With a new client certificate, or with the token when there is one. It holds a secret: it goes to its user only."""
    ca_pem = kubeconfigs.ca_pem(context)
    if token is None:
        return kubeconfigs.make(context, File("user", name, groups), ca_pem)
    return kubeconfig.render(
        Identity(name, token=token),
        server=kubeconfigs.shared_server(context),
        ca_pem=ca_pem,
        cluster=context.cluster.cluster_name,
        minor=context.minor,
    )
