"""A member that a command adds, and what runs its etcd: this host, or what the user starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quorate.cli.common.option_groups import given_flags
from quorate.cli.etcd.host_options import HostOptions, check_host, host_of_options
from quorate.cli.etcd.join_options import JoinOptions
from quorate.cli.etcd.start_hook import restarter, starter
from quorate.errors import ConfigError
from quorate.foreign.text import to_paste

if TYPE_CHECKING:
    from quorate.core.finding import Finding
    from quorate.core.membership import ClusterView
    from quorate.etcd.cluster import Cluster
    from quorate.etcd.membership.external import Start
    from quorate.etcd.membership.join_state import JoinResult
    from quorate.member.join_here import Host


@dataclass(frozen=True, slots=True)
class Joiner:
    """A member to add, and what runs it: this host (`here`), or the user's `start` and `restart`."""

    cluster: Cluster
    name: str
    peer_url: str
    start: Start
    restart: Start | None
    here: Host | None
    probe_inbound: bool

    def join(self) -> JoinResult:
        if self.here is None:
            return self.cluster.add(self.name, self.peer_url, start=self.start, restart=self.restart)
        from quorate.member.join_here import add_here

        return add_here(self.cluster, self.here, probe_inbound=self.probe_inbound)

    def judge(self) -> None:
        """Raises `PreflightFailed` for anything that would make the join fail. Changes nothing."""
        from quorate.core.view_findings import judge

        view, found = self.look()
        judge(self.cluster.join_findings(view, self.name, self.peer_url, found), self.cluster.report)

    def look(self) -> tuple[ClusterView, list[Finding]]:
        """Returns the cluster and the findings of this host's checks."""
        if self.here is None:
            return self.cluster.status(), []
        from quorate.member.join_here import look

        return look(self.cluster, self.here)


def joiner_of(
    cluster: Cluster, name: str, peer_url: str | None, host: HostOptions, joining: JoinOptions, locally: Sequence[str]
) -> Joiner:
    """Returns the member that the options describe. `locally`: the command that does the same to a local cluster, but for its
    --dir. Raises `ConfigError`."""
    from quorate.core.ids import normalise_url

    if peer_url is None:
        raise ConfigError(
            "--peer-urls is missing: where will the other members reach the new one?",
            state="nothing was changed",
            advice=_in_place_of_a_url(cluster, name, locally),
        )
    check_host(host)
    if host.runtime is not None and (ignored := [flag for flag in given_flags(JoinOptions) if flag in _STARTED_ELSEWHERE]):
        raise ConfigError(
            f"--runtime starts its etcd on this host: leave out {', '.join(ignored)}", state="nothing was changed"
        )
    url = normalise_url(peer_url)
    here = host_of_options(host, name, url, cluster.clock) if host.runtime else None
    hooks = joining, cluster.clock.cancel, cluster.report
    return Joiner(cluster, name, url, starter(*hooks), restarter(*hooks), here, not host.no_inbound_probe)


_STARTED_ELSEWHERE = ("--start", "--restart", "--env-file")
"""What is for an etcd that somebody else starts."""


def _in_place_of_a_url(cluster: Cluster, name: str, locally: Sequence[str]) -> str:
    """Returns what to do about a member without a URL: where the cluster is a local one, quorate chooses its port."""
    from quorate.cli.local.forgotten import folder_of

    folder = folder_of(cluster.endpoints)
    if folder is not None:
        return f"{to_paste(*locally, '--dir', str(folder))}    # it is a local cluster, and its members need no URL"
    return f"add --peer-urls https://HOST:2380, with the address of the machine of {name}"
