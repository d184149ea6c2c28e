"""Kubernetes nodes on one machine: each a network namespace with an address, and mounts and a name of its own, with a real
containerd, and a kubelet that a small init starts. What a node may change of the machine lies under overlays of its own.

A run that was killed is swept up by the next one: everything carries the id of its lab, which names the process that made it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import schemas
from conftest import BIN, ROOT

from e2e.groups import GROUPS, in_groups, make_groups, remove_groups
from e2e.images import build

PREFIX = "qk"
WORK = Path("/var/tmp/quorate-e2e")
NEEDED = ("containerd", "ctr", "runc", "iptables", "conntrack", "ip", "nsenter", "unshare", "cc")
KUBELET_ARGS = "--fail-swap-on=false --cgroup-driver=cgroupfs --enforce-node-allocatable= --eviction-hard=memory.available<1Mi"

# The node's shell: overlays over what it writes, plain folders where overlays may not lie on overlays.
MOUNTS = """
set -e
mount --make-rprivate /
for folder in etc var/log var/lib; do
  mkdir -p $NODE/upper/$folder $NODE/work/$folder
  mount -t overlay overlay -o lowerdir=/$folder,upperdir=$NODE/upper/$folder,workdir=$NODE/work/$folder /$folder
done
for folder in kubelet etcd containerd cni; do
  mkdir -p $NODE/data/$folder /var/lib/$folder
  mount --bind $NODE/data/$folder /var/lib/$folder
done
mount --make-rshared /var/lib/kubelet
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/systemd/system /etc/cni/net.d
mount -t tmpfs tmpfs /opt 2>/dev/null || true
hostname $NAME
printf '127.0.0.1 localhost\\n::1 localhost\\n' > /etc/hosts
cat $LAB/hosts >> /etc/hosts
cp $LAB/containerd.toml /etc/containerd.toml
cp $LAB/cni.conf /etc/cni/net.d/10-lab.conf
echo 1 > /proc/sys/net/ipv4/ip_forward
exec sleep infinity
"""
CONTAINERD = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10.1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
"""
CNI = '{"cniVersion": "0.4.0", "name": "lab", "type": "ptp", "ipam": {"type": "host-local", "subnet": "10.244.0.0/24"}}'

# What systemd would do for one unit: start when told, start again when it ends.
INIT = """#!/bin/sh
# The lab's only service, kubelet.service, in systemctl's words.
while [ "${1#-}" != "$1" ]; do shift; done
verb=$1
case "$*" in
  *kubelet*|daemon-reload*) ;;
  *) [ "$verb" = show ] && echo not-found; exit 3 ;;
esac
case "$verb" in
  daemon-reload) exit 0 ;;
  start|restart|stop|enable|disable)
    [ "$verb" = start ] && touch /run/kubelet.wanted
    [ "$verb" = stop ] && rm -f /run/kubelet.wanted
    [ "$verb" = restart ] && touch /run/kubelet.wanted
    if [ "$verb" = restart ] || [ "$verb" = stop ]; then
      pid=$(cat /run/kubelet.pid 2>/dev/null || true)
      if [ -n "$pid" ]; then kill $pid 2>/dev/null; while kill -0 $pid 2>/dev/null; do sleep 0.05; done; fi
    fi
    exit 0 ;;
  is-active) pid=$(cat /run/kubelet.pid 2>/dev/null || true); [ -n "$pid" ] && kill -0 $pid 2>/dev/null && echo active && exit 0
    echo inactive; exit 3 ;;
  is-enabled) echo enabled ;;
  show) echo loaded; echo enabled; echo active ;;
  status) exit 0 ;;
esac
"""
LOOP = """
while true; do
  if [ -e /run/kubelet.wanted ] && [ -e /var/lib/kubelet/config.yaml ]; then
    args=$(sed -n 's/^KUBELET_KUBEADM_ARGS="\\(.*\\)"$/\\1/p' /var/lib/kubelet/kubeadm-flags.env 2>/dev/null)
    kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf \\
      --config=/var/lib/kubelet/config.yaml $args $KUBELET_EXTRA_ARGS >> $NODE/kubelet.log 2>&1 &
    echo $! > /run/kubelet.pid
    wait $!
    rm -f /run/kubelet.pid
  fi
  sleep 0.1
done
"""


def run(*command: str, check: bool = True, timeout: float = 60) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for a condition; the time is a limit, not a pace."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


