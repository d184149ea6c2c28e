"""`quorate etcd look` beside what the real etcd of each version says of itself."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import RunCli

from quorate.core.versions import Version
from quorate.etcd.client import kv, lease, maintenance, rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.host.etcd_binary import read_version
from quorate.local import cluster
from quorate.local.home import Home
from quorate.offline.look import Look, look
from real.machines import flags_of

pytestmark = pytest.mark.real
SOON = 5.0
LEASE = b"/registry/leases/kube-node-lease/cp1"
CONFIG_MAP = b"/registry/secrets/default/a"


@dataclass(frozen=True)
class Filled:
    """A cluster of three with some data. `acknowledged`: the keys that it confirmed; `seen`: the state of its first member."""

    home: Home
    acknowledged: int
    revision: int

    def data(self, name: str = "m1") -> Path:
        return self.home.layout.member(name).data


@pytest.fixture
def filled(home: Home, any_etcd: str) -> Filled:
    cluster.up(home, 3, any_etcd)
    last = 0
    with home.access() as access:
        channel = access.channel(home.seeds()[0])
        for number in range(40):
            last = kv.put(channel, f"k/{number:03}".encode(), b"v" * 100, timeout=SOON).revision
        kv.put(channel, CONFIG_MAP, b"k8s:enc:aescbc:v1:old:\0\1", timeout=SOON)
        renewed = json.dumps({"spec": {"renewTime": "2026-11-26T16:02:11.000000Z"}}).encode()
        kv.put(channel, LEASE, renewed, timeout=SOON)
        held = lease.grant(channel, 600, timeout=SOON)
        last = kv.put(channel, b"leased", b"x", timeout=SOON, lease=held).revision
        kv.compact(channel, last - 5, timeout=SOON)
    return Filled(home, 43, last)


def settled(filled: Filled) -> dict[str, int]:
    """What the first member says of itself, once all entries are applied there."""
    with filled.home.access() as access:
        told = maintenance.status(access.channel(filled.home.seeds()[0]), timeout=SOON)
    return {"member": told.member_id, "cluster": told.cluster_id, "index": told.raft_index, "term": told.raft_term}


def test_a_stopped_member_is_read_as_it_says_itself(filled: Filled) -> None:
    told = settled(filled)
    cluster.stop(filled.home, "m1")
    found = look(filled.data(), deep=True)
    assert found.problems == ()
    assert (found.member_id, found.cluster_id) == (told["member"], told["cluster"])
    # One that leads gives that away when it is stopped.
    assert found.last >= (told["term"], told["index"])
    assert found.revision == filled.revision
    assert found.backend is not None and found.walk is not None
    assert sorted(one.name for one in found.backend.members) == ["m1", "m2", "m3"]
    assert not any(one.is_learner for one in found.backend.members)
    assert found.backend.leases == 1 and not found.backend.auth and found.backend.alarms == ()
    # Of the keys that quorate keeps only those of this run are there.
    assert found.walk.keys >= filled.acknowledged
    assert found.walk.encryption_keys == {"aescbc:v1:old"}
    assert found.walk.newest_lease is not None and f"{found.walk.newest_lease:%H:%M:%S}" == "16:02:11"
    assert found.backend.finished_compact == filled.revision - 5
    is_new = read_version(Path(filled.home.load().members[0].etcd)) >= Version(3, 6, 0)
    assert bool(found.backend.storage_version) == is_new
    voters = [len(one.voters) for one in found.seen]
    assert voters[0] == 1 and voters[-1] == 3 and voters == sorted(voters), "each configuration that the log has seen"


def test_what_was_acknowledged_is_in_the_log_of_a_killed_member(filled: Filled) -> None:
    """The commit index of a follower lags behind, and its database even more."""
    with filled.home.access() as access:
        channel = access.channel(filled.home.seeds()[0])
        for number in range(50):
            last = kv.put(channel, f"late/{number}".encode(), b"x", timeout=SOON)
    revision = last.revision
    for name in ("m1", "m2", "m3"):
        cluster.kill(filled.home, name)
    looks = [look(filled.data(name)) for name in ("m1", "m2", "m3")]
    assert all(one.problems == () and one.log is not None for one in looks)
    best = max(looks, key=lambda one: one.last)
    assert best.log is not None and best.backend is not None
    # An entry raises the revision by one at most: what the database lacks is in the log behind it.
    assert best.revision + best.last[1] - best.backend.index >= revision
    assert best.log.tail() >= 0 and best.last[0] == best.log.last_term


def test_a_running_member_is_read_and_not_disturbed(filled: Filled) -> None:
    before = settled(filled)
    for _ in range(20):
        found = look(filled.data(), deep=True)
        assert found.member_id == before["member"] and found.log is not None
    assert settled(filled)["term"] == before["term"]


def test_an_alarm_and_authentication_are_seen(filled: Filled, cli: RunCli, etcdctl: str) -> None:
    told = settled(filled)
    with filled.home.access() as access:
        request = wire.AlarmRequest(action=wire.AlarmRequest.ACTIVATE, memberID=told["member"], alarm=wire.NOSPACE)
        access.channel(filled.home.seeds()[0]).call(rpc.ALARM, request, SOON)
    cluster.stop(filled.home, "m1")
    found = look(filled.data())
    assert found.backend is not None and found.backend.alarms == ((told["member"], "NOSPACE"),)
    shown = cli("etcd", "look", str(filled.data()))
    assert shown.returncode == 0 and f"alarm        NOSPACE of {told['member']:x}" in shown.stdout
    assert f"member       {told['member']:x} of cluster {told['cluster']:x}" in shown.stdout


def test_a_snapshot_is_read_and_its_digest_compared(filled: Filled, cli: RunCli, etcdctl: str, tmp_path: Path) -> None:
    """`etcdutl snapshot status` is content with each of these."""
    file = tmp_path / "s.db"
    flags = [f"--endpoints={filled.home.seeds()[0]}", *(word for word in flags_of(filled.home) if "endpoints" not in word)]
    subprocess.run([etcdctl, *flags, "snapshot", "save", str(file)], check=True, capture_output=True, timeout=30)
    found = look(file, deep=True)
    assert found.digest == "right" and found.problems == () and found.revision == filled.revision
    assert found.walk is not None and found.walk.keys >= filled.acknowledged
    content = file.read_bytes()
    assert content[-32:] == hashlib.sha256(content[:-32]).digest()
    where = content.index(b"v" * 100)
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(content[:where] + b"w" + content[where + 1 :])
    assert look(damaged, deep=True).digest == "wrong"
    done = cli("etcd", "look", str(damaged), "--deep", "-o", "json")
    assert done.returncode == 1 and json.loads(done.stdout)["digest"] == "wrong"
    damaged.write_bytes(content[:-32])
    assert look(damaged, deep=True).digest == "missing"
    damaged.write_bytes(content[: len(content) // 2])
    cut = look(damaged, deep=True)
    assert cut.problems or cut.digest != "right"


def test_the_end_of_a_log_that_a_power_cut_tore(filled: Filled, tmp_path: Path) -> None:
    for name in ("m1", "m2", "m3"):
        cluster.kill(filled.home, name)
    whole = look(filled.data())
    assert whole.log is not None and whole.log.torn == ""
    (newest,) = sorted((filled.data() / "member/wal").glob("*.wal"))[-1:]
    content = newest.read_bytes()
    end = len(content.rstrip(b"\0"))
    for cut, why in ((end - 3, "wrong|longer|cannot be read"), (end - 40, "wrong|longer|cannot be read")):
        copied = tmp_path / f"copy{cut}"
        shutil.copytree(filled.data(), copied)
        torn = copied / "member/wal" / newest.name
        torn.write_bytes(content[:cut] + b"\xff" * 3 + bytes(len(content) - cut - 3))
        found = look(copied)
        assert found.log is not None and found.log.torn, why
        assert found.last[1] <= whole.last[1] and found.member_id == whole.member_id


def test_no_byte_that_is_changed_does_harm(filled: Filled, tmp_path: Path) -> None:
    """Whatever is damaged: named, or what is read is as before; never another error, and never for long."""
    import random

    for name in ("m1", "m2", "m3"):
        cluster.kill(filled.home, name)
    choice, copied = random.Random(1), tmp_path / "copy"
    shutil.copytree(filled.data(), copied)
    places = [copied / "member/snap/db", *sorted((copied / "member/wal").glob("*.wal"))]
    began = time.monotonic()
    for _ in range(200):
        path = choice.choice(places)
        with path.open("r+b") as file:
            content = file.read(1 << 16)
            at = choice.randrange(len(content))
            file.seek(at)
            file.write(bytes([choice.randrange(256)]) * choice.choice((1, 1, 8, 64)))
        found = look(copied, deep=True)
        assert isinstance(found, Look)
        json.dumps(found.as_dict())
        with path.open("r+b") as file:
            file.write(content)
    assert time.monotonic() - began < 60
    assert look(copied, deep=True).problems == ()
