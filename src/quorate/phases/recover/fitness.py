"""What would leave a node useless behind its recovery: certificates that nobody takes, Secrets that no key here opens.

A control plane that was down for long comes back with certificates that expired meanwhile: its etcd would serve, and nobody
could ask it. Both are known before the first change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from quorate.errors import ConfigError, Refused
from quorate.foreign.documents import BadDocument, read_mapping
from quorate.foreign.values import mapping_of, rows_of, text_of
from quorate.offline.look import look
from quorate.phases.base.this_node import HERE
from quorate.phases.node.encryption_file import API_SERVER, FLAG, encryption_of
from quorate.phases.node.static_pods import manifest_path
from quorate.phases.recover.holding import HeldNode
from quorate.pki.certificates import Pair
from quorate.pki.proof import refused
from quorate.pki.store import all_of, has_issued, parse_certificate, parse_key
from quorate.tree import Tree

_CERTIFICATES = "/etc/kubernetes/pki"
_CA = f"{_CERTIFICATES}/etcd/ca.crt"
_PAIRS = ("etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client")


def refuse_unfit(node: HeldNode, data: Path) -> None:
    """Raises `Refused` where what a recovery makes on this node could not be used. `data`: the survivor's."""
    if wrong := list(_certificates(node.tree, datetime.fromtimestamp(node.clock.wall(), UTC))):
        raise Refused(
            f"etcd would serve, and nobody could ask it: {'; '.join(wrong)}",
            state="nothing was changed",
            advice=f"{HERE.command('certs', 'renew', 'all')} renews them with the CA of this node; what is missing comes from "
            "another node",
        )
    node.say("Reading which encryption keys the data needs")
    walk = look(data, deep=True).walk
    needed = walk.encryption_keys if walk is not None else set()
    known = _known_keys(node.tree)
    missing = sorted(needed - known.keys) if known is not None else []
    if missing and known is not None:
        raise Refused(
            f"the API server could not read what is encrypted by {', '.join(missing)}: {known.where}",
            state="nothing was changed",
            advice=f"put them back where --{FLAG} of {manifest_path(API_SERVER)} says; where they are lost for good, "
            "'quorate etcd recover DIR' recovers the data without this check: all else in it can be read",
        )


def _certificates(tree: Tree, now: datetime) -> Iterator[str]:
    """Yields what is wrong with the certificates of etcd and its clients."""
    bundle = tree.read(_CA)
    cas = all_of(bundle) if bundle is not None else []
    if not cas:
        yield f"{_CA} is no certificate" if bundle is not None else f"there is no {_CA}"
        return
    for name in _PAIRS:
        path = f"{_CERTIFICATES}/{name}.crt"
        try:
            pair = _pair(tree, f"{_CERTIFICATES}/{name}")
        except ConfigError as error:
            yield error.what
            continue
        ca = next((one for one in cas if has_issued(one, pair.certificate)), None)
        if ca is None:
            yield f"{path} is not signed by {_CA}"
        elif not pair.certificate.not_valid_before_utc <= now <= pair.certificate.not_valid_after_utc:
            yield f"{path} is valid until {pair.certificate.not_valid_after_utc:%Y-%m-%d}"
        elif not ca.not_valid_before_utc <= now <= ca.not_valid_after_utc:
            yield f"{_CA} is valid until {ca.not_valid_after_utc:%Y-%m-%d}"
        elif why := refused(pair, ca):
            yield f"{path}: {why}"


def _pair(tree: Tree, base: str) -> Pair:
    """Returns a certificate with its key. Raises `ConfigError`."""
    found = {end: tree.read(f"{base}.{end}") for end in ("crt", "key")}
    if lacking := [end for end, content in found.items() if content is None]:
        raise ConfigError(f"there is no {base}.{lacking[0]}")
    certificate = parse_certificate(found["crt"] or b"", f"{base}.crt")
    key = parse_key(found["key"] or b"", f"{base}.key")
    if key.public_key() != certificate.public_key():
        raise ConfigError(f"{base}.key does not belong to {base}.crt")
    return Pair(certificate, key)


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys that the API server has: provider, version and name, as they stand before a value. `where`: in words."""

    keys: frozenset[str]
    where: str


def _known_keys(tree: Tree) -> _Known | None:
    """Returns the keys of this node's API server; None where none runs here. Raises `Refused` where they cannot be told."""
    try:
        found = encryption_of(tree)
        if found is None:
            return None
        if not found.named:
            return _Known(frozenset(), f"{found.manifest} sets no --{FLAG}")
        if found.content is None:
            return _Known(frozenset(), f"{found.named}, which {found.manifest} names, is not on this host")
        return _Known(frozenset(_names(read_mapping(found.content, found.path))), f"{found.path} does not name them")
    except BadDocument as error:
        raise Refused(error.what, state="nothing was changed", advice="correct the file") from None


def _names(document: Mapping[str, object]) -> Iterator[str]:
    """Yields the keys of an EncryptionConfiguration, as kube-apiserver writes them in front of each value."""
    for resource in rows_of(document.get("resources")):
        for provider in rows_of(resource.get("providers")):
            for kind, settings in provider.items():
                told = mapping_of(settings)
                if kind == "kms":
                    yield f"kms:{text_of(told.get('apiVersion')) or 'v1'}:{text_of(told.get('name'))}"
                for key in rows_of(told.get("keys")):
                    yield f"{kind}:v1:{text_of(key.get('name'))}"
