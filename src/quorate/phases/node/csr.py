"""Keys and signing requests for a control plane whose CAs are on another host."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.errors import PreflightFailed
from quorate.phases.base.context import Context
from quorate.phases.node import certs, kubeconfigs
from quorate.pki import kubeconfig
from quorate.pki.certificates import LeafSpec, key_pem, make_key, make_request
from quorate.pki.table import entries

_PHASE = "generate-csr"
_FOLDER_MODE, _MODE = 0o700, 0o600


def generate(context: Context) -> None:
    """Writes a key and a request for each leaf, and for each kubeconfig a file with the key and a request next to it; says
    which.

    Raises `PreflightFailed` when one of them exists: a request for another key would not fit what was signed.
    """
    leaves = [entry for entry in entries(context.cluster, context.node) if not entry.is_ca]
    files = kubeconfigs.files(context)
    pairs = [(f"{base}.key", f"{base}.csr") for base in (context.pki(entry.base) for entry in leaves)]
    confs = [(path, f"{path}.csr") for path in (kubeconfigs.path_of(context, file.name) for file in files)]
    _check_absent(context, [path for both in (*pairs, *confs) for path in both])
    context.say(_PHASE, f"Generating keys and signing requests in {context.cluster.certificates_dir}")
    for entry, (key_path, request_path) in zip(leaves, pairs, strict=True):
        spec = LeafSpec(entry.common_name, entry.usages, entry.names, entry.organizations)
        key = make_key(certs.key_kind(context))
        context.tree.folder(key_path.rpartition("/")[0], mode=_FOLDER_MODE)
        context.tree.create(key_path, key_pem(key).reveal(), mode=_MODE, secret=True)
        context.tree.create(request_path, make_request(spec, key), mode=_MODE)
        context.say(_PHASE, f"  {entry.base}.key, {entry.base}.csr")
    context.say(_PHASE, f"Generating kubeconfig files and signing requests in {context.config_folder}")
    for file, (path, request_path) in zip(files, confs, strict=True):
        spec = LeafSpec(file.user, ("client",), (), file.organizations)
        key = make_key(certs.key_kind(context))
        content = kubeconfig.render_key_only(
            file.user, key, kubeconfigs.server_of(context, file), context.cluster.cluster_name, context.minor
        )
        context.tree.create(path, content, mode=_MODE, secret=True)
        context.tree.create(request_path, make_request(spec, key), mode=_MODE)
        context.say(_PHASE, f"  {file.name}.conf, {file.name}.conf.csr")


def _check_absent(context: Context, paths: Sequence[str]) -> None:
    for path in paths:
        if context.tree.is_file(path):
            raise PreflightFailed(
                f"{path} already exists",
                state="it was left as it is, and nothing was written",
                advice="choose another directory",
            )
