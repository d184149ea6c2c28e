"""Backups on a real server that speaks S3: SeaweedFS, built from its Go module (`make engines-s3`)."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import RunCli, engine

from quorate.backup.objects import at_url
from quorate.backup.spool import path_of
from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.host import ports
from quorate.local import cluster
from quorate.local.home import Home
from real.machines import flags_of
from real.rows.processes import until

pytestmark = [pytest.mark.real, pytest.mark.chaos, pytest.mark.timeout(300)]
CLOCK = SystemClock()
IDENTITY = {"name": "q", "credentials": [{"accessKey": "AK", "secretKey": "SK"}], "actions": ["Admin"]}
WORK = Path("/var/tmp")


@dataclass(frozen=True)
class Server:
    """Where it listens, and the variables with which it is reached."""

    variables: dict[str, str]
    process: subprocess.Popen[bytes]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    master, volume, filer, s3, *more = reserved = ports.reserve(8, tmp_path / "weed")
    (tmp_path / "s3.json").write_text(json.dumps({"identities": [IDENTITY]}))
    words = [
        *(engine("weed"), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={tmp_path}", "-filer", "-s3"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"),
        *(f"-master.port.grpc={more[0]}", f"-volume.port.grpc={more[1]}", f"-filer.port.grpc={more[2]}"),
        *(f"-s3.port.grpc={more[3]}", f"-s3.config={tmp_path / 's3.json'}", "-volume.max=5", "-master.volumeSizeLimitMB=64"),
    ]
    with (tmp_path / "weed.log").open("wb") as log:
        running = subprocess.Popen(words, stdout=log, stderr=log, cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)})
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_ACCESS_KEY_ID": "AK",
        "AWS_SECRET_ACCESS_KEY": "SK",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    try:
        until(lambda: _takes(running), 60)
        yield Server(variables, running)
    finally:
        running.kill()
        running.wait()
        # It makes sockets there, whatever TMPDIR says.
        for path in Path("/tmp").glob("seaweedfs-*.sock"):
            if path.stem.rpartition("-")[2] in map(str, reserved):
                path.unlink()


def _takes(running: subprocess.Popen[bytes]) -> bool:
    """Makes the bucket, once the server is there."""
    assert running.poll() is None
    from obstore import put
    from obstore.store import S3Store

    # SeaweedFS makes a bucket of what is written below the name of its buckets.
    try:
        put(S3Store("bucket", client_options={"allow_http": True}, retry_config={"max_retries": 0}), "probe", b"x")
    except Exception:
        time.sleep(0.5)
        return False
    return True


def test_what_a_folder_does_a_server_does_too(server: Server, home: Home, etcd36: str, tmp_path: Path, cli: RunCli) -> None:
    cluster.up(home, 1, etcd36)
    at, variables = flags_of(home), server.variables
    work = tmp_path / "work"
    work.mkdir()
    with home.access() as access:
        from quorate.etcd.client import kv

        for number in range(30):
            kv.put(access.channel(home.seeds()[0]), f"k{number}".encode(), os.urandom(1 << 20), timeout=10)
    place, other = "s3://bucket/etcd", "s3://bucket/copies"
    saved = cli("etcd", "backup", "save", place, *at, "--every", "24h", "--work", str(work), "-o", "json", **variables)
    assert saved.returncode == 0, saved.stderr
    again = cli("etcd", "backup", "save", place, *at, "--every", "24h", **variables)
    assert again.returncode == 0 and "nothing to do" in again.stdout
    for words in (
        ("verify", place, "--restore-test", "--work", str(work)),
        ("copy", place, other, "--work", str(work)),
        ("copy", other, str(tmp_path / "here")),
        ("list", other),
        ("status", other),
        ("prune", place, "--keep", "1"),
    ):
        done = cli("etcd", "backup", *words, **variables)
        assert done.returncode == 0, (words, done.stderr)
    to = ("--data-dir", str(tmp_path / "new"), "--name", "n1", "--peer-url", "http://127.0.0.1:1", "--work", str(work))
    restored = cli("etcd", "restore", other, *to, "-o", "json", **variables)
    assert restored.returncode == 0 and json.loads(restored.stdout)["keys"] == 30, restored.stderr
    assert list(work.iterdir()) == []


def test_its_conditions_hold_and_nothing_is_overwritten(server: Server) -> None:
    store = at_url("s3://bucket/conditions", WORK, CLOCK)
    assert store.create("1/a.json", b"x") and not store.create("1/a.json", b"y") and store.create("1/a.json", b"x")
    name = "20260101T000000Z-1.db"
    for first in (True, False):
        with store.arriving("1", "x") as arriving:
            for _ in range(20):
                os.write(arriving.fd, os.urandom(1 << 20))
            if first:
                arriving.keep(name)
                sent = path_of(arriving.fd).read_bytes()
                continue
            with pytest.raises(HostError, match="is there already"):
                arriving.keep(name)
    assert b"".join(store.pieces(f"1/{name}")) == sent
    server.process.kill()
    server.process.wait()
    with pytest.raises(HostError, match="cannot list in s3://bucket/conditions"):
        at_url("s3://bucket/conditions", WORK, CLOCK).stored()
