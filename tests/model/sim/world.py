"""The world of one run: clusters, machines, the clock, and how a request travels from the tool to a member and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from model.sim.clock import Endless, SimClock
from model.sim.etcd import SimCluster
from model.sim.machine import Machine
from model.sim.margin import real_margin
from model.sim.rules import Refusal
from model.sim.server import CHANGES_MEMBERS, WRITES, Blocked, Server
from model.sim.witness import Witness
from quorate.etcd.client.errors import EtcdError, Failure, Unreachable, classify
from quorate.etcd.client.rpc import Method

Fate: TypeAlias = Literal["", "lost", "broken"]
"""What a hook makes of the request (before) or of the answer (after): lost in silence, or the connection breaks."""

_NEVER_SENT = "failed to connect to all addresses; last error: UNKNOWN: ipv4:{}: Failed to connect: Connection refused"
_LATE_EVERY, _LATE_FOR = 0.25, 40.0
_SERVER_GIVES_UP = 7.0
MOST_POINTS = 25_000
"""Of one run of the tool: what needs more does not come to an end."""


class ToolKilled(BaseException):
    """SIGKILL: no `except`, no cleanup of the tool's has an effect from here on."""


class Point(NamedTuple):
    """A place where the explorer may do something. `where` is the machine's name, or the address that nobody has."""

    number: int
    when: Literal["before", "after", "note"]
    what: str
    where: str


def no_fault(_point: Point) -> Fate:
    return ""


def first(_what: str, _many: int) -> int:
    return 0


@dataclass
class World:
    """`choose(what, n)` settles what is left open; 0 is the usual, and for "late" means that a request is carried out."""

    choose: Callable[[str, int], int] = first
    clock: SimClock = field(default_factory=SimClock)
    witness: Witness = field(default_factory=Witness)
    clusters: list[SimCluster] = field(default_factory=list[SimCluster])
    hook: Callable[[Point], Fate] = no_fault
    redirects: dict[str, Machine] = field(default_factory=dict[str, Machine])
    killed: bool = False
    points: int = 0
    last_point: int = MOST_POINTS
    trace: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.witness.say = self.say

    def cluster(self, version: str, machines: list[Machine]) -> SimCluster:
        """A new cluster of these machines as its voters."""
        new = SimCluster(self.clock, 0xC1 + len(self.clusters), version, self.choose)
        self.clusters.append(new)
        new.boot(machines)
        return new

    def cluster_of(self, one: Machine) -> SimCluster:
        return next(cluster for cluster in self.clusters if one.name in cluster.machines)

    def at_address(self, address: str) -> Machine | None:
        if address in self.redirects:
            return self.redirects[address]
        machines = (one for cluster in self.clusters for one in cluster.machines.values())
        return next((one for one in machines if address in one.client_addresses), None)

    def fault(self, text: str) -> None:
        """Something happens that the tool did not do."""
        self.witness.faults += 1
        self.say(f"FAULT {text}")

    def say(self, text: str) -> None:
        self.trace.append(f"{self.clock.local - 10_000:9.4f} {text}")

    def reach(self, when: Literal["before", "after", "note"], what: str, where: str) -> Fate:
        """A hook point: the explorer may inject an event here."""
        if self.killed:
            raise ToolKilled
        self.points += 1
        if self.points > self.last_point:
            raise Endless(f"more than {MOST_POINTS} hook points")
        fate = self.hook(Point(self.points, when, what, where))
        if self.killed:
            raise ToolKilled
        return fate

    # -- calls -----------------------------------------------------------------------------------------------------------

    def call(self, address: str, method: Method[Any, Any], request: Any, timeout: float) -> Any:
        """One unary call of the tool; raises what the real channel raises."""
        one = self.at_address(address)
        where = one.name if one else address
        if method.name == "MemberPromote":
            self.witness.asked_promotion(request.ID, self.clock.wall(), timeout)
        if method.name == "MemberRemove":
            self.witness.asked_removal(request.ID, self.clock.wall())
        fate = self.reach("before", method.name, where)
        travel = Travel(self, address, method, request, self.clock.local, self.clock.local + timeout)
        try:
            answer = travel.go(fate)
        except EtcdError as error:
            self.say(f"{method.name} at {where}: {type(error).__name__}")
            self._witness_question(where, method.name, request, unreachable=isinstance(error, Unreachable))
            self.reach("after", method.name, where)
            raise
        if method.name == "Status":
            self.witness.heard(answer.header.member_id, answer.raftAppliedIndex)
        self._witness_question(where, method.name, request)
        self.say(f"{method.name} at {where}: ok")
        fate = self.reach("after", method.name, where)
        if fate:
            raise travel.failed(fate)
        return answer

    def _witness_question(self, where: str, method: str, request: Any, *, unreachable: bool = False) -> None:
        """Answered or not: the tool now knows whether `where` has a quorum behind it."""
        by_range = method == "Range" and not request.serializable
        by_list = method == "MemberList" and request.linearizable and not self.clusters[0].is_34
        if by_range or by_list or method in WRITES or unreachable:
            self.witness.asked_through_quorum(where, self.clock.wall())


