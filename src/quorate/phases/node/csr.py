"""Keys and signing requests for a control plane whose CAs are on another host."""

from __future__ import annotations

from quorate.errors import PreflightFailed
from quorate.phases.base.context import Context
from quorate.phases.node import certs, kubeconfigs
from quorate.pki import kubeconfig
from quorate.pki.certificates import LeafSpec, PrivateKey, key_pem, make_key, make_request
from quorate.pki.table import entries

_FOLDER_MODE, _MODE = 0o700, 0o600


def generate(context: Context) -> None:
    """Writes a key and a request for each leaf, and for each kubeconfig a file with the key and a request next to it.

    Raises `PreflightFailed` when one of them exists: a request for another key would not fit what was signed.
    """
    for entry in entries(context.cluster, context.node):
        if not entry.is_ca:
            spec = LeafSpec(entry.common_name, entry.usages, entry.names, entry.organizations)
            _write_pair(context, context.pki(entry.base), spec)
    for file in kubeconfigs.files(context):
        path = kubeconfigs.path_of(context, file.name)
        key = _new(context, path, f"{path}.csr")
        spec = LeafSpec(file.user, ("client",), (), file.organizations)
        content = kubeconfig.render_key_only(
            file.user, key, kubeconfigs.server_of(context, file), context.cluster.cluster_name, context.minor
        )
        context.tree.write(path, content, mode=_MODE, secret=True)
        context.tree.write(f"{path}.csr", make_request(spec, key), mode=_MODE)


def _write_pair(context: Context, base: str, spec: LeafSpec) -> None:
    key = _new(context, f"{base}.key", f"{base}.csr")
    context.tree.folder(base.rpartition("/")[0], mode=_FOLDER_MODE)
    context.tree.write(f"{base}.key", key_pem(key).reveal(), mode=_MODE, secret=True)
    context.tree.write(f"{base}.csr", make_request(spec, key), mode=_MODE)


def _new(context: Context, *paths: str) -> PrivateKey:
    for path in paths:
        if context.tree.is_file(path):
            raise PreflightFailed(f"{path} already exists", state="it was left as it is", advice="choose another directory")
    return make_key(certs.key_kind(context))
