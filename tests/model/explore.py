"""Breadth-first through every reachable world, with machines that play the same part taken as one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from model import etcd_rules as model
from model.etcd_rules import Etcd, Node
from model.world import Memory, Unsound, World, act, crash, decide, progress, steps

VOTER = Node("voter", started=True, running=True, aligned=True, serving=True)


@dataclass(frozen=True)
class Bounds:
    """How large a world: initial voters, joiners side by side, foreign machines, and what may go wrong how often."""

    voters: int
    joiners: int = 1
    strangers: int = 0
    faults: int = 2
    cuts: int = 1
    foreign: int = 0
    all_connected: bool = False

    def world(self) -> World:
        nodes = (VOTER,) * self.voters + (Node(),) * (self.joiners + self.strangers)
        etcd = Etcd(nodes, 0, max_learners=self.joiners, all_connected=self.all_connected)
        tool = tuple(Memory(self.voters + number) for number in range(self.joiners))
        return World(etcd, tool, faults=self.faults, cuts=self.cuts, foreign=self.foreign)


def canonical(world: World, bounds: Bounds) -> World:
    """Voters of the beginning differ only in leading: the leader first, the others in order of their state."""
    etcd, count = world.etcd, bounds.voters
    if world.pending is not None:
        return world
    leader = etcd.leader if etcd.leader is not None and etcd.leader < count else None
    rest = sorted(etcd.nodes[slot] for slot in range(count) if slot != leader)
    old = [*([etcd.nodes[leader]] if leader is not None else []), *rest]
    return world._replace(
        etcd=etcd._replace(nodes=(*old, *etcd.nodes[count:]), leader=0 if leader is not None else etcd.leader)
    )


@dataclass
class Found:
    states: int = 0
    goals: int = 0
    starts: int = 0


def explore(bounds: Bounds) -> Found:
    """Visit everything reachable and check every property there; raises `Unsound` with the world where one fails."""
    first = canonical(bounds.world(), bounds)
    seen, queue, found = {first}, deque([first]), Found()
    settled: dict[World, bool] = {}
    while queue:
        world = queue.popleft()
        found.states += 1
        found.goals += world.phase == "goal"
        found.starts += world.phase == "start"
        check_ends_well(world, bounds, settled)
        for following in steps(world):
            known = canonical(following, bounds)
            if known not in seen:
                seen.add(known)
                queue.append(known)
    return found


def check_ends_well(world: World, bounds: Bounds, settled: dict[World, bool]) -> None:
    """Once faults are healed and others stop, the run, and if need be the same command again, ends in goal or start."""
    calm = canonical(heal(world), bounds)
    if calm in settled:
        return
    ending = settle(calm)
    for _ in bounds.world().tool:
        # Of several joiners one may first have to be seen as removed by somebody else, which ends that run.
        ending = settle(crash(ending)) if ending.phase == "forward" else ending
    unknown = any(memory.adding for memory in ending.tool) and ending.phase == "forward"
    if unknown and all(ending.etcd.nodes[memory.slot].role == "none" for memory in ending.tool):
        # An add without an answer that never arrived, and somebody else in the seat: nobody can know that it never will.
        settled[calm] = True
        return
    if ending.phase not in ("goal", "start"):
        raise Unsound(f"no end from {world}\n  healed and settled: {ending}")
    joiners = [ending.etcd.nodes[memory.slot] for memory in ending.tool]
    if ending.phase == "goal" and not all(node.role == "voter" and model.is_up(node) for node in joiners):
        raise Unsound(f"called a goal and is none: {ending}")
    if ending.phase == "start" and any(node.role == "learner" for node in joiners):
        raise Unsound(f"called a start and left a learner: {ending}")
    settled[calm] = True


def heal(world: World) -> World:
    """Links work, voters run, nobody interferes, no further fault."""
    nodes = tuple(
        node._replace(cut=False, running=True, serving=node.started) if node.role == "voter" else node._replace(cut=False)
        for node in world.etcd.nodes
    )
    return world._replace(etcd=world.etcd._replace(nodes=nodes), faults=0, cuts=0, foreign=0)


def settle(world: World) -> World:
    """Let the tool and the cluster take turns until the tool has ended; a stall ends the join as its deadline would."""
    for _ in range(200):
        if world.phase not in ("join", "undo"):
            return world
        before = world
        world = act(world) if world.pending is not None else decide(world)
        helped = next(progress(world), None)
        world = helped if helped is not None else world
        if world == before:
            if world.phase == "undo":
                return world
            world = world._replace(phase="undo")
    return world
