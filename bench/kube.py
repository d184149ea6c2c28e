"""Real control planes beside the real kubeadm's: init, the joins of a second and a third node, and the longest gap in API
writes during those, in alternating order on nodes made of namespaces. Prints medians and ratios; then where our own init's and
joins' time goes; then how long a join that must fail takes until the cluster is as it was and the next one can come.

    python bench/kube.py --rounds 5
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e.kubelab import KubeLab, KubeNode, kube_lab
from e2e.steps import Joining, etcd_flag, init_words, join, joined, members, parse

PROBE = """
import json, select, sys, time
from pathlib import Path
from quorate.foreign.http import Connection, HttpFailed, Request, site_of
from quorate.kube import tls
from quorate.pki import kubeconfig

where = "/etc/kubernetes/admin.conf"
admin = kubeconfig.parse(Path(where).read_bytes(), where)
trust = tls.context(admin.ca_pem, admin.certificate_pem, admin.key_pem)
kind = {"Content-Type": "application/merge-patch+json"}
last, longest, count = time.monotonic(), 0.0, 0
with Connection(site_of(admin.server, trust)) as http:
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        try:
            value = {"metadata": {"annotations": {"probe": str(count)}}}
            patch = Request("PATCH", "/api/v1/namespaces/default", json.dumps(value).encode(), kind)
            worked = http.ask(patch, seconds=1.0, most_bytes=1 << 20).ok
        except HttpFailed:
            worked = False
        if worked:
            now = time.monotonic()
            longest, last, count = max(longest, now - last), now, count + 1
print(longest, count)
"""
Spent = dict[str, dict[str, list[float]]]


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


def note(spent: Spent, what: str, said: str) -> None:
    """Collect the summary's lines: seconds of each phase."""
    for phase, seconds in re.findall(r"^\[summary\] (\S.*?) +([0-9.]+) s", said, re.MULTILINE):
        spent[what].setdefault(phase, []).append(float(seconds))


def round_of(lab: KubeLab, tool: str, spent: Spent) -> dict[str, float]:
    first, second, third = (lab.node(name) for name in ("cp1", "cp2", "cp3"))
    version = ["--kubernetes-version=v1.34.4"] if tool == "kubeadm" else []
    began = time.monotonic()
    done = first.run(tool, *init_words(first), *version)
    found = {"init": time.monotonic() - began}
    assert done.returncode == 0, done.stderr
    note(spent, "init", done.stdout)
    joining = parse(done.stdout)
    for name, node in (("join of the 2nd", second), ("join of the 3rd", third)):
        with Writing(first) as writing:
            began = time.monotonic()
            said = joined(node, joining.control_plane(node), tool)
            found[name] = time.monotonic() - began
        note(spent, name, said)
        found[f"{name}: longest gap in writes"] = writing.gap
    return found


def failed_join(lab: KubeLab) -> tuple[float, float]:
    """Seconds of a join whose etcd cannot start, and of the next one, of the same node."""
    first, second = lab.node("cp1"), lab.node("cp2")
    done = first.run("quorate", *init_words(first))
    joining: Joining = parse(done.stdout)
    with etcd_flag(second, "--no-such-flag=1"):
        began = time.monotonic()
        failed = join(second, joining.control_plane(second), "quorate", "--patches", "/etc/patches")
        undone = time.monotonic() - began
    assert failed.returncode == 1, failed.stderr
    assert members(first) == {"cp1": "voter"}, failed.stderr
    began = time.monotonic()
    joined(second, joining.control_plane(second))
    return undone, time.monotonic() - began


def show_ratios(taken: dict[str, list[dict[str, float]]]) -> None:
    print(f"{'seconds, medians':40} {'quorate':>9} {'kubeadm':>9} {'ratio':>7}")
    for name in taken["quorate"][0]:
        ours, theirs = (statistics.median(one[name] for one in taken[tool]) for tool in ("quorate", "kubeadm"))
        print(f"{name:40} {ours:9.2f} {theirs:9.2f} {ours / theirs:7.2f}")


def show_phases(spent: Spent) -> None:
    for what, phases in spent.items():
        rows = ", ".join(f"{phase} {statistics.median(seconds):.1f}" for phase, seconds in phases.items())
        print(f"{what}, seconds of each phase, medians: {rows}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    taken: dict[str, list[dict[str, float]]] = {"quorate": [], "kubeadm": []}
    spent: Spent = defaultdict(dict)
    for number in range(parser.parse_args().rounds):
        for tool in ("quorate", "kubeadm") if number % 2 == 0 else ("kubeadm", "quorate"):
            with kube_lab() as lab:
                taken[tool].append(round_of(lab, tool, spent))
            print(f"round {number + 1} {tool}: {taken[tool][-1]}", file=sys.stderr, flush=True)
    show_ratios(taken)
    show_phases(spent)
    with kube_lab() as lab:
        undone, again = failed_join(lab)
    print(f"a join whose etcd cannot start: rolled back after {undone:.1f} s; the next one of that node took {again:.1f} s")


if __name__ == "__main__":
    main()
