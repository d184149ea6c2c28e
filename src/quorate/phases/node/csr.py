"""Keys and signing requests for a control plane whose CAs are on another host."""

from __future__ import annotations

from collections.abc import Callable

from quorate.errors import ConfigError, PreflightFailed
from quorate.phases.base.context import Context
from quorate.phases.node import certs, kubeconfigs
from quorate.pki import kubeconfig
from quorate.pki.certificates import LeafSpec, PrivateKey, key_pem, make_key, make_request
from quorate.pki.store import is_same_request, parse_key
from quorate.pki.table import Entry, entries

_PHASE = "generate-csr"
_FOLDER_MODE, _MODE = 0o700, 0o600


def generate(context: Context) -> None:
    """Writes a key and a request for each leaf, and for each kubeconfig a file with the key and a request next to it; says
    which. What a run that was cut off has left is kept, and completed.

    Raises `PreflightFailed` when anything else is there, or all of it: a request for another key would not fit what was signed.
    """
    leaves = [(entry, _leaf_spec(entry)) for entry in entries(context.cluster, context.node) if not entry.is_ca]
    confs = [(file, LeafSpec(file.user, ("client",), (), file.organizations)) for file in kubeconfigs.files(context)]
    kept = {context.pki(f"{entry.base}.key"): _left_key(context, entry, spec) for entry, spec in leaves}
    kept |= {kubeconfigs.path_of(context, file.name): _left_conf(context, file, spec) for file, spec in confs}
    if all(kept.values()) and all(context.tree.is_file(_request_path(path)) for path in kept):
        raise _exists(next(iter(kept)))
    context.say(_PHASE, f"Generating keys and signing requests in {context.cluster.certificates_dir}")
    for entry, spec in leaves:
        path = context.pki(f"{entry.base}.key")
        context.tree.folder(path.rpartition("/")[0], mode=_FOLDER_MODE)
        _ensure(context, path, kept[path], spec, lambda key: key_pem(key).reveal())
        context.say(_PHASE, f"  {entry.base}.key, {entry.base}.csr")
    context.say(_PHASE, f"Generating kubeconfig files and signing requests in {context.config_folder}")
    for file, spec in confs:
        path = kubeconfigs.path_of(context, file.name)
        _ensure(context, path, kept[path], spec, _content_of(context, file))
        context.say(_PHASE, f"  {file.name}.conf, {file.name}.conf.csr")


def _leaf_spec(entry: Entry) -> LeafSpec:
    return LeafSpec(entry.common_name, entry.usages, entry.names, entry.organizations)


def _request_path(path: str) -> str:
    """Returns where the request for the key in a file is: x.csr of x.key, and x.conf.csr of x.conf."""
    return f"{path.removesuffix('.key')}.csr"


def _content_of(context: Context, file: kubeconfigs.File) -> Callable[[PrivateKey], bytes]:
    server = kubeconfigs.server_of(context, file)
    return lambda key: kubeconfig.render_key_only(file.user, key, server, context.cluster.cluster_name, context.minor)


def _ensure(
    context: Context, path: str, kept: PrivateKey | None, spec: LeafSpec, content: Callable[[PrivateKey], bytes]
) -> None:
    """Writes what is missing: the key, unless it was kept, and the request for it."""
    key = kept or make_key(certs.key_kind(context))
    if kept is None:
        context.tree.create(path, content(key), mode=_MODE, secret=True)
    if not context.tree.is_file(_request_path(path)):
        context.tree.create(_request_path(path), make_request(spec, key), mode=_MODE)


def _left_key(context: Context, entry: Entry, spec: LeafSpec) -> PrivateKey | None:
    """Returns the key that a run which was cut off has left; None where there is none. Raises `PreflightFailed`."""
    certificate, path = certs.files(context, entry)
    return _left(context, path, spec, lambda content: None if context.tree.is_file(certificate) else parse_key(content, path))


def _left_conf(context: Context, file: kubeconfigs.File, spec: LeafSpec) -> PrivateKey | None:
    """Returns as `_left_key`, for a kubeconfig: only one that is written here is such a file."""
    path = kubeconfigs.path_of(context, file.name)

    def read(content: bytes) -> PrivateKey | None:
        key = parse_key(kubeconfig.parse(content, path).key_pem.reveal(), path)
        return key if _content_of(context, file)(key) == content else None

    return _left(context, path, spec, read)


def _left(context: Context, path: str, spec: LeafSpec, read: Callable[[bytes], PrivateKey | None]) -> PrivateKey | None:
    content, request = context.tree.read(path), context.tree.read(_request_path(path))
    if content is None:
        if request is not None:
            raise _exists(_request_path(path))
        return None
    try:
        key = read(content)
    except ConfigError:
        key = None
    if key is None:
        raise _exists(path)
    if request is not None and not is_same_request(request, make_request(spec, key)):
        raise _exists(_request_path(path))
    return key


def _exists(path: str) -> PreflightFailed:
    return PreflightFailed(
        f"{path} already exists",
        state="it was left as it is, and nothing was written",
        advice="choose other directories with --cert-dir and --kubeconfig-dir",
    )
