"""Real control planes beside the real kubeadm's: init, the joins of a second and a third node, and the longest gap in API
writes during those, in alternating order on nodes made of namespaces. Prints medians and ratios.

    python bench/kube.py --rounds 5
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e.kubelab import KubeLab, KubeNode, kube_lab
from e2e.steps import init, joined

PROBE = """
import select, subprocess, sys, time
command = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=1s"]
command += ["annotate", "--overwrite", "ns", "default"]
last, longest, count = time.monotonic(), 0.0, 0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    if subprocess.run([*command, f"probe={count}"], capture_output=True).returncode == 0:
        now = time.monotonic()
        longest, last, count = max(longest, now - last), now, count + 1
print(longest, count)
"""


class Writing:
    """Writes to the API for the block; `gap` is the longest time without one that worked, in seconds."""

    def __init__(self, node: KubeNode) -> None:
        self.node, self.gap = node, 0.0

    def __enter__(self) -> Writing:
        self.process = subprocess.Popen(
            self.node.command(sys.executable, "-c", PROBE),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.node.environment,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        printed, _err = self.process.communicate("stop\n")
        self.gap = float(printed.split()[0])


def round_of(lab: KubeLab, tool: str) -> dict[str, float]:
    first, second, third = (lab.node(name) for name in ("cp1", "cp2", "cp3"))
    began = time.monotonic()
    joining = init(first, tool)
    found = {"init": time.monotonic() - began}
    for name, node in (("join of the 2nd", second), ("join of the 3rd", third)):
        with Writing(first) as writing:
            began = time.monotonic()
            joined(node, joining.control_plane(node), tool)
            found[name] = time.monotonic() - began
        found[f"{name}: longest gap in writes"] = writing.gap
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    taken: dict[str, list[dict[str, float]]] = {"quorate": [], "kubeadm": []}
    for number in range(parser.parse_args().rounds):
        for tool in ("quorate", "kubeadm") if number % 2 == 0 else ("kubeadm", "quorate"):
            with kube_lab() as lab:
                taken[tool].append(round_of(lab, tool))
            print(f"round {number + 1} {tool}: {taken[tool][-1]}", file=sys.stderr, flush=True)
    print(f"{'seconds, medians':40} {'quorate':>9} {'kubeadm':>9} {'ratio':>7}")
    for name in taken["quorate"][0]:
        ours, theirs = (statistics.median(one[name] for one in taken[tool]) for tool in ("quorate", "kubeadm"))
        print(f"{name:40} {ours:9.2f} {theirs:9.2f} {ours / theirs:7.2f}")


if __name__ == "__main__":
    main()
