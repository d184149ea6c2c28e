"""Clusters of plain etcd processes that the tool did not make, and the tool run beside them, paused where a test wants it.

What is true of a cluster is asked of etcdctl and of the processes themselves, never of the tool.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from conftest import engine

from quorate.host import ports
from quorate.host.ports import is_free
from real.rows.processes import processes_with, state_of, until
from real.rows.tool import Done, EndedError, Point, Tool

__all__ = ["Done", "EndedError", "Etcd", "Lab", "Point", "Row", "Tool", "endpoints", "lab_in", "processes_with", "until"]


@dataclass
class Etcd:
    """One etcd of a lab. `before`: what its command line begins with, to run it in a namespace."""

    name: str
    program: str
    folder: Path
    peer_url: str
    client_url: str
    listen_url: str = ""
    more: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    advertised: str = ""
    listen_peer: str = ""
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def command(self, rows: Sequence[tuple[str, str]], state: str) -> list[str]:
        client = self.listen_url or self.client_url
        return [
            *self.before, self.program, f"--name={self.name}", f"--data-dir={self.data}",
            f"--listen-peer-urls={self.listen_peer or self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}", f"--listen-client-urls={client}",
            f"--advertise-client-urls={self.advertised or self.client_url}",
            f"--initial-cluster={','.join(f'{name}={url}' for name, url in rows)}", f"--initial-cluster-state={state}",
            "--logger=zap", *self.more,
        ]  # fmt: skip

    def start(self, rows: Sequence[tuple[str, str]] = (), state: str = "existing") -> None:
        """As an operator would; on data that is there `rows` say nothing."""
        self.folder.mkdir(exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ETCD")}
        with (self.folder / "log").open("ab") as log:
            command = self.command(rows or [(self.name, self.peer_url)], state)
            self._started.append(subprocess.Popen(command, stdout=log, stderr=log, env=clean))

    @property
    def pids(self) -> list[int]:
        return processes_with(f"--data-dir={self.data}")

    @property
    def alive(self) -> bool:
        """Whether its process runs, not stopped, on a log of etcd's."""
        return self.has_data and any(state_of(pid) not in "TtZX" for pid in self.pids)

    @property
    def has_data(self) -> bool:
        return any((self.data / "member" / "wal").glob("*.wal"))

    def signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        until(lambda: not self.pids, what=f"{self.name} does not end")
        while self._started:
            self._started.pop().wait(10)
        # A killed process shows no command line any more while threads of it still hold its ports.
        until(
            lambda: all(map(_can_be_bound, [*self.peer_url.split(","), self.client_url])),
            what=f"{self.name} still holds its ports",
        )

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)
        until(lambda: all(state_of(pid) in "TtZX" for pid in self.pids), what=f"{self.name} does not stop")

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)


def _can_be_bound(url: str) -> bool:
    parts = urlsplit(url)
    return parts.hostname not in ("127.0.0.1", "localhost") or is_free(parts.port or 0)


@dataclass(frozen=True)
class Row:
    """A member as etcdctl shows it."""

    id: str
    name: str
    learner: bool
    peer_urls: tuple[str, ...]


