"""How a reset asks the cluster of this node's etcd: with the certificates on this node, whether or not an API server runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from quorate.errors import ConfigError, QuorateError
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, load_tls
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.phases.base.node_files import tls_files
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.left_note import is_secured, urls_beside_leaving
from quorate.phases.reset.state import ResetRun


@contextmanager
def own_cluster(run: ResetRun, etcd: LocalEtcd) -> Iterator[Cluster]:
    """Yields the cluster as this node's own member shows it."""
    with _access(run) as access:
        yield Cluster(access, [Endpoint.parse(url) for url in etcd.client_urls], run.clock, run.report, policy=JoinPolicy(60.0))


@contextmanager
def whole_cluster(run: ResetRun, etcd: LocalEtcd, *, without_own: bool = False) -> Iterator[Cluster]:
    """Yields the cluster with the certificates on this node, whether or not an API server runs. It is reached through this
    member and the others in its manifest. Raises `ConfigError` when a certificate is missing."""
    own = [] if without_own else list(etcd.client_urls)
    with _access(run) as access:
        targets = [Endpoint.parse(url) for url in [*own, *etcd.others]]
        seeds = _known(access, targets, run) or [*targets, *_beside_leaving(access, run)]
        yield Cluster(access, seeds, run.clock, run.report, policy=JoinPolicy(60.0))


@contextmanager
def _access(run: ResetRun) -> Iterator[Access]:
    files = tls_files(run.tree, run.reset.certificates_dir, "healthcheck-client")
    missing = [str(path) for path in (files.ca, files.cert, files.key) if path is None or not path.is_file()]
    if missing:
        raise ConfigError(f"certificates for etcd are missing: {', '.join(missing)}")
    with Access(load_tls(files), None, run.clock.cancel) as access:
        yield access


def _beside_leaving(access: Access, run: ResetRun) -> list[Endpoint]:
    """Returns where the others of a member that may have left are, by the note of a run that was cut off around its removal;
    nobody who is of another cluster by now. They are asked only where nobody else answers: the note may be old."""
    noted = [Endpoint.parse(url) for url in urls_beside_leaving(run.tree, run.owner)]
    return [one for one in noted if run.owner is None or _cluster_at(access, one, run) in (run.owner.cluster_id, None)]


def _cluster_at(access: Access, endpoint: Endpoint, run: ResetRun) -> int | None:
    try:
        return Cluster(access, [endpoint], run.clock, run.report).status().cluster_id
    except QuorateError:
        return None


def _known(access: Access, targets: list[Endpoint], run: ResetRun) -> list[Endpoint]:
    """Returns every member's client URL, as the cluster reports it: the manifest knows only the members of the time when this
    node joined."""
    try:
        view = Cluster(access, targets, run.clock, run.report).status()
    except QuorateError:
        return []
    told = [Endpoint.parse(url) for member in view.members for url in member.client_urls[:1] if is_secured(url)]
    return list(dict.fromkeys([*targets, *told]))
