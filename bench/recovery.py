"""What a recovery takes and loses, beside what is usually done by hand, in one run.

Each round makes three bare members under load, kills all at once, and loses the disks of two. Then, in alternating order and
each on a copy of the survivor's directory: `quorate etcd recover`, start, `quorate etcd add` twice; and `etcd
--force-new-cluster`, start, `etcdctl member add` twice with etcds that vote at once. Printed are the medians of the seconds to
the first write and to three voters, their ratios, the longest stop of writes while it grows, and the writes that clients were
told are done and that are gone.

    python bench/recovery.py --rounds 5 --etcd 3.6
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from quorate.deadline import SystemClock
from quorate.errors import QuorateError
from quorate.etcd.client import kv
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.cluster import Cluster
from quorate.host import ports
from quorate.host.etcd_binary import EtcdBinary, read_version
from quorate.offline.look import look
from quorate.recovery.judge_recovery import RecoveryJob
from quorate.recovery.recover import recover
from quorate.recovery.settle import settle
from quorate.report import silent

BIN = Path(__file__).resolve().parents[1] / ".engines" / "bin"
CLOCK = SystemClock()
NAMES = ("m1", "m2", "m3")


@dataclass
class Etcds:
    """Bare members on loopback, without TLS: the same for both ways."""

    program: str
    folder: Path
    urls: dict[str, tuple[str, str]] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, rows: Sequence[tuple[str, str]], *more: str, state: str = "existing") -> None:
        client, peer = self.urls[name]
        words = [self.program, f"--name={name}", f"--data-dir={self.folder / name}", f"--initial-cluster-state={state}"]
        words += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
        words += [f"--initial-advertise-peer-urls={peer}", "--initial-cluster=" + ",".join(f"{one}={url}" for one, url in rows)]
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen([*words, *more], stdout=log, stderr=log)

    def restart(self, name: str, rows: Sequence[tuple[str, str]]) -> None:
        self.end(name)
        self.start(name, rows)

    def end(self, *names: str) -> None:
        for name in names or list(self.running):
            self.running[name].kill()
        for name in names or list(self.running):
            self.running.pop(name).wait()

    def where(self, name: str) -> Endpoint:
        return Endpoint.parse(self.urls[name][0])


@contextmanager
def etcds(program: str, folder: Path) -> Iterator[Etcds]:
    folder.mkdir()
    found = ports.reserve(6, folder)
    made = Etcds(program, folder)
    for number, name in enumerate(NAMES):
        made.urls[name] = (f"http://127.0.0.1:{found[2 * number]}", f"http://127.0.0.1:{found[2 * number + 1]}")
    try:
        yield made
    finally:
        made.end()


def until(works: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(QuorateError):
            if works():  # type: ignore[operator]
                return
        time.sleep(0.005)
    raise SystemExit(f"not reached within {seconds:g} s")


class Writer(threading.Thread):
    """Writes one key after the other; notes what was acknowledged, and when."""

    def __init__(self, where: Endpoint, who: int) -> None:
        super().__init__(daemon=True)
        self.where, self.who = where, who
        self.done: list[bytes] = []
        self.at: list[float] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        with Access() as access:
            channel = access.channel(self.where)
            while not self.is_over.is_set():
                key = f"w{self.who}-{len(self.done)}".encode()
                with suppress(QuorateError):
                    kv.put(channel, key, b"v" * 100, timeout=0.5)
                    self.done.append(key)
                    self.at.append(time.monotonic())

    def stop(self) -> None:
        self.is_over.set()
        self.join()

    def gap(self) -> float:
        return max((later - one for one, later in zip(self.at, self.at[1:], strict=False)), default=0.0)


def lost_cluster(made: Etcds, seconds: float) -> tuple[str, list[bytes]]:
    """Returns the survivor and what was acknowledged."""
    rows = [(name, made.urls[name][1]) for name in NAMES]
    for name in NAMES:
        made.start(name, rows, state="new")
    with Access() as access:
        until(lambda: kv.put(access.channel(made.where("m1")), b"begin", b"x", timeout=1))
    writers = [Writer(made.where(NAMES[number % 3]), number) for number in range(8)]
    for writer in writers:
        writer.start()
    time.sleep(seconds)
    made.end()
    for writer in writers:
        writer.stop()
    best = max(NAMES, key=lambda name: look(made.folder / name).last)
    return best, [key for writer in writers for key in writer.done]


@dataclass
class Result:
    first: float
    three: float
    gap: float
    lost: int


def grown(made: Etcds, survivor: str, began: float, acknowledged: list[bytes], grow: object) -> Result:
    with Access() as access:
        channel = access.channel(made.where(survivor))
        until(lambda: kv.put(channel, b"again", b"x", timeout=0.5))
        first = time.monotonic() - began
        writer = Writer(made.where(survivor), 99)
        writer.start()
        try:
            grow()  # type: ignore[operator]
            three = time.monotonic() - began
            time.sleep(0.5)
        finally:
            writer.stop()
        there = {row.key for row in kv.get_prefix(channel, b"w", timeout=30)}
    return Result(first, three, writer.gap(), sum(key not in there for key in acknowledged))


def ours(made: Etcds, survivor: str, acknowledged: list[bytes]) -> Result:
    others = tuple(name for name in NAMES if name != survivor)
    program = EtcdBinary(Path(made.program), read_version(Path(made.program)))
    peer = made.urls[survivor][1]
    job = RecoveryJob(made.folder / survivor, program, BIN / "etcdutl", survivor, peer, 2 << 30, gone=others)
    began = time.monotonic()
    recover(job, CLOCK, silent)
    made.start(survivor, [(survivor, peer)])

    def grow() -> None:
        with Access() as access:
            cluster = Cluster(access, [made.where(survivor)])
            settle(cluster, job.data_dir)
            for name in others:
                cluster.add(name, made.urls[name][1], start=made.start, restart=made.restart)

    return grown(made, survivor, began, acknowledged, grow)


def by_hand(made: Etcds, survivor: str, acknowledged: list[bytes]) -> Result:
    others = [name for name in NAMES if name != survivor]
    peer = made.urls[survivor][1]
    began = time.monotonic()
    made.start(survivor, [(survivor, peer)], "--force-new-cluster")

    def grow() -> None:
        rows = [(survivor, peer)]
        for name in others:
            rows.append((name, made.urls[name][1]))
            add = ["etcdctl", f"--endpoints={made.urls[survivor][0]}", "member", "add", name, f"--peer-urls={rows[-1][1]}"]
            until(
                lambda add=add: subprocess.run([str(BIN / add[0]), *add[1:]], capture_output=True, check=False).returncode == 0
            )
            made.start(name, rows)
            with Access() as access:
                until(lambda: kv.get(access.channel(made.where(name)), b"begin", timeout=0.5))  # noqa: B023

    return grown(made, survivor, began, acknowledged, grow)


def one_round(program: str, folder: Path, number: int, seconds: float) -> dict[str, Result]:
    found: dict[str, Result] = {}
    with etcds(program, folder / f"lost{number}") as made:
        survivor, acknowledged = lost_cluster(made, seconds)
        for name, way in (("ours", ours), ("by hand", by_hand))[:: 1 if number % 2 else -1]:
            with etcds(program, folder / f"{name.replace(' ', '-')}{number}") as copy:
                # With the URLs of before: they are in the log.
                copy.urls = made.urls
                shutil.copytree(made.folder / survivor, copy.folder / survivor)
                found[name] = way(copy, survivor, acknowledged)
    print(f"round {number}: {len(acknowledged)} writes acknowledged; lost: {[(name, one.lost) for name, one in found.items()]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--etcd", default="3.6")
    parser.add_argument("--load-seconds", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = [
            one_round(str(BIN / f"etcd-{given.etcd}"), Path(folder), number, given.load_seconds)
            for number in range(1, given.rounds + 1)
        ]
    table = {
        name: {what: statistics.median(getattr(one[name], what) for one in rounds) for what in ("first", "three", "gap")}
        | {"lost": sum(one[name].lost for one in rounds)}
        for name in ("ours", "by hand")
    }
    ratios = {what: table["ours"][what] / table["by hand"][what] for what in ("first", "three")}
    if given.json:
        print(json.dumps({"etcd": given.etcd, "rounds": given.rounds, **table, "ratios": ratios}))
        return 0
    print(f"etcd {given.etcd}, {given.rounds} rounds, medians")
    for name, row in table.items():
        print(
            f"{name:8} first write {row['first']:5.2f} s, three voters {row['three']:5.2f} s, "
            f"longest stop of writes {row['gap']:5.2f} s, lost {row['lost']:.0f}"
        )
    print(f"ratio    first write {ratios['first']:5.2f}  , three voters {ratios['three']:5.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
