"""Adding this host's etcd to a cluster: its own checks, the listen for the voters' dials, then the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quorate.core.finding import Finding
from quorate.core.membership import ClusterView
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join_state import JoinResult
from quorate.etcd.membership.runtime import JoinSpec, Runtime
from quorate.member import checks, inbound_probe
from quorate.member.checks import Case
from quorate.member.spec import EtcdSpec
from quorate.report import Event, Notice, Report


def nothing_found() -> list[Finding]:
    """For runtimes that nothing ever stands in the way of."""
    return []


@dataclass(frozen=True, slots=True)
class Host:
    """This host as the place of a new member: what is to run, and who runs it. `findings`: what stands in the way of that."""

    spec: EtcdSpec
    runtime: Runtime
    findings: Callable[[], list[Finding]] = nothing_found


def look(cluster: Cluster, host: Host) -> tuple[ClusterView, list[Finding]]:
    """The cluster, and what is to be said of this host before it joins; changes nothing."""
    view = cluster.status()
    return view, host.findings() + checks.findings(Case(host.spec, view, resumed=_is_resumed(host, view)))


def _is_resumed(host: Host, view: ClusterView) -> bool:
    """Whether what lies here is of a join of ours that was cut off. Data of a member that is not listed (any more) is not:
    it may be all that is left of one that was removed."""
    listed = view.by_peer_urls((host.spec.peer_url,)) is not None
    return host.runtime.has_leftovers() and (listed or not host.spec.has_data)


def add_here(cluster: Cluster, host: Host, *, probe_inbound: bool = True) -> JoinResult:
    """Make the etcd of this host a verified voter of `cluster`.

    Raises `PreflightFailed` with nothing changed, and what `Cluster.join` raises. Running it again continues.
    """
    view, found = look(cluster, host)
    spec = host.spec
    join = JoinSpec(spec.name, spec.peer_url, Endpoint.parse(spec.client_url), spec.peer_tls())
    alive = tuple(voter.peer_urls[0] for voter in view.voters if view.answer(voter.id) is not None)

    def listen() -> None:
        if probe_inbound:
            _expect_voters(spec, cluster.report, alive)

    return cluster.join(join, host.runtime, found, before_first_start=listen, view=view)


def _expect_voters(spec: EtcdSpec, report: Report, voter_urls: Sequence[str]) -> None:
    report(Event("preflight", spec.name, "listening for the voters, who dial a new member by themselves"))
    for url in inbound_probe.expect_voters(spec, voter_urls):
        report(Notice(f"{url} has not dialled {spec.peer_url}", "warning"))
