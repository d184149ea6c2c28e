"""Access to the API server with a kubeconfig of this node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from quorate.errors import PreflightFailed
from quorate.foreign.paths import prefix
from quorate.kube import tls
from quorate.kube.client import KubeClient, Server
from quorate.phases.base.context import Context
from quorate.phases.base.this_node import ThisNode
from quorate.pki import kubeconfig
from quorate.pki.kubeconfig import Parsed
from quorate.pki.kubeconfig_files import complete, refuse_what_is_not_done
from quorate.tree import Tree


def server_of(parsed: Parsed, url: str = "") -> Server:
    """Returns the server that the file names, or another one of the same cluster at `url`."""
    return Server(url or parsed.server, tls.context(parsed.ca_pem, parsed.certificate_pem, parsed.key_pem), parsed.token)


def read(tree: Tree, path: str, node: ThisNode) -> Parsed:
    """Reads a kubeconfig, with the files that it names. Raises `PreflightFailed` when the file is missing, `ConfigError` when
    it is not a kubeconfig, or is one that cannot be used here."""
    content = tree.read(path)
    if content is None:
        raise PreflightFailed(
            f"{path} is missing: this kubeconfig is needed to reach the API server",
            state="nothing was changed",
            advice=_instead_of(tree, path, node),
        )
    parsed = kubeconfig.parse(content, path)
    refuse_what_is_not_done(parsed, path)
    return complete(parsed, path, tree.read)


def _instead_of(tree: Tree, path: str, node: ThisNode) -> str:
    """Returns what to do where a kubeconfig is missing: of those only admin.conf is made by a phase. Where the cluster's CA is
    not, this is no control plane, and the phase would ask for a CA: a new one, which no server of the cluster knows."""
    folder, _, name = path.rpartition("/")
    if name != "admin.conf":
        return "check the path, or name another with --kubeconfig"
    if not tree.is_file(f"{prefix(node.cert_dir) if node.cert_dir else f'{folder}/pki'}/ca.key"):
        return "run this on a control plane of the cluster, or name a copy of its admin.conf with --kubeconfig"
    return f"name another with --kubeconfig, or create it: {node.command('init', 'phase', 'kubeconfig', 'admin')}"


@contextmanager
def connected(context: Context, path: str, url: str = "") -> Iterator[KubeClient]:
    """Yields a client with the configured timeout of API calls (60 s by default)."""
    patience = context.timeouts.kubernetes_api_call
    client = KubeClient(
        server_of(read(context.tree, path, context.this_node), url), context.clock, patience.seconds if patience else 60.0
    )
    with client.connected():
        yield client