@dataclass
class Lab:
    """A folder with clusters, joiners and runs of the tool; `end` leaves nothing. `beside`: what a command line begins with
    to run on a machine that is no member's."""

    folder: Path
    program: str
    etcds: list[Etcd] = field(default_factory=list[Etcd])
    tools: list[Tool] = field(default_factory=list[Tool])
    beside: tuple[str, ...] = ()

    def etcd(self, name: str, *, host: str = "127.0.0.1", more: tuple[str, ...] = (), advertised: str = "") -> Etcd:
        """A new one, not started."""
        peer, client = ports.reserve(2, self.folder)
        folder = self.folder / f"{name}{len(self.etcds)}"
        urls = (f"http://{host}:{peer}", f"http://{host}:{client}")
        self.etcds.append(Etcd(name, self.program, folder, *urls, more=more, advertised=advertised))
        return self.etcds[-1]

    def bootstrap(self, *members: Etcd) -> None:
        """Make them a cluster of voters, as etcd's static bootstrap does."""
        rows = [(member.name, member.peer_url) for member in members]
        for member in members:
            member.start(rows, "new")
        until(lambda: all(self.writes(member, 1.0) for member in members), 30, "the cluster does not begin")

    def voters(self, *names: str) -> list[Etcd]:
        members = [self.etcd(name) for name in names]
        self.bootstrap(*members)
        return members

    def ctl(self, at: Etcd, *arguments: str, seconds: float = 3.0) -> subprocess.CompletedProcess[str]:
        client = at.listen_url or at.client_url
        command = [*at.before, engine("etcdctl"), f"--endpoints={client}", f"--command-timeout={seconds}s", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 20)

    def must(self, at: Etcd, *arguments: str) -> str:
        """etcdctl until etcd agrees: it refuses changes for a while after others."""
        shown: list[str] = []

        def works() -> bool:
            done = self.ctl(at, *arguments)
            shown[:] = [done.stdout, done.stderr]
            return done.returncode == 0

        until(works, 20, f"etcdctl {arguments} never worked")
        return shown[0]

    def writes(self, at: Etcd, seconds: float = 4.0) -> bool:
        return self.ctl(at, "put", "lab/write", "x", seconds=seconds).returncode == 0

    def fill(self, at: Etcd, writes: int = 70) -> None:
        """So many entries that a learner which misses a few still counts as in sync, and too few for a snapshot."""
        body = json.dumps({"key": base64.b64encode(b"lab/fill").decode(), "value": ""}).encode()
        for _ in range(writes):
            with urllib.request.urlopen(f"{at.client_url}/v3/kv/put", body, timeout=5) as answer:
                answer.read()

    def members(self, at: Etcd) -> list[Row]:
        """Its own list, or the quorum's where it has one."""
        done = self.ctl(at, "member", "list", "-w", "json")
        if done.returncode != 0:
            done = self.ctl(at, "member", "list", "--consistency=s", "-w", "json")
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)["members"]
        return [Row(f"{row['ID']:x}", row.get("name", ""), bool(row.get("isLearner")), tuple(row["peerURLs"])) for row in rows]

    def roles(self, at: Etcd) -> dict[str, str]:
        """Name, or the first peer URL of one without, to role."""
        return {row.name or row.peer_urls[0]: "learner" if row.learner else "voter" for row in self.members(at)}

    def id_of(self, at: Etcd, which: str) -> str:
        return next(row.id for row in self.members(at) if which in (row.name, *row.peer_urls))

    def leader(self, *members: Etcd) -> Etcd:
        """Who leads among these, once one does."""
        found: list[Etcd] = []

        def leads() -> bool:
            for member in members:
                done = self.ctl(member, "endpoint", "status", "-w", "json", seconds=1.0)
                status = json.loads(done.stdout)[0]["Status"] if done.returncode == 0 and done.stdout.strip() else {}
                if status and status.get("leader") == status["header"]["member_id"] and not status.get("errors"):
                    found[:] = [member]
            return bool(found)

        until(leads, 20, "nobody leads")
        return found[0]

    def lead(self, heir: Etcd, members: Sequence[Etcd]) -> None:
        """Make `heir` the leader of these."""
        leader = self.leader(*members)
        if leader is not heir:
            self.must(leader, "move-leader", self.id_of(leader, heir.name))
            until(lambda: self.leader(*members) is heir, 10, "leadership did not move")

    def quorate(self, *arguments: str, points: Sequence[Point] = (), before: Sequence[str] = ()) -> Tool:
        tool = Tool(self.folder / f"run{len(self.tools)}", [*arguments, "-o", "json"], points, before)
        self.tools.append(tool)
        return tool

    def add(self, joiner: Etcd, seeds: Sequence[Etcd], *more: str, points: Sequence[Point] = (), verb: str = "add") -> Tool:
        """`quorate etcd add` that runs the joiner on this host. `verb` may be `replace OLD`."""
        return self.quorate(
            "etcd", *verb.split(), joiner.name, "--runtime=process", f"--peer-urls={joiner.peer_url}",
            f"--client-urls={joiner.client_url}", f"--data-dir={joiner.data}", f"--etcd={joiner.program}",
            "--timeout=12", endpoints(*seeds), *more, points=points, before=joiner.before,
        )  # fmt: skip

    def add_elsewhere(
        self,
        joiner: Etcd,
        seeds: Sequence[Etcd],
        *more: str,
        points: Sequence[Point] = (),
        verb: str = "add",
        before: Sequence[str] = (),
    ) -> Tool:
        """`quorate etcd add` whose joiner is started by a command of the user's, and which the tool cannot start again."""
        script = joiner.folder / "start"
        joiner.folder.mkdir(exist_ok=True)
        flags = [word for word in joiner.command([], "") if not word.startswith(("--initial-", "--name="))]
        script.write_text(f"#!/bin/sh\n{shlex.join(flags)} </dev/null >>{joiner.folder}/log 2>&1 &\n")
        script.chmod(0o755)
        return self.quorate(
            "etcd", *verb.split(), joiner.name, f"--peer-urls={joiner.peer_url}", f"--start={script}", "--timeout=12",
            endpoints(*seeds), *more, points=points, before=before or joiner.before,
        )  # fmt: skip

    def sound(self, at: Etcd, *lists: set[str]) -> None:
        """The promise: the members are one of `lists`, all voters, each with its process and its data, and writes work."""
        known = {url: etcd for etcd in self.etcds for url in etcd.peer_url.split(",")}
        rows = self.members(at)
        assert {row.name for row in rows} in lists and not any(row.learner for row in rows), rows
        down = [row.name for row in rows if not known[row.peer_urls[0]].alive]
        assert down == [], f"voters without a process or data: {down}"
        until(lambda: self.writes(at), 12, "writes are not accepted")

    def end(self) -> None:
        for tool in self.tools:
            tool.kill()
        for etcd in self.etcds:
            etcd.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def endpoints(*seeds: Etcd) -> str:
    return "--endpoints=" + ",".join((seed.listen_url or seed.client_url).split(",")[0] for seed in seeds)


@contextmanager
def lab_in(folder: Path, version: str) -> Iterator[Lab]:
    """A lab of one etcd version (`3.6`) below `folder`."""
    (folder / "lab").mkdir()
    lab = Lab(folder / "lab", engine(f"etcd-{version}"))
    try:
        yield lab
    finally:
        lab.end()
