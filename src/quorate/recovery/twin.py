"""An etcd that runs on data of ours where it reaches nobody and nobody reaches it: in a network namespace with nothing in it.

A copy of a member with a network would be believed by the living ones.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quorate.core.versions import has_max_learners
from quorate.deadline import SystemClock
from quorate.errors import HostError
from quorate.foreign.trust import distrust_way
from quorate.host import process, programs
from quorate.host.environment import for_programs
from quorate.host.etcd_binary import EtcdBinary
from quorate.host.process import Identity
from quorate.host.running_etcds import open_in

_METRICS = "metrics:1"
"""etcd 3.4 asks for a port in each address."""

_STOP_SECONDS = 60.0
_PIECE, _MOST_BYTES = 1 << 20, 4 << 20
_MOST_LEARNERS = 1000
_ASK_SECONDS = 5.0
_NUMBER = r"^{} ([0-9.e+]+)$"


def may_isolate() -> str:
    """Returns the program that starts another in an empty network namespace. Raises `HostError` where there is none."""
    found = shutil.which("unshare")
    if found is None or distrust_way(Path(found)):
        raise HostError(
            "there is no 'unshare' to start the survivor's etcd without a network",
            state="nothing was changed",
            advice="install util-linux; a copy of a member must not have a network: living members would believe it",
        )
    tried = programs.run([found, *_isolated(), "true"], seconds=_ASK_SECONDS)
    if tried.code != 0:
        why = (tried.err.strip().splitlines() or ["it said nothing"])[-1]
        raise HostError(
            f"the survivor's etcd cannot be started without a network: {why[:200]}",
            state="nothing was changed",
            advice="run this as root, outside a container that may not make namespaces",
        )
    return found


def _isolated() -> list[str]:
    return ["--net"] if os.geteuid() == 0 else ["--net", "--user", "--map-root-user"]


@contextmanager
def alone(copy: Path, etcd: EtcdBinary, log: Path, clock: SystemClock) -> Iterator[Identity]:
    """Starts an etcd on a data directory, where it reaches nobody and nobody reaches it but by a file in there; stops it."""
    isolate = [may_isolate(), *_isolated()]
    # Relative to its working directory: the path of a socket has 107 bytes. All listen on files: that namespace has no address.
    urls = (
        f"--listen-metrics-urls=unix://{_METRICS}",
        "--listen-client-urls=unix://client:1",
        "--listen-peer-urls=unix://peer:1",
    )
    flags = ["--data-dir=.", "--advertise-client-urls=http://localhost:2379", "--logger=zap", *urls]
    if has_max_learners(etcd.version):
        # By its own limit each etcd judges an addition that it applies, also one of long ago: with less than its members had,
        # 3.6 takes a learner for none, then meets it, and panics.
        flags.append(f"--max-learners={_MOST_LEARNERS}")
    twin = process.spawn([*isolate, str(etcd.path), *flags], output=log, folder=copy, environment=for_programs(os.environ))
    # What `unshare` becomes is the same process.
    twin = process.without_what_changes(twin)
    try:
        yield twin
        process.stop(twin, clock, seconds=_STOP_SECONDS)
    finally:
        if process.is_running(twin):
            with clock.cancel.shielded():
                process.kill(twin, clock)


def end_etcd_on(copy: Path, clock: SystemClock) -> None:
    """Ends the etcd that a run which was killed has started on data of ours."""
    if (found := open_in(copy)) is not None and (identity := process.identify(found.pid)) is not None:
        process.kill(identity, clock)


def number_of(copy: Path, name: str) -> int | None:
    """Returns a number of an etcd's metrics page; None where it does not say."""
    page = page_of(copy, "/metrics")
    match = re.search(_NUMBER.format(re.escape(name)).encode(), page, re.MULTILINE)
    return int(float(match[1])) if match else None


def page_of(copy: Path, path: str) -> bytes:
    """Returns what an etcd answers at a path of its metrics address, head and body; empty where it does not."""
    folder = os.open(copy, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_ASK_SECONDS)
            line.connect(f"/proc/self/fd/{folder}/{_METRICS}")
            line.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            while len(answer) < _MOST_BYTES and (piece := line.recv(_PIECE)):
                answer += piece
    except OSError:
        return b""
    finally:
        os.close(folder)
    return bytes(answer)