@dataclass
class KubeNode:
    """One machine. `space`: its network namespace; `holder`: the process that holds its mounts and its name."""

    lab: KubeLab
    number: int
    name: str
    holder: subprocess.Popen[bytes] | None = None
    services: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"10.78.0.{10 + self.number}"

    @property
    def space(self) -> str:
        return f"{self.lab.id}n{self.number}"

    @property
    def folder(self) -> Path:
        return self.lab.folder / self.name

    @property
    def group(self) -> str:
        return f"{self.lab.id}-{self.name}"

    @property
    def enter(self) -> list[str]:
        assert self.holder is not None
        return ["nsenter", f"--target={self.holder.pid}", "--mount", "--uts", "--net", "--"]

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.lab.folder}/bin:{BIN}:{Path(sys.executable).parent}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        args = f"{KUBELET_ARGS} --cgroup-root=/{self.group}"
        return {"PATH": path, "HOME": "/root", "NODE": str(self.folder), "KUBELET_EXTRA_ARGS": args, "LANG": "C.UTF-8"}

    def command(self, *words: str) -> list[str]:
        return [*self.enter, *words]

    def run(self, *words: str, timeout: float = 300, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            capture_output=True, text=True, check=False, timeout=timeout,
            env={**self.environment, **more}, cwd=self.folder,
        )  # fmt: skip

    def quorate(self, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        done = self.run("quorate", *words, timeout=timeout)
        schemas.checked(done.stdout)
        return done

    def kubectl(self, *words: str, config: str = "/etc/kubernetes/admin.conf") -> subprocess.CompletedProcess[str]:
        return self.run("kubectl", f"--kubeconfig={config}", *words, timeout=60)

    def path(self, inside: str) -> Path:
        """A path of the node as this machine sees it."""
        assert self.holder is not None
        return Path(f"/proc/{self.holder.pid}/root{inside}")

    def boot(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._wire()
        make_groups(self.group)
        inside = ["nsenter", f"--net=/run/netns/{self.space}", "unshare", "--mount", "--uts", "sh", "-c", MOUNTS]
        environment = {**os.environ, "NODE": str(self.folder), "LAB": str(self.lab.folder), "NAME": self.name}
        with (self.folder / "boot.log").open("wb") as log:
            self.holder = subprocess.Popen(inside, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(lambda: run("nsenter", f"--target={self._pid()}", "--uts", "hostname").strip() == self.name, 10, "it boots")
        until(lambda: self.path("/etc/cni/net.d/10-lab.conf").exists(), 10, "its files are there")
        self.serve("containerd", "containerd", "--config", "/etc/containerd.toml")
        until(lambda: self.run("ctr", "version").returncode == 0, 30, "containerd answers")
        self.load_images()
        self.serve("init", "sh", "-c", LOOP)

    def load_images(self) -> None:
        run(*self.command("ctr", "-n", "k8s.io", "images", "import", str(self.lab.images)), timeout=180)

    def _pid(self) -> int:
        assert self.holder is not None and self.holder.poll() is None, (self.folder / "boot.log").read_text()
        return self.holder.pid

    def serve(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.services.append(
                subprocess.Popen(
                    self.command(*words),
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    cwd=self.folder,
                )
            )

    def _wire(self) -> None:
        device = f"{self.lab.id}v{self.number}"
        run("ip", "netns", "add", self.space)
        run("ip", "link", "add", device, "netns", self.lab.hub, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        run("ip", "-n", self.lab.hub, "link", "set", device, "master", "br0", "up")
        run("ip", "-n", self.space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for name in ("lo", "eth0"):
            run("ip", "-n", self.space, "link", "set", name, "up")
        run("ip", "-n", self.space, "route", "add", "default", "via", "10.78.0.1")

    def processes(self) -> list[int]:
        """Whatever runs in this node's network or mounts, found by its namespaces."""
        mine = {_namespace(self.holder.pid, "mnt")} if self.holder and self.holder.poll() is None else set()
        with suppress(FileNotFoundError):
            mine.add(f"net:{Path(f'/run/netns/{self.space}').stat().st_ino}")
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        inside = [pid for pid in pids if {_namespace(pid, "mnt"), _namespace(pid, "net")} & mine]
        return [pid for pid in inside if pid != os.getpid()]

    def pids(self, name: str) -> list[int]:
        """Processes of this node whose name begins so (the kernel keeps 15 characters), those in containers too."""
        found = {*self.processes(), *in_groups(self.group)}
        return sorted(pid for pid in found if _command(pid).startswith(name[:15]))

    def runs(self, name: str) -> bool:
        return bool(self.pids(name))

    def halt(self) -> None:
        """End everything of this node, whatever state it is in."""
        for service in self.services:
            service.kill()
        for _ in range(50):
            pids = [pid for pid in (*self.processes(), *in_groups(self.group)) if self.holder is None or pid != self.holder.pid]
            if not pids:
                break
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait()
        for service in self.services:
            service.wait()
        run("ip", "netns", "del", self.space, check=False)
        remove_groups(self.group)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _namespace(pid: int, kind: str) -> str:
    try:
        return f"{kind}:{Path(f'/proc/{pid}/ns/{kind}').stat().st_ino}"
    except OSError:
        return ""


@dataclass
class KubeLab:
    """Nodes by name, on a bridge of their own."""

    folder: Path
    nodes: dict[str, KubeNode] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{PREFIX}{os.getpid()}"

    @property
    def hub(self) -> str:
        return f"{self.id}h"

    @property
    def images(self) -> Path:
        """Beside the engines that they are made of, and by their names, which have a hash of what they are built from."""
        made_of = [(BIN / name).resolve() for name in ("kubelet", "etcd-3.6", "etcdctl")]
        return made_of[0].parent / f"images-{'-'.join(one.name.rpartition('-')[2] for one in made_of)}.tar"

    def build(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "containerd.toml").write_text(CONTAINERD)
        (self.folder / "cni.conf").write_text(CNI)
        (self.folder / "bin").mkdir()
        shim = self.folder / "bin" / "systemctl"
        shim.write_text(INIT)
        shim.chmod(0o755)
        (self.folder / "hosts").write_text(
            "".join(f"10.78.0.{10 + number} {name}\n" for number, name in enumerate(("cp1", "cp2", "cp3", "w1"), 1))
        )
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "set", "lo", "up")
        run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.hub, "addr", "add", "10.78.0.1/24", "dev", "br0")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")

    def node(self, name: str) -> KubeNode:
        """A booted node; made when it is first asked for."""
        if name not in self.nodes:
            number = {"cp1": 1, "cp2": 2, "cp3": 3, "w1": 4}[name]
            self.nodes[name] = KubeNode(self, number, name)
            self.nodes[name].boot()
        return self.nodes[name]

    def tear_down(self) -> None:
        for node in self.nodes.values():
            node.halt()
        run("ip", "netns", "del", self.hub, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep() -> None:
    """What killed runs left: namespaces, groups, processes and folders of labs whose process is gone."""
    found = {name.split()[0] for name in run("ip", "netns", "list").splitlines() if name.startswith(PREFIX)}
    for space in found:
        owner = int("".join(one for one in space[len(PREFIX) :].partition("n")[0].partition("h")[0] if one.isdigit()) or 0)
        if Path(f"/proc/{owner}").exists():
            continue
        for pid in run("ip", "netns", "pids", space, check=False).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", space, check=False)
    for group in (GROUPS / "memory").glob(f"{PREFIX}*-*"):
        owner = int(group.name[len(PREFIX) :].partition("-")[0])
        if not Path(f"/proc/{owner}").exists():
            for left in in_groups(group.name):
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)
            remove_groups(group.name)
    for folder in WORK.glob(f"{PREFIX}*"):
        if not Path(f"/proc/{folder.name[len(PREFIX) :]}").exists():
            shutil.rmtree(folder, ignore_errors=True)


@cache
def why_not() -> str:
    """What keeps nodes from being made here, by trying each thing once; empty when nothing does."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0 or missing or not (BIN / "kubelet").exists() or not Path("/usr/lib/cni/ptp").exists():
        return f"needs root, 'make engines-kube', 'make e2e-packages'; missing: {', '.join(missing) or 'one of these'}"
    if not (GROUPS / "memory").is_dir():
        return "needs cgroup v1: the kubelet 1.34 of this lab runs with it"
    name = f"{PREFIX}{os.getpid()}t"
    tries = (
        ("ip", "netns", "add", name),
        ("ip", "netns", "del", name),
        ("mkdir", str(GROUPS / "memory" / name)),
        ("rmdir", str(GROUPS / "memory" / name)),
        ("unshare", "--mount", "--uts", "true"),
        ("sh", "-c", "echo 'int main(void) { return 0; }' | cc -static -x c -o /dev/null -"),
    )
    for command in tries:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"'{' '.join(command)}' failed: {done.stderr.strip()}"
    return ""


@contextmanager
def kube_lab() -> Iterator[KubeLab]:
    """Skips, saying why, where the machine does not allow it."""
    why = why_not()
    if why:
        pytest.skip(f"NO KUBERNETES LAB HERE: {why}")
    WORK.mkdir(exist_ok=True)
    sweep()
    lab = KubeLab(WORK / f"{PREFIX}{os.getpid()}")
    if not lab.images.exists():
        names = run(sys.executable, "-m", "quorate", "config", "images", "list", "--kubernetes-version=v1.34.4").split()
        aside = lab.images.with_suffix(f".{os.getpid()}")
        build(aside, names)
        aside.rename(lab.images)
    try:
        lab.build()
        yield lab
    finally:
        lab.tear_down()
        with suppress(OSError):
            WORK.rmdir()


__all__ = ["ROOT", "KubeLab", "KubeNode", "kube_lab", "run", "until"]
