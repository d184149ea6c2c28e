"""What members tell without gRPC: the metrics page of the client port, and `/members` of the peer port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from model.sim.futures import plugged_in
from model.sim.machine import Machine
from model.sim.world import World
from quorate.core.membership import Member
from quorate.etcd.client import metrics
from quorate.etcd.client.endpoint import Endpoint, Tls
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.client.pages import Pages
from quorate.etcd.client.peer_port import PeerMembers


def scrape(world: World, endpoint: Endpoint, timeout: float) -> Metrics | None:
    """The numbers of the member at `endpoint`, or None when nobody answers in time."""
    one = world.at_address(endpoint.target)
    if world.reach("before", "metrics", one.name if one else endpoint.target) or not _answers(world, one, timeout):
        return None
    assert one is not None
    page = page_of(world, one)
    return None if world.reach("after", "metrics", one.name) else metrics.parse(page)


def _answers(world: World, one: Machine | None, timeout: float) -> bool:
    """Let the time of a GET pass; whether it was answered."""
    clock = world.clock
    if one is None or one.condition in ("absent", "dead"):
        return False
    until = clock.local + timeout
    if one.cut_from_tool or not one.runs(until) or 2 * one.delay > timeout:
        clock.spend(until)
        return False
    clock.spend(max(clock.local, one.resumes_at or 0.0) + 2 * one.delay + 0.001)
    return True


def page_of(world: World, one: Machine) -> str:
    """The part of the Prometheus page that somebody may want."""
    cluster = world.cluster_of(one)
    cluster.count_beats()
    peers = [other for row in cluster.state.rows.values() if (other := cluster.machine_of(row.id)) and other is not one]
    mine = f"{one.member_id:x}"
    lines = [f'etcd_network_peer_received_bytes_total{{From="{key}"}} {value:g}' for key, value in one.received.items()]
    for other in peers:
        labels = f'{{Local="{mine}",Remote="{other.member_id:x}"}}'
        lines.append(f"etcd_network_active_peers{labels} {int(other.condition in ('running', 'paused'))}")
        if other.loses_publish:
            # A publish is lost only inside a snapshot.
            lines.append(f'etcd_network_snapshot_send_success{{To="{other.member_id:x}"}} 1')
        lines.append(f'etcd_network_peer_sent_bytes_total{{To="{other.member_id:x}"}} {one.received.get("0", 0.0):g}')
    lines += ["etcd_disk_wal_fsync_duration_seconds_sum 0.5", "etcd_disk_wal_fsync_duration_seconds_count 500"]
    lines.append(f'etcd_server_id{{server_id="{mine}"}} 1')
    lines.append(f"process_start_time_seconds {one.starts}")
    one.pages_served += 1
    lines.append(f'promhttp_metric_handler_requests_total{{code="200"}} {one.pages_served}')
    lines.append(f"etcd_server_is_leader {int(cluster.leader is one)}")
    return "\n".join(lines) + "\n"


def peer_members(world: World, peer_url: str, timeout: float) -> PeerMembers | None:
    """The list that the process behind a peer URL has applied; local on every member, a learner's too."""
    found = [(cluster, one) for cluster in world.clusters if (one := cluster.at_peer_url(peer_url))]
    where = found[0][1].name if found else peer_url
    lost = world.reach("before", "peer-members", where)
    if lost or not found or not _answers(world, found[0][1], timeout):
        return None
    cluster, one = found[0]
    applied = cluster.applied(one, world.clock.local)
    if world.reach("after", "peer-members", where) or not applied:
        return None
    rows = cluster.state_at(applied).rows.values()
    members = tuple(Member(row.id, row.name, row.peer_urls, row.client_urls, row.is_learner) for row in rows)
    return PeerMembers(cluster.id, members, float(int(world.clock.wall())))


@contextmanager
def plugged(world: World) -> Iterator[None]:
    """For an engine that calls the module functions: they reach the simulated world for the block."""

    def scraped(pages: Pages, endpoint: Endpoint, tls: Tls | None, *, timeout: float) -> Metrics | None:
        return scrape(world, endpoint, timeout)

    def told(peer_url: str, tls: Tls | None, *, timeout: float, cancel: object = None) -> PeerMembers | None:
        return peer_members(world, peer_url, timeout)

    def reached(peer_url: str, tls: Tls | None) -> None:
        return None

    with (
        plugged_in(),
        patch("quorate.etcd.client.pages.Pages.scrape", scraped),
        patch("quorate.etcd.client.peer_port.members", told),
        patch("quorate.etcd.observation.diagnose.reach", reached),
    ):
        yield