@dataclass
class Travel:
    """One request on its way. Times are world seconds."""

    world: World
    address: str
    method: Method[Any, Any]
    request: Any
    sent: float
    deadline: float

    def go(self, fate: Fate) -> Any:
        clock = self.world.clock
        one = self.world.at_address(self.address)
        if fate:
            raise self.failed(fate)
        if one is None or one.condition in ("absent", "dead"):
            clock.spend(self.sent + 0.001)
            raise self._error("UNAVAILABLE", _NEVER_SENT.format(self.address))
        if one.cut_from_tool:
            raise self.failed("lost")
        clock.spend(min(self.sent + one.delay, self.deadline))
        answer = self._wait(one)
        if clock.local + one.delay > self.deadline:
            raise self.failed("lost")
        clock.spend(clock.local + one.delay)
        return answer

    def failed(self, fate: Fate) -> EtcdError:
        """Silence until the deadline, or a connection that breaks at once."""
        if fate == "broken":
            return self._error("UNAVAILABLE", "Socket closed")
        self.world.clock.spend(self.deadline)
        return self._error("DEADLINE_EXCEEDED", "Deadline Exceeded")

    def _error(self, status: str, text: str) -> EtcdError:
        return classify(Failure(status, text, self.address, self.method.name, self.method.reads_only))

    def _wait(self, one: Machine) -> Any:
        clock, step = self.world.clock, 0.02
        while True:
            if one.condition in ("absent", "dead"):
                raise self._error("UNAVAILABLE", "recvmsg:Connection reset by peer")
            reply = self._ask(one)
            if not isinstance(reply, Blocked):
                return reply
            if clock.local >= self.deadline:
                self._leave_behind(one)
                raise self._error("DEADLINE_EXCEEDED", "Deadline Exceeded")
            if self._server_gives_up():
                raise self._error("UNAVAILABLE", "etcdserver: request timed out")
            clock.spend(min(self._next(reply, step), self.deadline))
            step = min(step * 1.5, 0.2)

    def _server_gives_up(self) -> bool:
        return self.method.name not in CHANGES_MEMBERS and self.world.clock.local - self.sent > _SERVER_GIVES_UP

    def _next(self, reply: Blocked, step: float) -> float:
        """When to look again; where nothing in the world moves there is only what is known ahead."""
        clock = self.world.clock
        if clock.is_aside:
            return self.deadline if reply.until is None else max(reply.until, clock.local + 0.002)
        return clock.local + step if reply.until is None else max(min(reply.until, clock.local + 0.5), clock.local + 0.002)

    def _ask(self, one: Machine, *, late: bool = False) -> Any:
        try:
            return carry_out(self.world, one, self.method.name, self.request, late=late)
        except Refusal as refusal:
            self.world.clock.spend(min(self.world.clock.local + one.delay, self.deadline))
            raise self._error(refusal.status, refusal.text) from None

    def _leave_behind(self, one: Machine) -> None:
        """What changes something stays in the socket, or in a log: it may be carried out when the member can."""
        if self.method.name in WRITES:
            self.world.clock.after(_LATE_EVERY, lambda: self._late(one))

    def _late(self, one: Machine) -> None:
        if one.condition in ("absent", "dead") or self.world.clock.world > self.deadline + _LATE_FOR:
            return
        cluster = self.world.cluster_of(one)
        able = Server(cluster, one, self.world.clock.world).can_carry_out
        if not able:
            self.world.clock.after(_LATE_EVERY, lambda: self._late(one))
            return
        if self.world.choose("late", 2) == 0:
            self.world.say(f"LATE {self.method.name} at {one.name}")
            try:
                carry_out(self.world, one, self.method.name, self.request, late=True)
            except Refusal as refusal:
                self.world.say(f"LATE {self.method.name} refused: {refusal.text}")


def carry_out(world: World, one: Machine, method: str, request: Any, *, late: bool) -> Any:
    """Let the member answer, and let the witness see which membership change came of it."""
    cluster = world.cluster_of(one)
    server = Server(cluster, one, world.clock.local)
    if method not in CHANGES_MEMBERS:
        reply = server.handle(method, request)
        if method in WRITES and not late and not isinstance(reply, Blocked):
            world.witness.wrote(cluster.last, world.clock.wall())
        return reply
    before = cluster.state.rows
    strict, lenient = real_margin(cluster), real_margin(cluster, paused_count=True)
    world.witness.floor = real_margin(cluster, paused_count=True, without=world.witness.registered)
    reply = server.handle(method, request)
    if isinstance(reply, Blocked):
        return reply
    world.say(f"EFFECT {method}{' late' * late}")
    match method:
        case "MemberAdd":
            world.witness.added(next(iter(cluster.state.rows.keys() - before.keys())), late=late)
        case "MemberPromote":
            world.witness.promoted(cluster, request.ID, strict, late=late)
        case "MemberRemove":
            after = real_margin(cluster, paused_count=True)
            was_voter = not before[request.ID].is_learner
            world.witness.removed(cluster, request.ID, lenient, after, was_voter=was_voter, late=late)
    return reply
