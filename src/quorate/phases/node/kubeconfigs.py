"""Phase kubeconfig: the users' kubeconfig files. Existing ones are kept when they belong to this cluster and are valid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quorate.config import gates
from quorate.config.rules import split_endpoint
from quorate.errors import ConfigError, HostError, PreflightFailed
from quorate.foreign.urls import without_login
from quorate.phases.base.context import Context
from quorate.phases.node import certs
from quorate.pki import kubeconfig
from quorate.pki.certificates import KeyKind, LeafSpec, certificate_pem, make_leaf
from quorate.pki.kubeconfig import Identity
from quorate.pki.kubeconfig_files import complete
from quorate.pki.store import flaws, holds, parse_certificate
from quorate.pki.table import MASTERS, Entry, admin_group, entries
from quorate.report import Notice

PHASE = "kubeconfig"
SUPER_ADMIN_SINCE = 29
_ALGORITHM_SINCE = 31
"""Before 1.31 only the certificates' folder followed the chosen algorithm; the keys in kubeconfig files were RSA."""


@dataclass(frozen=True, slots=True)
class File:
    """A kubeconfig file. `name`: of the phase; the file is `<name>.conf`. `user` and `organizations`: as the API server sees
    them. `local`: its server is this node's API server, not the shared endpoint."""

    name: str
    user: str
    organizations: tuple[str, ...] = ()
    local: bool = False


def files(context: Context) -> list[File]:
    """Returns the files in kubeadm's order. `super-admin` exists since 1.29, when `admin` got only the rights of RBAC."""
    kubelet_local = gates.is_on("ControlPlaneKubeletLocalMode", context.minor, context.cluster.feature_gates)
    node = context.registration.name
    found = [File("admin", "kubernetes-admin", (admin_group(context.minor),))]
    if context.minor >= SUPER_ADMIN_SINCE:
        found.append(File("super-admin", "kubernetes-super-admin", (MASTERS,)))
    return [
        *found,
        File("kubelet", f"system:node:{node}", ("system:nodes",), local=kubelet_local),
        File("controller-manager", "system:kube-controller-manager", local=True),
        File("scheduler", "system:kube-scheduler", local=True),
    ]


def path_of(context: Context, name: str) -> str:
    return f"{context.config_folder}/{name}.conf"


def prepare(context: Context) -> None:
    """Starts to make the missing keys in parallel, before the first file."""
    context.say(PHASE, f'Using kubeconfig folder "{context.config_folder}"')
    missing = [file for file in files(context) if not context.tree.is_file(path_of(context, file.name))]
    context.keys.prepare(key_kind(context), len(missing))


def ensure_all(context: Context) -> None:
    prepare(context)
    ensure(context, files(context))


def ensure_named(*names: str) -> Callable[[Context], None]:
    """Returns the phase that ensures one file, or those that a join makes."""

    def run(context: Context) -> None:
        ensure(context, [file for file in files(context) if file.name in names])

    return run


def ensure(context: Context, wanted: Sequence[File]) -> None:
    """Writes the missing files. Raises `PreflightFailed` when an existing one belongs to another CA or its certificate is not
    valid."""
    ca = ca_pem(context)
    missing = [file for file in wanted if not _check_existing(context, file, ca)]
    context.keys.prepare(key_kind(context), len(missing))
    made = [(file, make(context, file, ca)) for file in missing]
    for file, content in made:
        context.say(PHASE, f'Writing "{file.name}.conf" kubeconfig file')
        path = path_of(context, file.name)
        context.tree.create(path, content, mode=kubeconfig.MODE, secret=True)
        if ca_pem(context) != ca:
            raise HostError(
                f"{certs.files(context, _ca(context))[0]} was replaced while {path} was made: they do not belong together",
                advice=f"delete {path}, then run the same command again",
            )


def key_kind(context: Context) -> KeyKind:
    return certs.key_kind(context) if context.minor >= _ALGORITHM_SINCE else "RSA-2048"


