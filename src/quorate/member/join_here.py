"""The join of this host's etcd to a cluster: the checks of the host, the inbound probe, then the engine (decision 9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quorate.core.finding import Finding
from quorate.core.membership import ClusterView
from quorate.errors import PreflightFailed, QuorateError
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join_state import JoinResult
from quorate.etcd.membership.runtime import JoinSpec, Runtime
from quorate.host.etcd_identity import data_owner
from quorate.host.member_data import left_beside, settle
from quorate.member import checks, inbound_probe
from quorate.member.checks import Case
from quorate.member.place_lock import refuse_place, working_on
from quorate.member.spec import EtcdSpec
from quorate.report import Event, Notice, Report


def nothing_found() -> list[Finding]:
    """Returns no findings, for runtimes that have no checks."""
    return []


@dataclass(frozen=True, slots=True)
class Host:
    """This host as the place of a new member: its etcd, and the runtime for it. `findings`: problems of that runtime here."""

    spec: EtcdSpec
    runtime: Runtime
    findings: Callable[[], list[Finding]] = nothing_found


def look(cluster: Cluster, host: Host) -> tuple[ClusterView, list[Finding]]:
    """Returns the cluster, and the findings about this host before it joins; changes nothing."""
    refuse_place(host.spec)
    view = cluster.status()
    return view, host.findings() + checks.findings(Case(host.spec, view, resumed=_is_resumed(host, view)))


def _is_resumed(host: Host, view: ClusterView) -> bool:
    """Returns whether the files here are from a join of ours that was cut off. Data of a member that is not listed is not: it
    may be all that is left of a removed member. Also where a record of ours says that it never had a vote: another tool may
    have given it one, and the list, and the record, may be those of a snapshot that was restored. So may anything else that
    lies in the data directory: an operator had moved the last copy of a cluster aside there."""
    listed = view.by_peer_urls((host.spec.peer_url,)) is not None
    return host.runtime.has_leftovers() and (listed or data_owner(host.spec.data_dir) is None)


def add_here(cluster: Cluster, host: Host, *, probe_inbound: bool = True) -> JoinResult:
    """Makes the etcd of this host a verified voter of `cluster`.

    Raises `PreflightFailed` with nothing changed, `Refused` while another command works on this member here, and the errors of
    `Cluster.join`. A second call resumes the join.
    """
    with working_on(host.spec, cluster.clock, cluster.report):
        settle(host.spec.data_dir)
        try:
            return _add_here(cluster, host, probe_inbound=probe_inbound)
        except QuorateError as error:
            left = left_beside(host.spec.data_dir)
            if left and not isinstance(error, PreflightFailed):
                cluster.report(Notice(left, "warning"))
            raise


def _add_here(cluster: Cluster, host: Host, *, probe_inbound: bool) -> JoinResult:
    view, found = look(cluster, host)
    spec = host.spec
    join = JoinSpec(spec.name, spec.peer_url, Endpoint.parse(spec.client_url), spec.peer_tls())
    alive = tuple(voter.peer_urls[0] for voter in view.voters if view.answer(voter.id) is not None)

    def listen() -> None:
        if probe_inbound:
            _expect_voters(spec, cluster.report, alive)

    return cluster.join(join, host.runtime, found, before_first_start=listen, view=view)


def _expect_voters(spec: EtcdSpec, report: Report, voter_urls: Sequence[str]) -> None:
    report(Event("preflight", spec.name, "listening for the voters: each dials a new member by itself"))
    for url in inbound_probe.expect_voters(spec, voter_urls):
        report(Notice(f"the voter at {url} has not dialled {spec.peer_url}", "warning"))
