"""Adding this host's etcd to a cluster: its own checks, the listen for the voters' dials, then the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from quorate.core.finding import Finding
from quorate.core.membership import ClusterView
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join_state import JoinResult
from quorate.etcd.membership.runtime import JoinSpec, Process, Runtime
from quorate.member import checks, inbound_probe
from quorate.member.checks import Case
from quorate.member.spec import EtcdSpec
from quorate.report import Event, Notice, Report


class HostRuntime(Runtime, Protocol):
    """A runtime of this host, with what it runs."""

    spec: EtcdSpec

    def findings(self) -> list[Finding]:
        """What stands in the way of running it so, on this host."""
        ...


def look(cluster: Cluster, runtime: HostRuntime) -> tuple[ClusterView, list[Finding]]:
    """The cluster, and what is to be said of this host before it joins; changes nothing."""
    view = cluster.status()
    return view, runtime.findings() + checks.findings(Case(runtime.spec, view, resumed=_is_resumed(runtime, view)))


def _is_resumed(runtime: HostRuntime, view: ClusterView) -> bool:
    """Whether what lies here is of a join of ours that was cut off. Data of a member that is not listed (any more) is not:
    it may be all that is left of one that was removed."""
    spec = runtime.spec
    listed = view.by_peer_urls((spec.peer_url,)) is not None
    return runtime.has_leftovers(spec.name) and (listed or not spec.has_data)


def add_here(cluster: Cluster, runtime: HostRuntime, *, probe_inbound: bool = True) -> JoinResult:
    """Make the etcd that `runtime` runs on this host a verified voter of `cluster`.

    Raises `PreflightFailed` with nothing changed, and what `Cluster.join` raises. Running it again continues.
    """
    view, found = look(cluster, runtime)
    spec = runtime.spec
    alive = tuple(voter.peer_urls[0] for voter in view.voters if view.answer(voter.id) is not None)
    probed = Probed(runtime, cluster.report, alive) if probe_inbound else runtime
    join = JoinSpec(spec.name, spec.peer_url, Endpoint.parse(spec.client_url), spec.peer_tls())
    return cluster.join(join, probed, found)


@dataclass(slots=True)
class Probed:
    """A runtime that listens for the voters before it starts the etcd for the first time."""

    runtime: HostRuntime
    report: Report
    voter_urls: Sequence[str]
    can_restart: bool = True
    can_wipe: bool = True

    def process(self, name: str) -> Process:
        return self.runtime.process(name)

    def start(self, name: str, initial_cluster: Sequence[tuple[str, str]]) -> None:
        if not self.runtime.has_data(name) and self.runtime.process(name).state == "absent":
            self.report(Event("preflight", name, "listening for the voters, who dial a new member by themselves"))
            for url in inbound_probe.expect_voters(self.runtime.spec, self.voter_urls):
                self.report(Notice(f"{url} has not dialled {self.runtime.spec.peer_url}", "warning"))
        self.runtime.start(name, initial_cluster)

    def restart(self, name: str) -> None:
        self.runtime.restart(name)

    def stop(self, name: str) -> None:
        self.runtime.stop(name)

    def has_data(self, name: str) -> bool:
        return self.runtime.has_data(name)

    def data_member(self, name: str) -> int:
        return self.runtime.data_member(name)

    def has_leftovers(self, name: str) -> bool:
        return self.runtime.has_leftovers(name)

    def received_bytes(self, name: str) -> int | None:
        return self.runtime.received_bytes(name)

    def links(self, name: str, peers: Mapping[int, Sequence[str]]) -> Mapping[int, bool] | None:
        return self.runtime.links(name, peers)

    def wipe(self, name: str) -> None:
        self.runtime.wipe(name)
