"""How long the file-writing commands take: certificates beside kubeadm's, `config validate` beside a bare interpreter.

Whole processes in alternating order; prints medians and ratios. RSA keys take a random time, so a median needs many rounds.

    python bench/files.py --rounds 15
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(__file__).resolve().parents[1] / ".engines" / "bin"
CONFIG = """apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.77.0.11}
nodeRegistration: {name: cp1}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.34.4
"""


def seconds(command: list[str], root: Path) -> float:
    """In an empty root that has nothing but the configuration."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    (root / "c.yaml").write_text(CONFIG)
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def compare(name: str, ours: list[str], other: list[str], rounds: int, root: Path) -> None:
    pairs = [(seconds(ours, root), seconds(other, root)) for _ in range(rounds)]
    mine, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"{name:28} {mine:7.3f} s {theirs:7.3f} s   ratio {mine / theirs:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    quorate = str(Path(sys.executable).parent / "quorate")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        phase = ["init", "phase", "certs", "all", "--rootfs", str(root), "--config"]
        print(f"{'':28} {'quorate':>9} {'other':>9}")
        ours = [quorate, *phase, str(root / "c.yaml")]
        compare("certs all (kubeadm)", ours, [str(BIN / "kubeadm"), *phase, "/c.yaml"], rounds, root)
        validate = [quorate, "config", "validate", "--config", str(root / "c.yaml")]
        compare("config validate (python)", validate, [sys.executable, "-c", "pass"], rounds, root)


if __name__ == "__main__":
    main()
