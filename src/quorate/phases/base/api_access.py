"""Access to the API server with a kubeconfig of this node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from quorate.errors import PreflightFailed
from quorate.foreign.values import mapping_of, rows_of, text_of
from quorate.kube import tls
from quorate.kube.client import KubeClient, Server
from quorate.phases.base.context import Context
from quorate.pki import kubeconfig
from quorate.pki.kubeconfig import Parsed
from quorate.secret import Secret
from quorate.tree import Tree


def server_of(parsed: Parsed, url: str = "") -> Server:
    """Returns the server that the file names, or another one of the same cluster at `url`."""
    return Server(url or parsed.server, tls.context(parsed.ca_pem, parsed.certificate_pem, parsed.key_pem), parsed.token)


def read(tree: Tree, path: str) -> Parsed:
    """Reads a kubeconfig. Raises `PreflightFailed` when the file is missing, `ConfigError` when it is not a kubeconfig."""
    content = tree.read(path)
    if content is None:
        raise PreflightFailed(
            f"{path} is missing: this kubeconfig is needed to reach the API server",
            state="nothing was changed",
            advice="name another with --kubeconfig, or create it: quorate init phase kubeconfig admin",
        )
    return _with_files(tree, kubeconfig.parse(content, path))


def _with_files(tree: Tree, parsed: Parsed) -> Parsed:
    """Reads the files that a kubelet.conf points to: the certificate that the kubelet renews, and its key."""
    rows = rows_of(parsed.data.get("users"))
    user = next((mapping_of(row.get("user")) for row in rows if row.get("name") == parsed.user), {})
    certificate, key = text_of(user.get("client-certificate")), text_of(user.get("client-key"))
    if not certificate or not key:
        return parsed
    return replace(parsed, certificate_pem=tree.read(certificate) or b"", key_pem=Secret(tree.read(key) or b""))


@contextmanager
def connected(context: Context, path: str, url: str = "") -> Iterator[KubeClient]:
    """Yields a client with the configured timeout of API calls (60 s by default)."""
    patience = context.timeouts.kubernetes_api_call
    client = KubeClient(server_of(read(context.tree, path), url), context.clock, patience.seconds if patience else 60.0)
    with client.connected():
        yield client