def make(context: Context, file: File, ca: bytes, shown: str = "") -> bytes:
    """Returns a kubeconfig with a new client certificate. `shown`: what messages call it, by default its path on this node."""
    spec = LeafSpec(file.user, ("client",), (), file.organizations, certs.leaf_validity(context), kind=key_kind(context))
    key = context.keys.take(key_kind(context))
    signer = certs.read_pair(context, _ca(context))
    called = shown or path_of(context, file.name)
    pair = certs.signed(context, called, signer, lambda ca: make_leaf(spec, ca, now=context.now, key=key))
    return kubeconfig.render(
        Identity(file.user, pair),
        server=server_of(context, file),
        ca_pem=ca,
        cluster=context.cluster.cluster_name,
        minor=context.minor,
    )


def server_of(context: Context, file: File) -> str:
    return local_server(context) if file.local else shared_server(context)


def local_server(context: Context) -> str:
    return f"https://{_join(context.endpoint.advertise_address, context.endpoint.bind_port)}"


def shared_server(context: Context) -> str:
    """Returns the URL of the shared endpoint, or of this node's API server where there is none."""
    shared = context.cluster.control_plane_endpoint
    if not shared:
        return local_server(context)
    host, port = split_endpoint(shared)
    # A port that was given stays as it was spelled, zeros and all: kubeadm's file has it so.
    return f"https://{_join(host, port or context.endpoint.bind_port)}"


def _join(host: str, port: int | str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ca(context: Context) -> Entry:
    return next(entry for entry in entries(context.cluster, context.node) if entry.name == "ca")


def ca_pem(context: Context) -> bytes:
    """Returns the cluster's CA as PEM. Raises `PreflightFailed` when it is missing."""
    path = certs.files(context, _ca(context))[0]
    pem = context.tree.read(path)
    if pem is None:
        raise PreflightFailed(
            f"{path} is missing: kubeconfig files name the cluster's CA",
            state="nothing was changed",
            advice="run this on a control plane of the cluster; for a new cluster create it first: "
            + context.this_node.command("init", "phase", "certs", "ca"),
        )
    # Encoded again from the parsed certificate: of a bundle only the first certificate counts, as in kubeadm.
    with certs.with_remedy(context, _ca(context)):
        return certificate_pem(parse_certificate(pem, path))


def _check_existing(context: Context, file: File, ca: bytes) -> bool:
    path = path_of(context, file.name)
    content = context.tree.read(path)
    if content is None:
        return False
    try:
        parsed = complete(kubeconfig.parse(content, path), path, context.tree.read)
        own = parse_certificate(parsed.certificate_pem, path) if parsed.certificate_pem else None
    except ConfigError as error:
        error.own_advice = error.own_advice or certs.anew(context, "kubeconfig", file.name, path)
        raise
    issuer = parse_certificate(ca, "the cluster's CA")
    if not holds(parsed.ca_pem, issuer):
        raise _refused(path, f"{path} belongs to another CA than {certs.files(context, _ca(context))[0]}")
    if own is not None:
        found = flaws(own, path, ca=issuer, names=(), now=context.now)
        # The kubelet renews its own.
        has_only_ended = len(found) == 1 and own.not_valid_after_utc < context.now and file.name != "kubelet"
        if has_only_ended:
            raise _refusal(found[0], context.this_node.command("certs", "renew", f"{file.name}.conf"))
        if found:
            raise _refused(path, "; ".join(found))
    if parsed.server != server_of(context, file):
        shown = without_login(parsed.server)
        context.report(Notice(f"{path} points to {shown} instead of {server_of(context, file)}; it is kept", "warning"))
    context.say(PHASE, f'Using existing kubeconfig file: "{path}"')
    return True


def _refused(path: str, what: str) -> PreflightFailed:
    return _refusal(what, f"move {path} to another folder, then run the same command again")


def _refusal(what: str, advice: str) -> PreflightFailed:
    return PreflightFailed(what, state="it was left as it is", advice=advice)
