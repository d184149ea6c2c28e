"""Machines as network namespaces on one bridge, each with an address, certificates and an etcd of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import schemas

from quorate.core.membership import Member
from quorate.deadline import SystemClock
from quorate.etcd.client.endpoint import TlsFiles
from quorate.host import process
from quorate.member.process import process_of
from quorate.member.spec import EtcdSpec, flags, settings
from quorate.pki.certificates import LeafSpec, Pair, make_ca, make_leaf
from quorate.pki.store import write_pair

TESTS = Path(__file__).parent


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Node:
    """One machine: namespace, address, folder."""

    def __init__(self, lab: NetLab, number: int) -> None:
        self.lab, self.number, self.name = lab, number, f"n{number}"
        self.space, self.address = f"{lab.prefix}n{number}", f"10.77.0.{number}"
        self.folder = lab.folder / self.name
        self.folder.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        for base in ("server", "peer"):
            names = (self.name, self.address, "127.0.0.1", "localhost")
            write_pair(self.folder / base, make_leaf(_leaf(self.name, names), lab.ca, now=datetime.now(UTC)))

    @property
    def inside(self) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.space}"]

    @property
    def peer_url(self) -> str:
        return f"https://{self.address}:2380"

    @property
    def client_url(self) -> str:
        return f"https://{self.address}:2379"

    @property
    def spec(self) -> EtcdSpec:
        ca = self.lab.folder / "ca.crt"
        server = TlsFiles(ca, self.folder / "server.crt", self.folder / "server.key")
        peer = TlsFiles(ca, self.folder / "peer.crt", self.folder / "peer.key")
        return EtcdSpec(
            self.name, Path(self.lab.etcd), self.folder / "data", self.peer_url, self.client_url, server, peer,
            (("quota-backend-bytes", str(4 << 30)),),
        )  # fmt: skip

    def start(self, rows: list[tuple[str, str]], state: str = "existing") -> None:
        """Run its etcd as somebody else would."""
        pairs = [(name, state if name == "initial-cluster-state" else value) for name, value in settings(self.spec, rows)]
        with (self.folder / "log").open("wb") as log:
            command = [*self.inside, self.lab.etcd, *flags(pairs)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def command(self, *arguments: str) -> list[str]:
        """The command line of `quorate …` on this machine, with the cluster's flags."""
        return [*self.inside, sys.executable, "-m", "quorate", *arguments, *self.lab.flags]

    def add_arguments(self, *more: str) -> list[str]:
        """`quorate etcd add` of this machine by itself."""
        folder = self.folder
        return [
            "etcd", "add", self.name, "--runtime=process", f"--peer-urls={self.peer_url}", f"--data-dir={folder}/data",
            f"--etcd={self.lab.etcd}", f"--cert-file={folder}/server.crt", f"--key-file={folder}/server.key",
            f"--peer-cert-file={folder}/peer.crt", f"--peer-key-file={folder}/peer.key",
            "--etcd-arg=quota-backend-bytes=4294967296", *more,
        ]  # fmt: skip

    def quorate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False, env=self.lab.environment, timeout=1500
        )
        schemas.checked(done.stdout)
        return done

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.lab.environment
        )

    def cut_from(self, *others: Node) -> None:
        """No packet goes either way."""
        for other in others:
            for one, two in ((self, other), (other, self)):
                run("ip", "-n", one.space, "route", "add", "blackhole", f"{two.address}/32")

    def join_again(self, *others: Node) -> None:
        for other in others:
            for one, two in ((self, other), (other, self)):
                run("ip", "-n", one.space, "route", "del", "blackhole", f"{two.address}/32")

    def limit(self, megabits: int) -> None:
        """What reaches this machine goes through a link this slow."""
        rate = f"{megabits}mbit"
        device = f"veth{self.number}"
        run(
            "tc",
            "-n",
            self.lab.hub,
            "qdisc",
            "add",
            "dev",
            device,
            "root",
            "tbf",
            "rate",
            rate,
            "burst",
            "64kb",
            "latency",
            "200ms",
        )

    def refuse_dials(self, port: int) -> None:
        """Nobody else's packets to this port get here; what this machine dials itself works."""
        for other in self.lab.nodes:
            if other is not self:
                rule = ("to", self.address, "ipproto", "tcp", "dport", str(port), "blackhole")
                run("ip", "-n", other.space, "rule", "add", *rule)

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        identity = process_of(self.spec, SystemClock()).daemon.identity()
        if identity is not None:
            process.kill(identity, SystemClock())


def _leaf(name: str, names: tuple[str, ...]) -> LeafSpec:
    return LeafSpec(name, ("server", "client"), names, kind="ECDSA-P256")


