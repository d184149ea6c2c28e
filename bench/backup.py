"""What a backup of a large database costs beside etcdctl's, and what looking at its data costs; in one run, alternating.

One bare member on loopback gets --megabytes of values of 10 kB. Printed are the medians of the rounds: `etcdctl snapshot save`
and `quorate etcd backup save`, which also compares the digest and reads every key (asked: at least 0.9 of its rate); and of the
data of the stopped member `quorate etcd look` (asked: 0.3 s for a gigabyte), `look --deep` (6 s), and the anonymous memory of
each (80 MB).

    python bench/backup.py --megabytes 1000 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from quorate.etcd.client import kv
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.host import ports

BIN = Path(__file__).resolve().parents[1] / ".engines" / "bin"
VALUE_BYTES, WRITERS = 10_000, 16


@dataclass(frozen=True)
class Cost:
    """Of one process: wall-clock seconds, and the most anonymous memory in megabytes."""

    seconds: float
    megabytes: float


def cost(words: Sequence[str]) -> Cost:
    began, most = time.monotonic(), 0.0
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while running.poll() is None:
        most = max(most, anonymous(running.pid))
        time.sleep(0.02)
    if running.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {running.returncode}")
    return Cost(time.monotonic() - began, most)


def anonymous(pid: int) -> float:
    try:
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(row.split()[1]) / 1024 for row in rows if row.startswith("RssAnon:")), 0.0)


def fill(url: str, megabytes: int) -> None:
    """Writes values that cannot be compressed, by several writers."""
    count = megabytes * 1_000_000 // VALUE_BYTES
    with Access(None, None) as access, ThreadPoolExecutor(WRITERS) as writers:
        channel = access.channel(Endpoint.parse(url))

        def write(number: int) -> None:
            kv.put(channel, f"/bench/{number:08}".encode(), os.urandom(VALUE_BYTES), timeout=60)

        for _ in writers.map(write, range(count)):
            pass


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(one.seconds for one in costs), max(one.megabytes for one in costs))


def measured(folder: Path, etcd: str, megabytes: int, rounds: int) -> dict[str, Cost]:
    client, peer = (f"http://127.0.0.1:{port}" for port in ports.reserve(2, folder / "data"))
    urls = [f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
    own = [
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=m1={peer}",
        "--name=m1",
        "--quota-backend-bytes=8000000000",
    ]
    words = [str(BIN / etcd), f"--data-dir={folder / 'data'}", "--quota-backend-bytes=8000000000", *urls, *own]
    quorate = [sys.executable, "-m", "quorate", "etcd"]
    with (folder / "log").open("wb") as log:
        member = subprocess.Popen(words, stdout=log, stderr=log)
    costs: dict[str, list[Cost]] = {name: [] for name in ("etcdctl save", "backup save", "look", "look --deep")}
    try:
        time.sleep(2)
        fill(client, megabytes)
        for _ in range(rounds):
            for name in ("etcdctl save", "backup save"):
                shutil.rmtree(folder / "saved", ignore_errors=True)
                (folder / "saved").mkdir(mode=0o700)
                etcdctl = [str(BIN / "etcdctl"), f"--endpoints={client}", "snapshot", "save", str(folder / "saved" / "one.db")]
                ours = [*quorate, "backup", "save", str(folder / "saved"), "--endpoints", client]
                costs[name].append(cost(etcdctl if name == "etcdctl save" else ours))
    finally:
        member.terminate()
        member.wait()
    for _ in range(rounds):
        costs["look"].append(cost([*quorate, "look", str(folder / "data")]))
        costs["look --deep"].append(cost([*quorate, "look", str(folder / "data"), "--deep"]))
    return {name: median(rows) for name, rows in costs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--etcd", default="etcd-3.6")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as folder:
        found = measured(Path(folder), given.etcd, given.megabytes, given.rounds)
    for name, one in found.items():
        print(f"{name:<14}{one.seconds:8.2f} s{one.megabytes:8.0f} MB anonymous")
    ratio = found["etcdctl save"].seconds / found["backup save"].seconds
    print(f"rate of backup save: {ratio:.2f} of etcdctl's")
    if given.output is not None:
        shown = {name: {"seconds": one.seconds, "megabytes": one.megabytes} for name, one in found.items()}
        with given.output.open("a") as file:
            file.write(
                json.dumps({"megabytes": given.megabytes, "rounds": given.rounds, "ratio": ratio, "costs": shown}) + "\n"
            )


if __name__ == "__main__":
    main()
