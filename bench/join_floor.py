"""How long a join takes, 1 -> 2 members, against the tightest loop that could do it, in one run.

The floor does add, start, the same one restart where it helps, promote, read, and checks nothing. Ours is
`quorate local join` as a library call, from the MemberAdd to a voter that answered a linearizable read. Both on a copy of the
same cluster over TLS with a database of --megabytes, with a writer beside them, in alternating order. Prints the medians of
the time and of the writer's longest gap, and the ratio of the times.

    python bench/join_floor.py --rounds 10 --etcd 3.6 --etcd 3.7
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import QuorateError
from quorate.etcd.client import kv
from quorate.etcd.client import peer_port as peer
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.membership import member_rpc
from quorate.local import certificates, cluster, grow
from quorate.local.home import Home
from quorate.local.layout import Layout

BIN = Path(__file__).resolve().parents[1] / ".engines" / "bin"
GRACE = 0.05
VALUE_BYTES = 100_000
Mode = Callable[[Home], float]


def fill(home: Home, keys: int, value_bytes: int, prefix: str) -> None:
    with home.access() as access:
        channel = access.channel(home.seeds()[0])
        for number in range(keys):
            kv.put(channel, f"{prefix}/{number}".encode(), b"v" * value_bytes, timeout=10)


def floor(home: Home) -> float:
    """Seconds from MemberAdd to the first linearizable read answered by the promoted member."""
    return _floor(home, restart=True)


def alone(home: Home) -> float:
    """The floor without the restart: what a join costs when the lost publish is waited out."""
    return _floor(home, restart=False)


def _floor(home: Home, *, restart: bool) -> float:
    joiner = grow.prepare(home, "m2", None)
    tls, runtime = certificates.peer_tls(home.layout, "m2"), home.runtime("m2")
    with home.access() as access:
        leader, own = access.channel(home.seeds()[0]), access.channel(joiner.client)
        began = time.monotonic()
        member_id = member_rpc.add_learner(leader, [joiner.peer_url], timeout=5).member_id
        first = home.load().members[0]
        runtime.start([(first.name, first.peer_url), ("m2", joiner.peer_url)])
        seen_at = None
        while restart and not answers(own):
            listed = peer.members(joiner.peer_url, tls, timeout=0.25)
            if listed and any(row.id == member_id and row.client_urls for row in listed.members):
                seen_at = seen_at or time.monotonic()
                if time.monotonic() - seen_at > GRACE:
                    runtime.restart()
                    break
            time.sleep(0.01)
        until(lambda: member_rpc.promote(leader, member_id, timeout=5))
        until(lambda: kv.get(own, b"bench/0", timeout=0.25))
        return time.monotonic() - began


def answers(channel: Channel) -> bool:
    try:
        kv.get(channel, b"bench/0", timeout=0.1, serializable=True)
    except EtcdError:
        return False
    return True


def until(attempt: Callable[[], object]) -> None:
    while True:
        try:
            attempt()
        except EtcdError:
            time.sleep(0.005)
        else:
            return


def ours(home: Home) -> float:
    (result,) = cluster.join(home, "m2").joined
    return result.timings["serving"]


@dataclass(frozen=True)
class Round:
    """Seconds from the MemberAdd to the first read of the new voter, and the longest time without a write meanwhile."""

    seconds: float
    gap: float


def prepare_template(folder: Path, etcd: str, megabytes: int) -> None:
    """A stopped cluster of one with so much data, to be copied for every round."""
    home = Home(Layout(folder))
    try:
        cluster.up(home, 1, str(BIN / f"etcd-{etcd}"))
        fill(home, megabytes * 1_000_000 // VALUE_BYTES, VALUE_BYTES, "data")
    finally:
        cluster.down(home)


def measure(template: Path, mode: Mode, keys: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as scratch:
        home = Home(Layout(Path(scratch) / "cluster"))
        shutil.copytree(template, home.layout.root)
        try:
            cluster.up(home, 1)
            # Behind a restart the leader still has its whole log: these make it drop the old entries, as one that runs on has.
            fill(home, keys, 100, "bench")
            with home.probe() as probe:
                seconds = mode(home)
            return Round(seconds, probe.gap.longest)
        finally:
            cluster.down(home, purge=True)


def compare(etcd: str, arguments: argparse.Namespace) -> dict[str, object]:
    modes: list[Mode] = [floor, ours, *([alone] if arguments.alone else [])]
    rounds: dict[str, list[Round]] = {mode.__name__: [] for mode in modes}
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as scratch:
        template = Path(scratch) / "template"
        prepare_template(template, etcd, arguments.megabytes)
        for number in range(arguments.rounds):
            for mode in modes if number % 2 == 0 else reversed(modes):
                rounds[mode.__name__].append(measure(template, mode, arguments.keys))
    medians = {name: round(statistics.median(one.seconds for one in found), 3) for name, found in rounds.items()}
    gaps = {name: round(statistics.median(one.gap for one in found), 3) for name, found in rounds.items()}
    ratio = round(medians["ours"] / medians["floor"], 2)
    print(
        f"etcd {etcd}, {arguments.megabytes} MB: {medians}  ours/floor {ratio}  longest gap {gaps}", file=sys.stderr, flush=True
    )
    raw = {name: [(round(one.seconds, 3), one.gap) for one in found] for name, found in rounds.items()}
    return {"etcd": etcd, "megabytes": arguments.megabytes, "medians": medians, "ratio": ratio, "gaps": gaps, "rounds": raw}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--etcd", action="append", help="series to measure; may be repeated (default 3.5, 3.6, 3.7)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--megabytes", type=int, default=0, help="data that is there before the join")
    parser.add_argument("--keys", type=int, default=300, help="small keys written right before the join")
    parser.add_argument("--alone", action="store_true", help="also measure the floor without the one restart")
    arguments = parser.parse_args()
    try:
        results = [compare(etcd, arguments) for etcd in arguments.etcd or ["3.5", "3.6", "3.7"]]
    except QuorateError as error:
        raise SystemExit(f"{error.what}\n{error.state}") from error
    print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
