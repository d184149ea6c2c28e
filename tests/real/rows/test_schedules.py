"""Random schedules of faults around one command: whatever happened, the same command run again ends in goal or start.

SCHEDULES=100 pytest -m chaos tests/real/rows/test_schedules.py      seeds 1 to 100, each a test of its own
SEED=17 pytest -m chaos tests/real/rows/test_schedules.py            that one again
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import ROOT

from real.rows.harness import Done, Etcd, Lab, Point, Tool, endpoints, until
from real.rows.links import cut_peers, join_peers, machines_in

pytestmark = [pytest.mark.real, pytest.mark.chaos, pytest.mark.timeout(300)]
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else list(range(1, int(os.environ.get("SCHEDULES", "100")) + 1))
FAULT_SECONDS = 6.0
EVENTS = ["before *", "after *", "failed *", "writ* *", "before Member*", "after Member*", "before Put", "learner Status"]
NEW = "new"


@dataclass
class Schedule:
    """What one seed means. `killed`: the members whose process this test ended, and has not started again."""

    seed: int
    lab: Lab
    rng: random.Random
    verb: str
    voters: list[Etcd]
    joiner: Etcd
    killed: set[str] = field(default_factory=set[str])
    over: threading.Event = field(default_factory=threading.Event)
    told: list[str] = field(default_factory=list[str])

    @property
    def start(self) -> set[str]:
        return {voter.name for voter in self.voters}

    @property
    def goal(self) -> set[str]:
        gone = set() if self.verb == "add" else {self.voters[-1].name}
        come = set() if self.verb == "remove" else {self.joiner.name}
        return (self.start | come) - gone

    def command(self, points: list[Point]) -> Tool:
        """The command, the same each time but for where it is disturbed."""
        old = self.voters[-1].name
        if self.verb == "remove":
            arguments = ("etcd", "remove", old, "--accept-reduced-tolerance", "--timeout=20", endpoints(*self.voters))
            return self.lab.quorate(*arguments, points=points, before=self.lab.beside)
        verb = "add" if self.verb == "add" else f"replace {old}"
        return self.lab.add(self.joiner, self.voters, "--timeout=20", "--no-inbound-probe", points=points, verb=verb)

    def say(self, text: str) -> None:
        self.told.append(f"{time.strftime('%H:%M:%S')} {text}")

    # -- the tool ------------------------------------------------------------------------------------------------------

    def points(self) -> list[Point]:
        found: list[Point] = []
        for _ in range(self.rng.randint(0, 3)):
            event = self.rng.choice(EVENTS)
            number = self.rng.randint(1, 60 if event in EVENTS[:2] else 3)
            since = self.rng.choice(["", "before MemberAdd", "learner Status", "after MemberPromote"])
            found.append(Point(event, number, since, self.rng.choice(["stop", "stop", "stop", "kill"])))
        return found

    def disturb(self, tool: Tool, moments: list[float], pauses: list[float]) -> None:
        """Lets it stand still at its points, and at these moments of its own."""
        began = time.monotonic()
        while tool.process.poll() is None:
            if moments and time.monotonic() - began > moments[0]:
                moments.pop(0)
                tool.stop()
            if tool.is_stopped:
                time.sleep(pauses[0])
                pauses.append(pauses.pop(0))
                tool.go_on()
            time.sleep(0.02)

    # -- the members ---------------------------------------------------------------------------------------------------

    def faults(self) -> list[tuple[float, Callable[[], None]]]:
        """When, and what."""
        kinds = [self.stand_still, self.die, self.part]
        return sorted(
            ((self.rng.uniform(0.2, FAULT_SECONDS), self.rng.choice(kinds)()) for _ in range(self.rng.randint(0, 3))),
            key=lambda fault: fault[0],
        )

    def one(self) -> Etcd:
        return self.rng.choice([*self.voters, self.joiner])

    def stand_still(self) -> Callable[[], None]:
        member, seconds = self.one(), self.rng.uniform(0.3, 4.0)

        def act() -> None:
            member.pause()
            self.over.wait(seconds)
            member.go_on()

        return self._named(f"{member.name} stands still for {seconds:.1f} s", act)

    def die(self) -> Callable[[], None]:
        member, seconds = self.one(), self.rng.uniform(0.2, 3.0)

        def act() -> None:
            if not member.pids:
                return
            self.killed.add(member.name)
            member.kill()
            if member is not self.joiner:
                self.over.wait(seconds)
                self.revive(member)

        return self._named(f"{member.name} dies for {seconds:.1f} s", act)

    def part(self) -> Callable[[], None]:
        one, other = self.rng.sample([*self.voters, self.joiner], 2)
        seconds = self.rng.uniform(0.5, 4.0)

        def act() -> None:
            cut_peers(one, other)
            self.over.wait(seconds)
            join_peers(one, other)

        return self._named(f"{one.name} and {other.name} are parted for {seconds:.1f} s", act)

    def _named(self, text: str, act: Callable[[], None]) -> Callable[[], None]:
        def told() -> None:
            self.say(text)
            act()

        return told

    def revive(self, member: Etcd) -> None:
        if not member.pids:
            member.start()
        self.killed.discard(member.name)

    def run_faults(self, faults: list[tuple[float, Callable[[], None]]]) -> None:
        """One after the other: two at once mostly stop everything."""
        began = time.monotonic()
        for at, act in faults:
            if self.over.wait(max(0.0, at - (time.monotonic() - began))):
                return
            act()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_schedule(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    version, size = rng.choice(["3.4", "3.5", "3.6", "3.7"]), rng.choice([1, 1, 2, 3, 3, 3, 4, 5])
    verb = rng.choice(["add", "add", "replace", *(["remove"] if size > 1 else [])])
    with machines_in(tmp_path, version, size + 1) as lab:
        voters, joiner = lab.etcds[:size], lab.etcds[size]
        joiner.name = NEW
        lab.bootstrap(*voters)
        schedule = Schedule(seed, lab, rng, verb, voters, joiner)
        schedule.say(f"{verb} on {size} voters of etcd {version}")
        try:
            with writing(lab, voters):
                first = disturbed(schedule)
                healed(schedule)
                again = schedule.command([]).end(150)
                judge(schedule, first, again)
        except AssertionError as error:
            story = "\n".join(schedule.told)
            raise AssertionError(f"SEED={seed}\n{story}\n{error}") from error


def disturbed(schedule: Schedule) -> Done:
    """The command among faults."""
    rng, points = schedule.rng, schedule.points()
    moments = sorted(rng.uniform(0.3, 5.0) for _ in range(rng.randint(0, 2)))
    pauses = [rng.choice([0.1, 0.5, 1.5, 3.0]) for _ in range(5)]
    for point in points:
        schedule.say(f"{point}")
    faults = threading.Thread(target=schedule.run_faults, args=(schedule.faults(),))
    tool = schedule.command(points)
    pacing = threading.Thread(target=schedule.disturb, args=(tool, moments, pauses))
    faults.start()
    pacing.start()
    try:
        done = tool.end(150)
    finally:
        schedule.over.set()
        faults.join()
        tool.kill()
        pacing.join()
    schedule.say(f"exit code {done.code}: {done.err[-700:]}")
    return done


def healed(schedule: Schedule) -> None:
    """Everybody goes on and runs again whom this test ended; a voter that is down otherwise was ended by the tool."""
    lab = schedule.lab
    for member in lab.etcds:
        member.go_on()
    for voter in schedule.voters:
        if voter.name in schedule.killed:
            schedule.revive(voter)
    seen: dict[str, str] = {}

    def has_list() -> bool:
        seen.update(true_roles(schedule.lab))
        if schedule.joiner.name in schedule.killed and schedule.joiner.has_data:
            # It may be the voter that the quorum is missing.
            schedule.revive(schedule.joiner)
        return bool(seen)

    until(has_list, 40, "no quorum after everything was healed")
    schedule.say(f"then: {seen}")
    down = [name for name, role in seen.items() if role == "voter" and not _member(schedule, name).pids]
    assert down == [], f"voters that the tool stopped: {down}"


def _member(schedule: Schedule, name: str) -> Etcd:
    return next(etcd for etcd in schedule.lab.etcds if name in (etcd.name, etcd.peer_url))


def true_roles(lab: Lab) -> dict[str, str]:
    """What the quorum lists, asked of one that writes; empty while there is none. (etcd 3.4 lists locally.)"""
    for member in lab.etcds:
        if member.pids and lab.writes(member, 1.0):
            return lab.roles(member)
    return {}


def judge(schedule: Schedule, first: Done, again: Done) -> None:
    schedule.say(f"again: exit code {again.code}: {again.err[-700:]}")
    seen: dict[str, str] = {}
    until(lambda: seen.update(true_roles(schedule.lab)) or seen, 20, "no quorum in the end")
    assert set(seen) in (schedule.start, schedule.goal), seen
    if 0 in (first.code, again.code):
        assert set(seen) == schedule.goal, seen
    schedule.lab.sound(_member(schedule, next(iter(seen))), schedule.start, schedule.goal)


@contextmanager
def writing(lab: Lab, voters: list[Etcd]) -> Iterator[None]:
    """A writer for the block: what it was told is written must be there in the end, as each voter that is left reads it."""
    command = [*lab.beside, sys.executable, str(Path(__file__).with_name("writing.py"))]
    writer = subprocess.Popen(
        [*command, ",".join(voter.client_url for voter in voters)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )  # fmt: skip
    try:
        yield
        left = true_roles(lab)
        asked = ",".join(etcd.client_url for etcd in lab.etcds if left.get(etcd.name) == "voter")
        printed, _ = writer.communicate(asked, timeout=60)
    finally:
        if writer.poll() is None:
            writer.kill()
            writer.communicate()
    told = json.loads(printed)
    assert told["lost"] == 0 and told["acknowledged"] > 0, told
