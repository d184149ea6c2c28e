"""What is lost of what clients were told is done, when two of three members are gone: by us, by `--force-new-cluster`, and by
a restore of the bare database file. Trials of every row on every etcd, each a line of JSON in --output: a run that was cut off
goes on where it was.

    python bench/loss.py --trials 30 --output bench/loss.jsonl       an hour
    python bench/loss.py --output bench/loss.jsonl --table           the table of what is there, as in docs/recovery.md
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.recovery import BIN, CLOCK, NAMES, Etcds, etcds, until
from quorate.errors import QuorateError
from quorate.etcd.client import kv, rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.connections import Access
from quorate.foreign.protobuf import numbers_and_bytes
from quorate.host.etcd_binary import EtcdBinary, read_version
from quorate.offline import bolt
from quorate.offline.look import look
from quorate.recovery.distil import distil

ROWS = {
    "one writer, killed at once": (1, False, False),
    "eight writers, killed at once": (8, False, False),
    "eight writers, the survivor is stopped later": (8, False, True),
    "eight chains of compared writes, killed at once": (8, True, False),
}
"""Writers; whether each write compares the one before it; whether the survivor is stopped a second after the others, by
SIGTERM."""
VERSIONS = ("3.4", "3.5", "3.6", "3.7")
WAYS = ("ours", "force", "bare")
_WORDS = {"ours": "`quorate etcd recover`", "force": "--force-new-cluster", "bare": "its bare database"}


@dataclass
class Chain(threading.Thread):
    """Writes one key after the other, or one key again and again, each write only where the last one is what it was."""

    made: Etcds
    who: int
    compares: bool
    done: dict[bytes, int] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        last = count = 0
        with Access() as access, suppress(QuorateError):
            channel = access.channel(self.made.where(NAMES[self.who % 3]))
            while not self.stop.is_set():
                key = f"w{self.who}".encode() if self.compares else f"w{self.who}-{count}".encode()
                if self.compares:
                    same = wire.Compare(key=key, target=wire.Compare.MOD, result=wire.Compare.EQUAL, mod_revision=last)
                    put = wire.RequestOp(request_put=wire.PutRequest(key=key, value=b"v%d" % count))
                    answer = channel.call(rpc.TXN, wire.TxnRequest(compare=[same], success=[put]), 1.0)
                    assert answer.succeeded
                    last = answer.header.revision
                else:
                    last = kv.put(channel, key, b"v" * 40, timeout=1.0).revision
                self.done[key] = last
                count += 1


def of_file(path: Path) -> dict[bytes, int]:
    """Returns the keys of a database, each with the revision of its newest value."""
    with bolt.opened(path) as found:
        rows = [numbers_and_bytes(row) for _, row in found.bucket(b"key")]
    return {bytes(content[1]): numbers.get(3, 0) for numbers, content in rows if 1 in content}


def lost_cluster(made: Etcds, writers: int, *, compares: bool, later: bool) -> tuple[str, dict[bytes, int]]:
    rows = [(name, made.urls[name][1]) for name in NAMES]
    for name in NAMES:
        made.start(name, rows, state="new")
    with Access() as access:
        until(lambda: kv.put(access.channel(made.where("m1")), b"begin", b"x", timeout=1))
    chains = [Chain(made, number, compares) for number in range(writers)]
    for chain in chains:
        chain.start()
    time.sleep(0.8)
    if later:
        made.end("m2", "m3")
        time.sleep(1.0)
        process = made.running.pop("m1")
        process.terminate()
        process.wait(30)
    else:
        made.end()
    for chain in chains:
        chain.stop.set()
        chain.join()
    survivor = "m1" if later else max(NAMES, key=lambda name: look(made.folder / name).last)
    return survivor, {key: revision for chain in chains for key, revision in chain.done.items()}


def ours(data: Path, folder: Path, program: Path) -> dict[bytes, int]:
    work = folder / "work"
    work.mkdir()
    return of_file(distil(data / "member", work, EtcdBinary(program, read_version(program)), CLOCK).path)


def force(data: Path, folder: Path, program: Path, made: Etcds, survivor: str) -> dict[bytes, int]:
    with etcds(str(program), folder / "forced") as copy:
        copy.urls = made.urls
        shutil.copytree(data, copy.folder / survivor)
        copy.start(survivor, [(survivor, made.urls[survivor][1])], "--force-new-cluster")
        with Access() as access:
            channel = access.channel(copy.where(survivor))
            until(lambda: kv.put(channel, b"again", b"x", timeout=0.5))
            return {row.key: row.mod_revision for row in kv.get_prefix(channel, b"w", timeout=30)}


def trial(row: str, version: str, folder: Path) -> dict[str, int]:
    writers, compares, later = ROWS[row]
    program = BIN / f"etcd-{version}"
    with etcds(str(program), folder / "lost") as made:
        survivor, acknowledged = lost_cluster(made, writers, compares=compares, later=later)
        data = made.folder / survivor
        found = {
            "ours": ours(data, folder, program),
            "bare": of_file(data / "member" / "snap" / "db"),
            "force": force(data, folder, program, made, survivor),
        }
    # Later entries of the log may have written a key again: what counts is that nothing older is there.
    lost = {way: sum(there.get(key, 0) < revision for key, revision in acknowledged.items()) for way, there in found.items()}
    return {"acknowledged": len(acknowledged), **lost}


def table(lines: Sequence[dict[str, object]]) -> str:
    ways = " | ".join(f"`{_WORDS[way]}`" if way == "force" else _WORDS[way] for way in WAYS)
    head = [f"| etcd | what | trials | {ways} |", "| --- | --- | --- | --- | --- | --- |"]
    for version in VERSIONS:
        for row in ROWS:
            own = [line for line in lines if (line["etcd"], line["row"]) == (version, row)]
            if not own:
                continue
            cells = [
                f"{sum(int(str(line[way])) > 0 for line in own)} ({sum(int(str(line[way])) for line in own)})" for way in WAYS
            ]
            head.append(f"| {version} | {row} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(head)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    lines = [json.loads(line) for line in given.output.read_text().splitlines()] if given.output.exists() else []
    if given.table:
        print(table(lines))
        return 0
    done = Counter((line["etcd"], line["row"]) for line in lines)
    for number in range(given.trials):
        for version in VERSIONS:
            for row in ROWS:
                if done[version, row] > number or not (BIN / f"etcd-{version}").exists():
                    continue
                with tempfile.TemporaryDirectory(prefix="quorate-loss-") as folder:
                    line = {"etcd": version, "row": row, **trial(row, version, Path(folder))}
                with given.output.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(line, flush=True)
    lines = [json.loads(line) for line in given.output.read_text().splitlines()]
    print(table(lines))
    return 1 if any(line["ours"] for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
