"""How long short commands take as whole processes, beside the programs that do the same, in one run and in alternating order.

    python bench/startup.py --rounds 30 --base v0.2.0

Prints the medians of the time and of the processor time (user and system), and their ratios:

- `quorate etcd member list` to `etcdctl member list` and a Python that imports grpc and click, added: what the same request
  costs the C and Go code that is not ours. A three-member etcd over TLS;
- `quorate config validate` to `kubeadm config validate`, of one file with four kinds;
- these, `--help` and `--version` to the same commands of the commit `--base`.

Every tree is byte-compiled first, as an installed one is.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".engines" / "bin"
RUN = "import sys; from quorate.__main__ import run; run()"
CONFIG = """apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
  ttl: 24h0m0s
  usages: [signing, authentication]
localAPIEndpoint: {advertiseAddress: 10.77.0.11, bindPort: 6443}
nodeRegistration:
  name: cp1
  criSocket: unix:///run/containerd/containerd.sock
  kubeletExtraArgs:
  - {name: node-ip, value: 10.77.0.11}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.34.4
clusterName: production
controlPlaneEndpoint: api.example.com:6443
networking: {serviceSubnet: 10.96.0.0/12, podSubnet: 10.244.0.0/16, dnsDomain: cluster.local}
apiServer:
  certSANs: [api.example.com, 10.77.0.10]
  extraArgs:
  - {name: audit-log-path, value: /var/log/kubernetes/audit.log}
etcd:
  local: {dataDir: /var/lib/etcd}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
maxPods: 200
evictionHard: {memory.available: 200Mi, nodefs.available: 10%}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
"""


@dataclass(frozen=True)
class Program:
    """A command line, with the folder of the sources for those in Python."""

    arguments: list[str]
    source: Path = ROOT / "src"

    def run(self) -> tuple[float, float]:
        """Returns the seconds that passed, and those of the processor."""
        environment = {**os.environ, "PYTHONPATH": str(self.source)}
        with Path(os.devnull).open("w+b") as null:
            began = time.perf_counter()
            process = subprocess.Popen(self.arguments, stdin=null, stdout=null, stderr=null, env=environment)
            _, status, used = os.wait4(process.pid, 0)
            passed = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, self.arguments
        return passed, used.ru_utime + used.ru_stime


def quorate(*arguments: str, source: Path = ROOT / "src") -> Program:
    return Program([sys.executable, "-c", RUN, *arguments], source)


@contextmanager
def three(folder: Path) -> Iterator[list[str]]:
    """A cluster of three members over TLS, and the flags that reach it through one endpoint."""
    local = [sys.executable, "-m", "quorate", "local"]
    up = [*local, "up", "--members=3", f"--etcd={BIN / 'etcd-3.6'}", f"--dir={folder}"]
    subprocess.run(up, check=True, capture_output=True)
    pki, saved = folder / "pki" / "etcd", json.loads((folder / "cluster.json").read_text())
    try:
        yield [
            f"--endpoints=https://127.0.0.1:{saved['members'][0]['client_port']}", f"--cacert={pki}/ca.crt",
            f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key",
        ]  # fmt: skip
    finally:
        subprocess.run([*local, "down", "--purge", f"--dir={folder}"], check=True, capture_output=True)


def sources_of(commit: str, folder: Path) -> Path:
    """The sources of a commit, byte-compiled."""
    folder.mkdir()
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit, "src"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)
    compileall.compile_dir(folder, quiet=1)
    return folder / "src"


def compare(name: str, ours: Program, others: list[Program], rounds: int) -> None:
    """Runs ours and the others in turn, and prints the ratio of ours to the sum of the others."""
    programs = [ours, *others]
    times: list[list[tuple[float, float]]] = [[] for _ in programs]
    for program in programs:
        program.run()
    for number in range(rounds):
        order = list(zip(programs, times, strict=True))
        for program, found in order if number % 2 == 0 else reversed(order):
            found.append(program.run())
    for which, pick in ("time", 0), ("processor", 1):
        mine, *theirs = (statistics.median(one[pick] for one in found) for found in times)
        shown = " + ".join(f"{one * 1000:.0f}" for one in theirs)
        print(f"{name:26} {which:9} {mine * 1000:6.0f} ms to {shown:>9} ms: ratio {mine / sum(theirs):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--base", default="HEAD~1", help="the commit to compare with")
    arguments = parser.parse_args()
    compileall.compile_dir(ROOT / "src", quiet=1)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-bench-")))
        (scratch / "kubeadm.yaml").write_text(CONFIG)
        flags = stack.enter_context(three(scratch / "three"))
        listing = ["member", "list", *flags]
        floor = [Program([sys.executable, "-c", "import grpc, click"]), Program([str(BIN / "etcdctl"), *listing])]
        compare("etcd member list, etcdctl", quorate("etcd", *listing), floor, arguments.rounds)
        validate = ["config", "validate", f"--config={scratch / 'kubeadm.yaml'}"]
        compare("config validate, kubeadm", quorate(*validate), [Program([str(BIN / "kubeadm"), *validate])], arguments.rounds)
        base = sources_of(arguments.base, scratch / "base")
        for words in ["--help"], ["--version"], ["etcd", *listing], validate:
            name = " ".join(word for word in words if "=" not in word)
            compare(f"{name}, before", quorate(*words), [quorate(*words, source=base)], arguments.rounds)


if __name__ == "__main__":
    main()
