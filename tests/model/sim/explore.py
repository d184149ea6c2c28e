"""Runs a command with every fault at every hook point, and random schedules that a seed replays exactly."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from model.sim.faults import FAULTS, Fault
from model.sim.scene import Scene, Verb, scene
from model.sim.witness import Unsound
from model.sim.world import Fate, Point

Build: TypeAlias = Callable[[], Scene]
VERSIONS = ("3.4.23", "3.5.35", "3.6.16", "3.7.3")


@dataclass
class Schedule:
    """Which faults come at which hook points. As a scene's hook it injects them."""

    scene: Scene
    plan: dict[int, Fault]

    def __call__(self, point: Point) -> Fate:
        fault = self.plan.pop(point.number, None)
        if fault is None or not fault.fits(point):
            return ""
        self.scene.world.fault(f"{fault.name} ({point.when} {point.what} at {point.where or 'the tool'})")
        if fault.name == "cut joiner and follower":
            self.scene.world.witness.slow_fault_at = self.scene.world.clock.wall()
        return fault.apply(self.scene) or ""


@dataclass
class Tally:
    """What an exploration saw."""

    runs: int = 0
    points: int = 0
    residual: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return f"{self.runs} runs at {self.points} points, {len(self.residual)} residual windows, {len(self.broken)} broken"

    def by_property(self) -> dict[str, int]:
        """How many runs broke each property."""
        counts: dict[str, int] = {}
        for text in self.broken:
            for name in {line.strip()[:2] for line in text.splitlines() if line.strip()[:1] == "P" and ": " in line[:8]}:
                counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))


def points_of(build: Build) -> list[Point]:
    """The hook points of a run without faults, once for each situation: what is asked, whom, and what the joiner is then."""
    one, seen, found = build(), set[object](), list[Point]()

    def watch(point: Point) -> Fate:
        here = (point.when, point.what, point.where, situation(one))
        if here not in seen:
            seen.add(here)
            found.append(point)
        return ""

    one.world.hook = watch
    one.run()
    one.verdict("without faults")
    return found


def situation(one: Scene) -> object:
    """What a fault's effect depends on."""
    row = one.cluster.state.rows.get(one.joiner.member_id)
    role = "none" if row is None else "learner" if row.is_learner else "voter"
    leader = one.cluster.leader.name if one.cluster.leader else ""
    return role, one.joiner.condition, one.joiner.serves_at is not None, len(one.cluster.state.rows), leader


def run_plan(build: Build, plan: dict[int, Fault], replay: str) -> Scene:
    """One run with these faults, healed and run again; raises `Unsound`."""
    one = build()
    one.world.hook = Schedule(one, dict(plan))
    ending = one.run()
    if ending.killed and not one.world.witness.broken:
        one.run()
    one.finish()
    one.verdict(replay)
    return one


def plans(build: Build, faults: Sequence[Fault] = FAULTS, budget: int = 1) -> Iterator[tuple[dict[int, Fault], str]]:
    """Every fault at every point; with a budget of two a second fault at every later point."""
    points = points_of(build)
    for point in points:
        for fault in (one for one in faults if one.fits(point)):
            name = f"{fault.name!r} at {point.number} ({point.when} {point.what} {point.where})"
            yield {point.number: fault}, name
            if budget > 1:
                for later in (one for one in points if one.number > point.number):
                    for second in (one for one in faults if one.fits(later)):
                        yield {point.number: fault, later.number: second}, f"{name}, {second.name!r} at {later.number}"


def explore(build: Build, *, faults: Sequence[Fault] = FAULTS, budget: int = 1, stride: int = 1) -> Tally:
    """Run (each `stride`-th of) all plans; what broke is collected."""
    tally = Tally(points=len(points_of(build)))
    for plan, name in islice(plans(build, faults, budget), 0, None, stride):
        tally.runs += 1
        try:
            tally.residual += run_plan(build, plan, name).world.witness.residual
        except Unsound as unsound:
            tally.broken.append(str(unsound))
    return tally


def build_seed(seed: int) -> tuple[Build, dict[int, Fault]]:
    """The scene and the faults of a seed."""
    rng = random.Random(seed)
    verbs: tuple[Verb, ...] = ("join", "join", "join", "add", "remove", "replace")
    verb = rng.choice(verbs)
    voters = rng.choice((1, 2, 3, 3, 3, 4, 5)) if verb in ("join", "add") else rng.choice((3, 4, 5))
    version = rng.choice(VERSIONS)
    late = random.Random(seed + 1)

    def build() -> Scene:
        one = scene(verb, voters=voters, version=version, choose=lambda _what, many: late.randrange(many))
        one.consent = verb == "remove"
        return one

    plan = {rng.randrange(1, 260): rng.choice(FAULTS) for _ in range(rng.randrange(1, 5))}
    return build, plan


def run_seed(seed: int) -> Scene:
    """Replay one random schedule exactly; raises `Unsound`."""
    build, plan = build_seed(seed)
    words = ", ".join(f"{fault.name!r} at {number}" for number, fault in sorted(plan.items()))
    return run_plan(build, plan, f"SEED={seed} ({words})")


def run_seeds(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        tally.runs += 1
        try:
            tally.residual += run_seed(seed).world.witness.residual
        except Unsound as unsound:
            tally.broken.append(str(unsound))
    return tally
