"""How long a join takes, 1 -> 2 members, against the tightest loop that could do it, in one run.

The floor does add, start, the same one restart where it helps, promote, read, and checks nothing. Ours is
`quorate local join` as a library call, from the MemberAdd to a voter that answered a linearizable read. Both on a fresh
cluster over TLS with a database of --keys keys, in alternating order. Prints medians, and the ratio of the medians.

    python bench/join_floor.py --rounds 10 --etcd 3.6 --etcd 3.7
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from quorate.errors import QuorateError
from quorate.etcd import kv, member_rpc, peer
from quorate.etcd.channel import Channel
from quorate.etcd.errors import EtcdError
from quorate.local import certificates, cluster, grow
from quorate.local.home import Home
from quorate.local.layout import Layout

BIN = Path(__file__).resolve().parents[1] / ".engines" / "bin"
GRACE = 0.1
Mode = Callable[[Home], float]


def fill(home: Home, keys: int, value_bytes: int) -> None:
    with home.access() as access:
        channel = access.channel(home.seeds()[0])
        for number in range(keys):
            kv.put(channel, f"bench/{number}".encode(), b"v" * value_bytes, timeout=10)


def floor(home: Home) -> float:
    """Seconds from MemberAdd to the first linearizable read answered by the promoted member."""
    return _floor(home, restart=True)


def alone(home: Home) -> float:
    """The floor without the restart: what a join costs when the lost publish is waited out."""
    return _floor(home, restart=False)


def _floor(home: Home, *, restart: bool) -> float:
    joiner = grow.prepare(home, "m2", None)
    tls, runtime = certificates.peer_tls(home.layout, "m2"), home.runtime()
    with home.access() as access:
        leader, own = access.channel(home.seeds()[0]), access.channel(joiner.client)
        began = time.monotonic()
        member_id = member_rpc.add_learner(leader, [joiner.peer_url], timeout=5)
        first = home.load().members[0]
        runtime.start("m2", [(first.name, first.peer_url), ("m2", joiner.peer_url)])
        seen_at = None
        while restart and not answers(own):
            listed = peer.members(joiner.peer_url, tls, timeout=0.25)
            if listed and any(row.id == member_id and row.client_urls for row in listed.members):
                seen_at = seen_at or time.monotonic()
                if time.monotonic() - seen_at > GRACE:
                    runtime.restart("m2")
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


def measure(etcd: str, mode: Mode, keys: int, value_bytes: int) -> float:
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as scratch:
        home = Home(Layout(Path(scratch) / "cluster"))
        try:
            cluster.up(home, 1, str(BIN / f"etcd-{etcd}"))
            fill(home, keys, value_bytes)
            return mode(home)
        finally:
            cluster.down(home, purge=True)


def compare(etcd: str, arguments: argparse.Namespace) -> dict[str, object]:
    modes: list[Mode] = [floor, ours, *([alone] if arguments.alone else [])]
    seconds: dict[str, list[float]] = {mode.__name__: [] for mode in modes}
    for round_number in range(arguments.rounds):
        for mode in modes if round_number % 2 == 0 else reversed(modes):
            seconds[mode.__name__].append(measure(etcd, mode, arguments.keys, arguments.value_bytes))
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    ratio = round(medians["ours"] / medians["floor"], 2)
    print(f"etcd {etcd}: {medians}  ours/floor {ratio}", file=sys.stderr)
    return {"etcd": etcd, "keys": arguments.keys, "medians": medians, "ratio": ratio, "seconds": seconds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--etcd", action="append", help="series to measure; may be repeated (default 3.5, 3.6, 3.7)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--keys", type=int, default=300, help="keys written before the join")
    parser.add_argument("--value-bytes", type=int, default=100)
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
