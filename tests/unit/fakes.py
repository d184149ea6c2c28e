"""A clock that is set by hand, and members of etcd that answer at the level of `Channel.call`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from quorate.deadline import SystemClock
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import NO_HANDOVER, Channel, Handover
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, Tls
from quorate.etcd.client.errors import EtcdError, Unavailable, Unreachable
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.client.peer_port import PeerMembers
from quorate.etcd.client.rpc import Method
from unit.views import CLUSTER, url

Reply = Callable[[Any], Any]


class FakeClock(SystemClock):
    """Stands still until somebody sleeps, or `pass_time`; a machine that was paused shows on `wall` alone."""

    def __init__(self, time: float = 0.0, wall: float = 1_000_000.0) -> None:
        super().__init__()
        self.time = time
        self.wall_time = wall

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.wall_time

    def pass_time(self, seconds: float) -> None:
        self.time += seconds
        self.wall_time += seconds

    def sleep(self, seconds: float) -> None:
        self.pass_time(seconds)


def where(number: int) -> Endpoint:
    """The client endpoint that `row` advertises."""
    return Endpoint(f"10.0.0.{number}", 2379, "on")


def row(number: int, *, learner: bool = False) -> wire.Member:
    """A row of the list on the wire, as `unit.views.member` is one in the core."""
    return wire.Member(
        ID=number,
        name=f"m{number}",
        peerURLs=[url(number)],
        clientURLs=[f"https://10.0.0.{number}:2379"],
        isLearner=learner,
    )


@dataclass
class Server:
    """One member. `cut`: it has no leader, so nothing is read through it. `replies`: what it says to one method instead of the
    usual, an error to raise or a function of the request. `gate`: it answers nothing while this is not set."""

    number: int
    members: list[wire.Member] = field(default_factory=list[wire.Member])
    cluster: int = CLUSTER
    version: str = "3.6.16"
    leader: int = 1
    term: int = 3
    index: int = 100
    applied: int = 100
    learner: bool = False
    cut: bool = False
    keys: dict[bytes, wire.KeyValue] = field(default_factory=dict[bytes, wire.KeyValue])
    replies: dict[str, EtcdError | Reply] = field(default_factory=dict[str, "EtcdError | Reply"])
    gate: threading.Event | None = None
    calls: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.calls]

    def header(self) -> wire.Header:
        return wire.Header(cluster_id=self.cluster, member_id=self.number, revision=1, raft_term=self.term)

    def call(self, method: Method[Any, Any], request: Any, _timeout: float) -> Any:
        self.calls.append((method.name, request))
        if self.gate is not None:
            self.gate.wait(5)
        special = self.replies.get(method.name)
        if isinstance(special, EtcdError):
            raise special
        return special(request) if special is not None else getattr(self, f"_{method.name}")(request)

    def _Status(self, _request: wire.Empty) -> wire.StatusResponse:  # noqa: N802
        return wire.StatusResponse(
            header=self.header(),
            version=self.version,
            leader=self.leader,
            raftIndex=self.index,
            raftTerm=self.term,
            raftAppliedIndex=self.applied,
            isLearner=self.learner,
        )

    def _MemberList(self, request: wire.MemberListRequest) -> wire.MembersResponse:  # noqa: N802
        if self.cut and request.linearizable and not self.version.startswith("3.4"):
            raise Unavailable("etcdserver: no leader")
        return wire.MembersResponse(header=self.header(), members=self.members)

    def _Range(self, request: wire.RangeRequest) -> wire.RangeResponse:  # noqa: N802
        if self.cut and not request.serializable:
            raise Unavailable("etcdserver: no leader")
        rows = [row for key, row in sorted(self.keys.items()) if key == request.key or request.key <= key < request.range_end]
        return wire.RangeResponse(header=self.header(), kvs=rows, count=len(rows))

    def _Put(self, request: wire.PutRequest) -> wire.PutResponse:  # noqa: N802
        self.keys[request.key] = wire.KeyValue(key=request.key, value=request.value, lease=request.lease, create_revision=1)
        return wire.PutResponse(header=self.header())

    def _DeleteRange(self, request: wire.DeleteRangeRequest) -> wire.DeleteRangeResponse:  # noqa: N802
        return wire.DeleteRangeResponse(header=self.header(), deleted=int(self.keys.pop(request.key, None) is not None))

    def _MemberAdd(self, request: wire.MemberAddRequest) -> wire.MemberAddResponse:  # noqa: N802
        added = wire.Member(ID=9, peerURLs=request.peerURLs, isLearner=request.isLearner)
        return wire.MemberAddResponse(header=self.header(), member=added)

    def _MemberPromote(self, _request: wire.MemberPromoteRequest) -> wire.MembersResponse:  # noqa: N802
        return wire.MembersResponse(header=self.header())

    def _MemberRemove(self, _request: wire.MemberRemoveRequest) -> wire.MembersResponse:  # noqa: N802
        return wire.MembersResponse(header=self.header())


class FakeChannel:
    """The part of a `Channel` that the engine calls."""

    def __init__(self, endpoint: Endpoint, server: Server | None) -> None:
        self.endpoint = endpoint
        self.server = server

    def call(self, method: Method[Any, Any], request: Any, timeout: float) -> Any:
        if self.server is None:
            raise Unreachable("cannot connect: connection refused")
        return self.server.call(method, request, timeout)

    def call_once(self, method: Method[Any, Any], request: Any, timeout: float, handover: Handover = NO_HANDOVER) -> Any:
        self.before_handover()
        with handover:
            self.in_handover()
        return self.call(method, request, timeout)

    def before_handover(self) -> None:
        """All that lies between the executor and grpc."""

    def in_handover(self) -> None:
        """The moment itself."""

    def log_in_first(self, timeout: float) -> None:
        """No login is needed."""


class FakeAccess(Access):
    """Leads to the servers at `places`, and to nobody elsewhere. `metrics` is what every member tells."""

    def __init__(self, places: dict[Endpoint, Server] | None = None) -> None:
        super().__init__()
        self.places = dict(places or {})
        self.metrics: Metrics | None = None
        self.pages = 0
        self.heard: tuple[int, ...] = ()

    def __enter__(self) -> FakeAccess:
        return self

    def channel(self, endpoint: Endpoint) -> Channel:
        return cast("Channel", FakeChannel(endpoint, self.places.get(endpoint)))

    def renew(self, endpoint: Endpoint) -> None:
        """Nothing is kept."""

    def scrape(self, endpoint: Endpoint, *, of: int, timeout: float) -> Metrics | None:  # noqa: ARG002
        """A page made for this question: its number grows."""
        if self.metrics is None:
            return None
        self.pages += 1
        number = {("promhttp_metric_handler_requests_total", frozenset({("code", "200")})): float(self.pages)}
        bytes_of = "etcd_network_peer_received_bytes_total"
        heard = {(bytes_of, frozenset({("From", f"{one:x}")})): float(self.pages) for one in self.heard}
        return Metrics({**self.metrics.values, **number, **heard})

    def peer_members(self, peer_url: str, tls: Tls | None, *, timeout: float) -> PeerMembers | None:  # noqa: ARG002
        return None


def cluster(voters: int, *learners: int, **fields: Any) -> dict[Endpoint, Server]:
    """Healthy members m1, m2, … that share one list and one store, each at its own endpoint; m1 leads."""
    rows = [*(row(number) for number in range(1, voters + 1)), *(row(number, learner=True) for number in learners)]
    keys: dict[bytes, wire.KeyValue] = {}
    return {where(one.ID): Server(one.ID, list(rows), learner=one.isLearner, keys=keys, **fields) for one in rows}


def channel_to(server: Server) -> Channel:
    return cast("Channel", FakeChannel(where(server.number), server))
