"""All that a survivor has written down is in the snapshot that is made of it, also what it did not know to be committed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from quorate.deadline import SystemClock
from quorate.errors import QuorateError
from quorate.etcd.client import kv
from quorate.foreign.protobuf import numbers_and_bytes
from quorate.host.etcd_binary import EtcdBinary, read_version
from quorate.local import cluster
from quorate.local.home import Home
from quorate.offline import bolt
from quorate.offline.look import look
from quorate.recovery.distil import distil

pytestmark = pytest.mark.real
CLOCK = SystemClock()


@contextmanager
def writers(home: Home, number: int) -> Iterator[dict[bytes, int]]:
    """Writes without a break; yields what was acknowledged, each key with its revision."""
    done, stop = dict[bytes, int](), threading.Event()

    def write(who: int) -> None:
        with home.access() as access:
            channel = access.channel(home.seeds()[0])
            count = 0
            while not stop.is_set():
                key = f"w{who}-{count}".encode()
                try:
                    done[key] = kv.put(channel, key, b"v" * 40, timeout=1).revision
                except QuorateError:
                    return
                count += 1

    threads = [threading.Thread(target=write, args=[who]) for who in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def kill_all(home: Home) -> None:
    for name in ("m1", "m2", "m3"):
        cluster.kill(home, name)


def of_file(path: Path) -> dict[bytes, int]:
    """Returns the keys of a snapshot, each with the revision of its newest value."""
    with bolt.opened(path) as found:
        rows = [numbers_and_bytes(row) for _, row in found.bucket(b"key")]
        return {bytes(content[1]): numbers.get(3, 0) for numbers, content in rows if 1 in content}


@pytest.mark.parametrize("load", [1, 8])
def test_no_acknowledged_write_is_lost(home: Home, any_etcd: str, tmp_path: Path, load: int) -> None:
    cluster.up(home, 3, any_etcd)
    with writers(home, load) as done:
        CLOCK.sleep(0.7)
        kill_all(home)
    survivor = max((home.layout.member(f"m{number}").data for number in (1, 2, 3)), key=lambda data: look(data).last)
    before = {path: path.read_bytes() for path in survivor.rglob("*") if path.is_file()}
    work = tmp_path / "work"
    work.mkdir()
    made = distil(survivor / "member", work, EtcdBinary(Path(any_etcd), read_version(Path(any_etcd))), CLOCK)
    kept = of_file(made.path)
    assert done and {key: kept.get(key) for key in done} == done
    assert look(made.path, deep=True).digest == "right"
    assert {path: path.read_bytes() for path in survivor.rglob("*") if path.is_file()} == before, "nothing is written to it"
    # Where the database has everything already, no etcd is started.
    assert {one.name for one in work.iterdir()} - {"etcd.log"} == {"survivor.db"}