class NetLab:
    """`nodes[0]` is a cluster of one once `start` was called."""

    def __init__(self, folder: Path, etcd: str, count: int) -> None:
        self.folder, self.etcd = folder, etcd
        self.prefix = f"q{os.getpid()}"
        self.hub = f"{self.prefix}h"
        self.ca: Pair = make_ca("etcd-ca", now=datetime.now(UTC), kind="ECDSA-P256")
        write_pair(folder / "ca", self.ca)
        write_pair(folder / "client", make_leaf(_leaf("client", ()), self.ca, now=datetime.now(UTC)))
        self.nodes = [Node(self, number) for number in range(1, count + 1)]
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": str(TESTS)}

    @property
    def flags(self) -> list[str]:
        folder = self.folder
        return [
            f"--endpoints={self.endpoints}",
            f"--cacert={folder}/ca.crt",
            f"--cert={folder}/client.crt",
            f"--key={folder}/client.key",
        ]

    @property
    def endpoints(self) -> str:
        return ",".join(f"{node.address}:2379" for node in self.nodes[:2])

    def build(self) -> None:
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "set", "lo", "up")
        run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.hub, "addr", "add", "10.77.0.254/24", "dev", "br0")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")
        for node in self.nodes:
            device = f"veth{node.number}"
            run("ip", "netns", "add", node.space)
            run(
                "ip",
                "link",
                "add",
                "name",
                device,
                "netns",
                self.hub,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                node.space,
            )
            run("ip", "-n", self.hub, "link", "set", device, "master", "br0", "up")
            run("ip", "-n", node.space, "addr", "add", f"{node.address}/24", "dev", "eth0")
            for name in ("lo", "eth0"):
                run("ip", "-n", node.space, "link", "set", name, "up")

    def start(self, voters: int) -> None:
        """A cluster of so many voters, each joined by its own machine."""
        first = self.nodes[0]
        first.start([(first.name, first.peer_url)], "new")
        while self.hub_quorate("etcd", "health").returncode != 0:
            assert first.process is not None and first.process.poll() is None
        for node in self.nodes[1:voters]:
            done = node.quorate(*node.add_arguments())
            assert done.returncode == 0, done.stderr

    def hub_quorate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`quorate …` on a machine beside them."""
        command = ["nsenter", f"--net=/run/netns/{self.hub}", sys.executable, "-m", "quorate", *arguments, *self.flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment, timeout=300)
        schemas.checked(done.stdout)
        return done

    def members(self) -> dict[str, str]:
        """Name (or peer URL while it has none) to role."""
        shown = json.loads(self.hub_quorate("etcd", "members", "-o", "json").stdout)
        return {row["name"] or row["peerURLs"][0]: "learner" if row["isLearner"] else "voter" for row in shown["members"]}

    def fill(self, megabytes: int, *, a_value: int = 100_000) -> None:
        """So much data in values of so many bytes. A leader keeps about a hundred entries: fewer are sent as entries, more as
        a snapshot."""
        script = (
            "import sys; from pathlib import Path; from quorate.etcd.client import kv\n"
            "from quorate.etcd.client.channel import Channel; from quorate.etcd.client.endpoint import *\n"
            "folder = Path(sys.argv[1])\n"
            "tls = load_tls(TlsFiles(folder/'ca.crt', folder/'client.crt', folder/'client.key'))\n"
            "with Channel(Endpoint.parse(sys.argv[2]), tls) as channel:\n"
            "    for n in range(int(sys.argv[3])): kv.put(channel, b'fill/%d' % n, b'x' * int(sys.argv[4]), timeout=60)\n"
        )
        first = self.nodes[0].client_url
        run(
            "nsenter",
            f"--net=/run/netns/{self.hub}",
            sys.executable,
            "-c",
            script,
            str(self.folder),
            first,
            str(megabytes * 1_000_000 // a_value),
            str(a_value),
        )

    @contextmanager
    def writing(self, *, longest: float, pause: float = 0.002) -> Iterator[None]:
        """A writer for the block; afterwards nothing acknowledged is lost and no write waited for longer. `pause`: seconds
        between its writes."""
        command = ["nsenter", f"--net=/run/netns/{self.hub}", sys.executable, str(TESTS / "writer_process.py")]
        writer = subprocess.Popen(
            [*command, self.endpoints, str(self.folder), str(pause)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        try:
            yield
        finally:
            printed, _ = writer.communicate(timeout=60)
        told = json.loads(printed)
        assert told["lost"] == 0 and told["acknowledged"] > 10, told
        assert told["longest"] < longest, told

    def tear_down(self) -> None:
        for node in self.nodes:
            node.end()
        for space in (self.hub, *(node.space for node in self.nodes)):
            with suppress(AssertionError):
                run("ip", "netns", "del", space)


@contextmanager
def net_lab(folder: Path, etcd: str, count: int) -> Iterator[NetLab]:
    """Skips, saying why, where namespaces cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces: partitions are untested here")
    lab = NetLab(folder, etcd, count)
    try:
        lab.build()
        yield lab
    finally:
        lab.tear_down()


def roles(members: list[Member]) -> dict[str, bool]:
    return {member.name: member.is_learner for member in members}
