"""Autopilots over the simulated etcd: three voters and a standby, and what else may act on the same cluster meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from model.sim.access import SimAccess
from model.sim.engine import Cluster, JoinPolicy, JoinSpec
from model.sim.etcd import SimCluster
from model.sim.machine import Machine
from model.sim.margin import real_margin
from model.sim.pages import plugged
from model.sim.scene import Scene, scene
from model.sim.world import Fate, Point, ToolKilled, no_fault
from quorate.core.autopilot.case import Act, Next
from quorate.core.autopilot.policy import Policy
from quorate.errors import QuorateError
from quorate.etcd.autopilot.loop import Autopilot
from quorate.etcd.autopilot.standbys import mark
from quorate.etcd.client.endpoint import Endpoint, parse_endpoints

FAST = Policy(voters=3, standbys=1, aligned_for=2.0, after=22.0, per=60.0)
"""A minute less than any policy file may say, and the same rules."""

Deed = Callable[["Pilots"], None]


@dataclass
class Pilots:
    """`one` is watched by the witness; `other` is a second instance. `decided`: what `one` decided, in turn."""

    scene: Scene
    policy: Policy
    one: Autopilot = field(init=False)
    other: Autopilot = field(init=False)
    decided: list[Next] = field(default_factory=list[Next])
    replaced_at: float | None = None

    def __post_init__(self) -> None:
        self.one, self.other = self.pilot(), self.pilot()

    @property
    def cluster(self) -> SimCluster:
        return self.scene.cluster

    def machine(self, name: str) -> Machine:
        return self.cluster.machines[name]

    def pilot(self) -> Autopilot:
        world = self.scene.world
        seeds = parse_endpoints([one.client_addresses[0] for one in self.cluster.machines.values() if one.name.startswith("n")])
        return Autopilot(Cluster(SimAccess(world), seeds, world.clock, self.scene.recorder), policy=self.policy)

    def rounds(self, count: int, until: Callable[[], bool] = lambda: False) -> None:
        """So many rounds of `one`, a second apart, or until something holds. A run that is killed is followed by another."""
        world = self.scene.world
        with plugged(world):
            for _ in range(count):
                world.last_point = world.points + 200_000
                try:
                    self.decided.append(self.one.round().next)
                except ToolKilled:
                    world.killed, self.one = False, self.pilot()
                except QuorateError as error:
                    # The daemon ends with it, and its supervisor starts it again.
                    world.say(f"END {error.what}")
                    self.one = self.pilot()
                world.clock.move(1.0)
                if until():
                    return

    def other_acts(self, rounds: int = 1) -> None:
        """The second instance has its turn while the first one stands still: also where the lease of the first has ended."""
        world, hook = self.scene.world, self.scene.world.hook
        world.hook = no_fault
        try:
            for _ in range(rounds):
                self.other.round()
                world.clock.move(1.0)
        except QuorateError as error:
            world.say(f"the other one: {error.what}")
        finally:
            world.hook = hook

    def heal(self) -> None:
        self.scene.heal()

    def state(self) -> str:
        voters = sorted(self.name_of(row.id) for row in self.cluster.state.voters)
        learners = sorted(self.name_of(row.id) for row in self.cluster.state.learners)
        return f"voters {voters}, learners {learners}, margin {real_margin(self.cluster)}, last {self.decided[-1:]}"

    def name_of(self, member_id: int) -> str:
        one = self.cluster.machine_of(member_id)
        return one.name if one is not None else f"{member_id:x}"


def piloted(voters: int = 3, version: str = "3.6.16", policy: Policy = FAST) -> Pilots:
    """A healthy cluster with a standby `new` that has everything, watched for some seconds."""
    made = scene("join", voters=voters, version=version)
    made.stall_seconds = 30.0
    with plugged(made.world):
        tool = made.tool()
        tool = replace(tool, policy=JoinPolicy(30.0, ends_as="standby"))
        spec = JoinSpec(made.joiner.name, made.peer_url, Endpoint.parse(made.joiner.client_addresses[0]), None)
        result = tool.join(spec, made.runtime)
        mark(tool.access, tool.endpoints, tool.clock, tool.look(), result.member_id)
    pilots = Pilots(made, replace(policy, voters=voters))
    # Whoever it may replace is named, as far as the witness is concerned; it judges the margin.
    made.world.witness.named |= {made.cluster.machines["n2"].member_id}
    pilots.rounds(3)
    return pilots


def lose_n2(pilots: Pilots) -> None:
    """For good; rounds go on until it is replaced, or for long."""
    pilots.cluster.kill(pilots.machine("n2"))


def acts(pilots: Pilots) -> list[str]:
    return [found.rule for found in pilots.decided if isinstance(found, Act)]


@dataclass
class Once:
    """A hook: the deed happens at the point of that number, after the moment in which it was set."""

    pilots: Pilots
    number: int
    deed: Deed
    seen: list[Point] = field(default_factory=list[Point])
    done: bool = False

    def __call__(self, point: Point) -> Fate:
        if self.pilots.scene.world.clock.is_aside:
            return ""
        self.seen.append(point)
        if not self.done and len(self.seen) > self.number:
            self.done = True
            self.pilots.scene.world.fault(f"at {point.when} {point.what} at {point.where or 'the tool'}")
            self.deed(self.pilots)
        return ""
