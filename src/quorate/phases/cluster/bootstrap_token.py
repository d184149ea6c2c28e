"""Phase bootstrap-token: the tokens that nodes join with, their rights, and cluster-info, which the tokens sign (decision
17)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from quorate.config.render import to_yaml
from quorate.config.types import BootstrapToken
from quorate.kube import rbac, tokens
from quorate.kube.resources import new
from quorate.kube.tokens import DEFAULT_DESCRIPTION, Token
from quorate.phases.base import api_access
from quorate.phases.base.apply import apply_all
from quorate.phases.base.context import Context
from quorate.pki.kubeconfig import encode
from quorate.secret import Secret

PHASE = "bootstrap-token"


def run(context: Context, kubeconfig: str, wanted: Sequence[BootstrapToken], *, show: bool) -> None:
    """Stores the tokens, their rights and cluster-info. `show`: print the tokens themselves."""
    for one in wanted:
        if show:
            context.say(PHASE, f"Using token: {one.token}")
    context.say(PHASE, "Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles")
    made = [_token(one, context.now) for one in wanted]
    apply_all(context, kubeconfig, [*map(tokens.to_secret, made), *rbac.node_bootstrap()])
    context.say(PHASE, 'Creating the "cluster-info" ConfigMap in the "kube-public" namespace')
    data = signed(cluster_info(context, kubeconfig), made)
    apply_all(context, kubeconfig, [new("ConfigMap", "cluster-info", "kube-public", data=data), *rbac.cluster_info()])


def signed(content: str, made: Iterable[Token]) -> dict[str, str]:
    """Returns the data of cluster-info with the signatures that the controller manager would add. Its signer starts some
    seconds after init has ended, and a node that joins before would wait for it."""
    signing = {f"jws-kubeconfig-{one.id}": tokens.sign(content, one) for one in made if "signing" in one.usages}
    return {"kubeconfig": content, **signing}


def _token(given: BootstrapToken, now: datetime) -> Token:
    parsed = Token.parse(given.token)
    expires = given.expires.moment if given.expires else None
    if given.ttl is not None and given.ttl > 0:
        expires = now + timedelta(seconds=given.ttl.seconds)
    description = given.description or DEFAULT_DESCRIPTION
    return Token(parsed.id, Secret(parsed.secret.reveal()), expires, description, given.usages, given.groups)


def cluster_info(context: Context, kubeconfig: str) -> str:
    """Returns a kubeconfig that has only the cluster: its server and its CA."""
    parsed = api_access.read(context.tree, kubeconfig, context.this_node)
    cluster = {"certificate-authority-data": encode(parsed.ca_pem), "server": parsed.server}
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"cluster": cluster, "name": ""}],
        "contexts": None,
        "current-context": "",
        "users": None,
    }
    return to_yaml(value)
