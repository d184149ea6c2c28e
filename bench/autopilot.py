"""How quickly the autopilot acts, and what it costs, on real etcd; printed as a table, with --output also as a line of JSON.

- `promotion`: from a learner that is aligned to its vote, less `alignedFor` (asked: 1.5 s at most).
- `replacement`: from the end of `after` to three voters that serve (asked: 3 s, or twice a script that sends the same two RPCs
  in the same run); the longest gap of a writer, and its lost writes.
- `cost`: resident memory, share of a core, and Status calls a second and member, of the daemon beside a healthy cluster of
  three (asked: 60 MB, 1 %, one).
- `false removals`: pauses shorter than `after`, for --hours of simulated time and --minutes of real time (asked: none).

Beside them, from their rules: k3s looks every 15 s, k0s every 10 s, etcd's own proposal (PR 21744) every 4 s.

    python bench/autopilot.py --rounds 3 --hours 24 --minutes 5
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from writer import Writer, writing

from quorate.core.autopilot.case import Act
from quorate.core.autopilot.policy import Policy
from quorate.etcd.autopilot.loop import Autopilot, Round
from quorate.etcd.client import kv
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership import member_rpc
from quorate.local import cluster as local
from quorate.local import grow
from quorate.local.home import Home
from quorate.local.layout import Layout
from quorate.local.standby import join_as_standby

AFTER = 24.0
POLICY = Policy(voters=3, standbys=1, aligned_for=2.0, after=AFTER, per=30.0)
"""A proof takes 20 looks, one a second: with a shorter `after` these were measured. The times are shorter than a policy file
may say; what is measured does not depend on them."""


@dataclass
class Figures:
    """Everything that was measured, in seconds unless its name says otherwise."""

    promotion: list[float] = field(default_factory=list[float])
    replacement: list[float] = field(default_factory=list[float])
    script: list[float] = field(default_factory=list[float])
    gap: list[float] = field(default_factory=list[float])
    lost: int = 0
    memory_mb: float = 0.0
    core_percent: float = 0.0
    status_per_second: float = 0.0
    simulated_hours: float = 0.0
    real_minutes: float = 0.0
    false_removals: int = 0


@contextmanager
def cluster_of(voters: int, etcd: str, *standbys: str) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as folder:
        home = Home(Layout(Path(folder) / "c"))
        try:
            local.up(home, voters, etcd)
            for name in standbys:
                join_as_standby(home, name, etcd, occupy_the_seat=True)
            yield home
        finally:
            local.down(home, purge=True)


@contextmanager
def piloted(home: Home, policy: Policy = POLICY) -> Iterator[Autopilot]:
    with home.access() as access:
        pilot = Autopilot(Cluster(access, home.seeds(), home.clock, home.report), policy=policy)
        try:
            yield pilot
        finally:
            pilot.leave()


def rounds(pilot: Autopilot, until: Callable[[Round], bool], seconds: float) -> Round:
    """As the daemon does: one round a second."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        began = time.monotonic()
        found = pilot.round()
        if until(found):
            return found
        time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
    raise SystemExit(f"not within {seconds:g} s: {found.next}")


def serves(home: Home, name: str) -> bool:
    where = next(member.client for member in home.load().members if member.name == name)
    with home.access() as access:
        try:
            kv.get(access.channel(where), b"bench", timeout=0.5)
        except EtcdError:
            return False
    return True


def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> float:
    """Returns the moment at which it held first."""
    ends_at = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends_at:
            raise SystemExit("what was waited for did not come")
        time.sleep(0.005)
    return time.monotonic()


def promotion(etcd: str, figures: Figures) -> None:
    """A learner of a join that was kept as one is promoted when a voter is missing."""
    with cluster_of(2, etcd) as home:
        joined = grow.add_standby(home, "m3", etcd).member_id
        policy = Policy(voters=3, promote="any", aligned_for=POLICY.aligned_for)
        with piloted(home, policy) as pilot:
            began: list[float] = []

            def until(found: Round) -> bool:
                if not began and found.memory.aligned_since.get(joined):
                    began.append(time.monotonic())
                return isinstance(found.next, Act) and not found.failed

            rounds(pilot, until, 60)
        figures.promotion.append(wait_for(lambda: serves(home, "m3")) - began[0] - policy.aligned_for)


def replacement(etcd: str, figures: Figures) -> None:
    with cluster_of(3, etcd, "s1") as home, piloted(home) as pilot, writing(home) as writer:
        rounds(pilot, lambda found: found.next.rule == "nothing", 30)
        local.kill(home, "m2")
        silent: list[float] = []

        def until(found: Round) -> bool:
            if not silent and found.silent_seconds():
                silent.append(time.monotonic())
            return found.next.rule == "replace" and not found.failed

        rounds(pilot, until, 90)
        restored = wait_for(lambda: serves(home, "s1"))
        figures.replacement.append(restored - silent[0] - AFTER)
        _checked(home, writer, figures)


def script(etcd: str, figures: Figures) -> None:
    """The same two RPCs, sent by somebody who knows what to do."""
    with cluster_of(3, etcd, "s1") as home, home.access() as access:
        view = home.look()
        dead, standby = (view.by_name(name) for name in ("m2", "s1"))
        assert dead is not None, "m2 is a voter"
        assert standby is not None, "s1 is a learner"
        local.kill(home, "m2")
        wait_for(lambda: (found := home.look()).leader is not None and found.reachable_voters == 2)
        leader = home.look().leader
        channel = access.channel(next(one.client for one in home.load().members if leader and one.name == leader.name))
        began = time.monotonic()
        member_rpc.remove(channel, dead.id, timeout=5)
        while True:
            try:
                member_rpc.promote(channel, standby.id, timeout=5)
                break
            except EtcdError:
                time.sleep(0.05)
        figures.script.append(wait_for(lambda: serves(home, "s1")) - began)


