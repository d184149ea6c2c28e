"""How this node reaches the etcd member that it runs itself: where its manifest says it listens, with kubeadm's certificates.

What is not sure is an error, never "there is no etcd": an operator's command would go to whatever listens at the default port.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.core.ids import is_loopback
from quorate.errors import HostError, Refused
from quorate.etcd.client.endpoint import Endpoint, TlsFiles
from quorate.foreign.trust import distrust_way
from quorate.foreign.urls import parts_of
from quorate.phases.base.node_files import tls_files
from quorate.tree import RealTree

MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
CERTIFICATES = "/etc/kubernetes/pki"
_PAIR = "healthcheck-client"
"""The client certificate that kubeadm makes for probes on this node; the phases use it too."""


@dataclass(frozen=True, slots=True)
class OwnEtcd:
    """This node's member: where it serves clients, and the files for TLS on this machine. `folder`: theirs on the node."""

    endpoint: Endpoint
    files: TlsFiles
    folder: str

    @property
    def url(self) -> str:
        return f"https://{self.endpoint.target}"


def own_etcd(tree: RealTree) -> OwnEtcd | None:
    """Returns how this node's member is reached; None where there is no manifest. Raises `HostError` for a file that is
    missing, cannot be read or could be another user's, and `Refused` for a manifest that shows no address with TLS."""
    content = _trusted(tree, MANIFEST)
    if content is None:
        return None
    # Reading manifests costs imports, which most hosts do not need: they run no control plane.
    from quorate.phases.node.etcd_manifest import parse

    endpoint = _endpoint(parse(content, MANIFEST).listens)
    folder = f"{CERTIFICATES}/etcd"
    for name in ("ca.crt", f"{_PAIR}.crt", f"{_PAIR}.key"):
        if _trusted(tree, f"{folder}/{name}") is None:
            raise HostError(f"there is no {folder}/{name}, which this node's etcd ({MANIFEST}) is asked with")
    return OwnEtcd(endpoint, tls_files(tree, CERTIFICATES, _PAIR), folder)


def _trusted(tree: RealTree, path: str) -> bytes | None:
    """Returns the content of a file of the node; None when it is missing. Raises `HostError` when another user could have
    written it: root would show the certificate, and send changes, to the cluster of that user."""
    content = tree.read(path)
    doubt = distrust_way(tree.at(path)) if content is not None else ""
    if doubt:
        raise HostError(f"{path} is not used, because another user could have written it: {doubt}")
    return content


def _endpoint(listens: Sequence[str]) -> Endpoint:
    """Returns the address with TLS at which the member listens, on loopback where it does. What it only advertises may be the
    address of a load balancer, and lead to another member."""
    # etcd does not start with an address that has no port: what answers at the default one is another program.
    with_tls = [one for one in listens if parts_of(one).scheme == "https" and parts_of(one).port]
    if not with_tls:
        found = f"at {', '.join(map(_shown, listens))}" if listens else "nowhere that could be read"
        raise Refused(
            f"{MANIFEST} does not let etcd serve its clients with TLS on this node: it listens {found}",
            advice="name the cluster with --endpoints and its certificates",
        )
    return Endpoint.parse(next(filter(is_loopback, with_tls), with_tls[0]))


def _shown(listens: str) -> str:
    """Returns the address without what else a URL may hold, such as a password."""
    parts = parts_of(listens)
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else ", without a port")
