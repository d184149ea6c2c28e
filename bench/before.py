"""This tree beside an earlier commit, in one run, in alternating order: 1 -> 3 members side by side, and `quorate etcd status`.

    python bench/before.py --base HEAD~1 --rounds 8 --etcd 3.6 --etcd 3.7

Prints the medians in seconds and their ratio, with the mean and the longest round. A join counts from the first MemberAdd to
the last verified voter, as the tool says it; a status is the time of the whole command on three healthy members, and on three
of which one stands still.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".engines" / "bin"
Measure = Callable[[str, Path], float]


def quorate(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`quorate ARGUMENTS` of one of the two trees."""
    environment = {**os.environ, "PYTHONPATH": source}
    return subprocess.run(
        [sys.executable, "-m", "quorate", *arguments], env=environment, capture_output=True, text=True, check=False
    )


def grow(etcd: str) -> Measure:
    def measure(source: str, folder: Path) -> float:
        try:
            up = quorate(source, "local", "up", "--members=3", f"--etcd={etcd}", f"--dir={folder}")
            assert up.returncode == 0, up.stderr
            return max(map(float, re.findall(r"(?:serves|was a serving voter) ([0-9.]+) s after it was added", up.stdout)))
        finally:
            quorate(source, "local", "down", "--purge", f"--dir={folder}")

    return measure


def status(flags: list[str]) -> Measure:
    def measure(source: str, _folder: Path) -> float:
        began = time.monotonic()
        done = quorate(source, "etcd", "status", *flags)
        assert "voter" in done.stdout, done.stderr
        return time.monotonic() - began

    return measure


@contextmanager
def earlier(base: str, scratch: Path) -> Iterator[str]:
    """The sources of an earlier commit."""
    tree = scratch / "base"
    subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "--detach", str(tree), base], check=True, capture_output=True)
    try:
        yield str(tree / "src")
    finally:
        subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(tree)], check=True, capture_output=True)


@contextmanager
def three(etcd: str, folder: Path) -> Iterator[list[str]]:
    """A cluster of three, and the flags that reach it through one endpoint."""
    up = quorate(str(ROOT / "src"), "local", "up", "--members=3", f"--etcd={etcd}", f"--dir={folder}", "-o", "json")
    assert up.returncode == 0, up.stderr
    saved = json.loads((folder / "cluster.json").read_text())
    pki = folder / "pki" / "etcd"
    try:
        yield [
            f"--endpoints=https://127.0.0.1:{saved['members'][0]['client_port']}", f"--cacert={pki}/ca.crt",
            f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key",
        ]  # fmt: skip
    finally:
        quorate(str(ROOT / "src"), "local", "down", "--purge", f"--dir={folder}")


def compare(name: str, measure: Measure, base: str, rounds: int, scratch: Path) -> dict[str, object]:
    sources = {"before": base, "now": str(ROOT / "src")}
    found: dict[str, list[float]] = {which: [] for which in sources}
    for number in range(rounds):
        for which in sources if number % 2 == 0 else reversed(sources):
            found[which].append(measure(sources[which], scratch / f"{which}{number}"))
    medians = {which: round(statistics.median(values), 3) for which, values in found.items()}
    # Joins are a mixture of two kinds of rounds, with and without a wait of seven seconds: no median shows both.
    means = {which: round(statistics.mean(values), 3) for which, values in found.items()}
    most = {which: round(max(values), 3) for which, values in found.items()}
    ratio = round(medians["now"] / medians["before"], 2)
    print(f"{name}: {medians}  now/before {ratio}; means {means}, most {most}", file=sys.stderr, flush=True)
    return {
        "what": name,
        "medians": medians,
        "means": means,
        "most": most,
        "ratio": ratio,
        "rounds": {key: [round(one, 3) for one in found[key]] for key in found},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="HEAD~1", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--etcd", action="append", help="series to measure; may be repeated (default 3.6, 3.7)")
    arguments = parser.parse_args()
    results: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as text, earlier(arguments.base, Path(text)) as base:
        scratch = Path(text)
        for series in arguments.etcd or ["3.6", "3.7"]:
            measure = grow(str(BIN / f"etcd-{series}"))
            results += [compare(f"1 -> 3, etcd {series}", measure, base, arguments.rounds, scratch)]
        with three(str(BIN / "etcd-3.6"), scratch / "three") as flags:
            results.append(compare("status, three healthy", status(flags), base, arguments.rounds, scratch))
            record = json.loads((scratch / "three" / "members" / "m3" / "process.json").read_text())
            os.kill(int(record["pid"]), signal.SIGSTOP)
            results.append(compare("status, one stands still", status(flags), base, arguments.rounds, scratch))
            os.kill(int(record["pid"]), signal.SIGCONT)
    print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