def _checked(home: Home, writer: Writer, figures: Figures) -> None:
    writer.over.set()
    time.sleep(1.5)
    figures.gap.append(writer.longest_gap)
    with home.access() as access:
        where = next(member.client for member in home.load().members if member.name == "s1")
        there = {row.key for row in kv.get_prefix(access.channel(where), b"w/", timeout=10)}
    figures.lost += sum(f"w/{number:06}".encode() not in there for number in writer.acknowledged)


def cost(etcd: str, seconds: float, figures: Figures) -> None:
    """The daemon as users run it, beside a healthy cluster."""
    with cluster_of(3, etcd, "s1") as home:
        command = [sys.executable, "-m", "quorate", "autopilot", "run", "--dir", str(home.layout.root)]
        daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(5)
            before, asked = _ticks(daemon.pid), _statuses(home)
            time.sleep(seconds)
            used, figures.memory_mb = _ticks(daemon.pid) - before, _resident_mb(daemon.pid)
            figures.core_percent = 100 * used / os.sysconf("SC_CLK_TCK") / seconds
            figures.status_per_second = max((after - asked[name]) / seconds for name, after in _statuses(home).items())
        finally:
            daemon.terminate()
            daemon.wait(20)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def _statuses(home: Home) -> dict[str, float]:
    """How many Status calls each voter has answered, as it counts them itself."""
    from quorate.foreign.http import Connection, Request, Site

    counted: dict[str, float] = {}
    with home.access() as access:
        context = access.tls.context() if access.tls is not None else None
        for member in home.load().members:
            with Connection(Site(member.client.host, member.client.port, context)) as connection:
                page = connection.ask(Request("GET", "/metrics"), seconds=5, most_bytes=8 << 20).body.decode()
            lines = [line for line in page.splitlines() if line.startswith("grpc_server_handled_total") and '"Status"' in line]
            counted[member.name] = sum(float(line.rpartition(" ")[2]) for line in lines)
    return counted


def simulated(hours: float, figures: Figures, seed: int) -> None:
    """Pauses of all voters in turn, each shorter than the limit, by the policy's defaults."""
    from model.pilots import acts
    from model.pilots import piloted as simulated_cluster

    choice, policy = random.Random(seed), Policy(voters=3, standbys=1)
    pilots = simulated_cluster(policy=policy)
    began = pilots.scene.world.clock.world
    while pilots.scene.world.clock.world - began < hours * 3600:
        name = choice.choice(["n1", "n2", "n3", "new"])
        seconds = choice.uniform(1.0, 0.97 * policy.window)
        pilots.cluster.pause(pilots.machine(name), seconds)
        pilots.rounds(int(seconds) + choice.randrange(2, 60))
        pilots.decided[:] = [one for one in pilots.decided if isinstance(one, Act)]
        pilots.scene.world.trace.clear()
    figures.simulated_hours += hours
    figures.false_removals += sum(rule == "replace" for rule in acts(pilots))


def real(minutes: float, etcd: str, figures: Figures, seed: int) -> None:
    choice = random.Random(seed)
    with cluster_of(3, etcd, "s1") as home, piloted(home) as pilot:
        ends_at = time.monotonic() + 60 * minutes
        removed: list[str] = []

        def look(found: Round) -> bool:
            if isinstance(found.next, Act):
                removed.append(found.next.rule)
            return time.monotonic() > paused_until

        while time.monotonic() < ends_at:
            name, seconds = choice.choice(["m1", "m2", "m3"]), choice.uniform(1.0, AFTER - 2.0)
            local.pause(home, name)
            paused_until = time.monotonic() + seconds
            rounds(pilot, look, 60)
            local.resume(home, name)
            paused_until = time.monotonic() + 3.0
            rounds(pilot, look, 60)
    figures.real_minutes += minutes
    figures.false_removals += sum(rule == "replace" for rule in removed)


def shown(figures: Figures) -> str:
    def median(values: list[float]) -> str:
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else "-"

    rows = [
        ("aligned to voter, less alignedFor", median(figures.promotion), "1.5 s at most"),
        ("end of `after` to three voters that serve", median(figures.replacement), "3 s, or twice the script"),
        ("the same two RPCs by a script", median(figures.script), ""),
        ("longest gap of a writer", median(figures.gap), "one election (1 to 2 s)"),
        ("lost writes", str(figures.lost), "0"),
        ("resident memory", f"{figures.memory_mb:.0f} MB", "60 MB"),
        ("share of a core", f"{figures.core_percent:.2f} %", "1 %"),
        ("Status calls a second and member", f"{figures.status_per_second:.2f}", "1"),
        (
            f"removals in {figures.simulated_hours:g} simulated hours and {figures.real_minutes:g} real minutes of pauses",
            str(figures.false_removals),
            "0",
        ),
    ]
    return "\n".join(["| what | measured | asked |", "| --- | --- | --- |", *("| " + " | ".join(row) + " |" for row in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the daemon's cost is measured")
    parser.add_argument("--etcd", default=str(ROOT / ".engines" / "bin" / "etcd-3.6"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    figures = Figures()
    for _ in range(given.rounds):
        promotion(given.etcd, figures)
        replacement(given.etcd, figures)
        script(given.etcd, figures)
    cost(given.etcd, given.seconds, figures)
    if given.hours:
        simulated(given.hours, figures, given.seed)
    if given.minutes:
        real(given.minutes, given.etcd, figures, given.seed)
    print(shown(figures))
    if given.output is not None:
        with given.output.open("a") as file:
            file.write(json.dumps(figures.__dict__) + "\n")


if __name__ == "__main__":
    main()
